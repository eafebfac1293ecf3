// Thousands of real clients in one process, each with its own token. The server drops them all at once.
// Arguments: the address and a file of tokens. Answers each input line "status" with a line of JSON.
import { readFileSync } from "node:fs"
import { createInterface } from "node:readline"
import { WsClient } from "../../web/client/dist/index.js"
import WebSocket from "../../web/node_modules/ws/wrapper.mjs"

const [url, file] = process.argv.slice(2)
const statuses = {} // HTTP statuses of refused upgrades
const codes = {} // close codes
const count = (counts, key) => {
  counts[key] = (counts[key] ?? 0) + 1
}

function socketOf(token) {
  return class extends WebSocket {
    constructor(address) {
      super(address, { headers: { Authorization: `Bearer ${token}` }, perMessageDeflate: false })
      this.on("error", ({ message }) => {
        const status = /^Unexpected server response: (\d+)$/.exec(message)?.[1]
        if (status) count(statuses, status)
      })
      this.on("close", (code) => count(codes, code))
    }
  }
}

const people = Object.entries(JSON.parse(readFileSync(file, "utf8"))).map(([user, token]) => {
  const person = { user, ready: false, lostAt: 0, downtime: 0 }
  const client = new WsClient({ url, WebSocket: socketOf(token) })
  client.onState(({ name }) => {
    if (name === "ready") {
      if (person.lostAt) person.downtime = performance.now() - person.lostAt
      person.ready = true
    } else if (person.ready) {
      person.ready = false
      person.lostAt = performance.now()
    }
  })
  client.start()
  return person
})

for await (const line of createInterface({ input: process.stdin })) {
  if (line !== "status") break
  const ready = people.filter((person) => person.ready).length
  const back = people.filter((person) => person.downtime)
  const downtimes = Object.fromEntries(back.map(({ user, downtime }) => [user, downtime / 1000]))
  console.log(JSON.stringify({ ready, statuses, codes, downtimes }))
}
process.exit()
