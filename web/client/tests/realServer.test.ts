import { afterAll, afterEach, beforeAll, expect, test } from "vitest"
import { type Options, type ServerEvents, type State, type Topic, WsClient } from "../src/index.ts"
import { RealServer, type Session } from "./realServer.ts"

const server = new RealServer()
const clients: WsClient[] = []
let alice: Session
let bob: Session
let topic: Topic

beforeAll(async () => {
  await server.start()
  alice = await server.logIn("alice")
  bob = await server.logIn("bob")
  const [everyone] = await alice.call("GET", "/api/conversations")
  topic = { kind: "conversation", id: everyone.id }
}, 30_000)
afterEach(() => {
  for (const client of clients.splice(0)) client.stop()
})
afterAll(() => server.remove())

function connect(session: Session, options: Options = {}): WsClient {
  const client = new WsClient({
    url: `${session.url}/ws`,
    WebSocket: session.WebSocket,
    ...options,
  })
  clients.push(client)
  client.start()
  return client
}

function entered(client: WsClient, name: State["name"]): Promise<State> {
  return new Promise((resolve) => {
    if (client.state.name === name) resolve(client.state)
    client.onState((state) => state.name === name && resolve(state))
  })
}

function nextEvent<T extends keyof ServerEvents>(
  client: WsClient,
  type: T,
): Promise<ServerEvents[T]> {
  return new Promise((resolve) => client.on(type, ({ data }) => resolve(data)))
}

test("learns its user from the server", async () => {
  const client = connect(alice)
  expect(await entered(client, "ready")).toMatchObject({ userId: "alice" })
})

test("receives what REST has written, on the topics it subscribed to", async () => {
  const client = connect(bob)
  client.subscribe([topic, { kind: "conversation", id: "nobody's" }])
  expect(await nextEvent(client, "server.system.subscribed")).toEqual({
    topics: [topic],
    refused: [{ kind: "conversation", id: "nobody's" }],
  })
  const signal = nextEvent(client, "server.messenger.message_new")
  const message = await alice.call("POST", `/api/conversations/${topic.id}/messages`, {
    body: "<b>hello</b>",
  })
  expect(await signal).toMatchObject({ messageId: message.id, senderId: "alice" })
  expect(client.ignored).toBe(0)
})

test("sends signals to the others", async () => {
  const listener = connect(bob)
  listener.subscribe([topic])
  await nextEvent(listener, "server.system.subscribed")
  const signal = nextEvent(listener, "client.messenger.typing")
  const sender = connect(alice)
  sender.subscribe([topic])
  sender.send("client.messenger.typing", { conversationId: topic.id, userId: "", isTyping: true })
  expect(await signal).toEqual({ conversationId: topic.id, userId: "alice", isTyping: true })
})

test("reconnects after a restart, with its subscriptions", { timeout: 30_000 }, async () => {
  const client = connect(alice)
  client.subscribe([topic])
  await nextEvent(client, "server.system.subscribed")
  const waiting = entered(client, "waiting")
  const subscribed = nextEvent(client, "server.system.subscribed")
  await server.stop()
  expect((await waiting).name).toBe("waiting")
  await server.start()
  expect(await subscribed).toEqual({ topics: [topic], refused: [] })
})

test("stops on an invalid token, after one refresh", async () => {
  const stranger = await server.logIn("carol")
  stranger.token = "not.a.token"
  let refreshes = 0
  const client = connect(stranger, { onUnauthorized: async () => ++refreshes > 0 })
  expect(await entered(client, "stopped")).toEqual({
    name: "stopped",
    why: { code: 4401, reason: "unauthorized" },
  })
  expect(refreshes).toBe(1)
})

test("continues with the token of the refresh", async () => {
  const carol = await server.logIn("carol")
  const { token } = carol
  carol.token = "expired"
  const client = connect(carol, {
    onUnauthorized: async () => {
      carol.token = token
      return true
    },
  })
  expect(await entered(client, "ready")).toMatchObject({ userId: "carol" })
})

test("stops when its session is withdrawn", async () => {
  const dave = await server.logIn("dave")
  const client = connect(dave)
  await entered(client, "ready")
  await dave.call("DELETE", "/api/session")
  expect(await entered(client, "stopped")).toMatchObject({ why: { code: 4403 } })
})
