// Run the guards of a compiled contracts.ts: for each line `guardName document` on stdin, print `true` or `false`.
import { createInterface } from "node:readline"
import { pathToFileURL } from "node:url"

const guards = await import(pathToFileURL(process.argv[2]).href)
for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const space = line.indexOf(" ")
  console.log(guards[line.slice(0, space)](JSON.parse(line.slice(space + 1))))
}
