// Print the diagnostics of @asyncapi/parser: per file named, a line of JSON `[[severity, code, message, path], ...]`.
import { readFileSync } from "node:fs"
import { Parser } from "@asyncapi/parser"

const parser = new Parser()
for (const file of process.argv.slice(2)) {
  const { diagnostics } = await parser.parse(readFileSync(file, "utf8"))
  console.log(JSON.stringify(diagnostics.map(({ severity, code, message, path }) => [severity, code, message, path])))
}
