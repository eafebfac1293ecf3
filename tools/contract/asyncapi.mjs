// Prints what @asyncapi/parser finds in each file named: a line of JSON `[[severity, code, message, path], ...]` a file.
import { readFileSync } from "node:fs"
import { Parser } from "@asyncapi/parser"

const parser = new Parser()
for (const file of process.argv.slice(2)) {
  const { diagnostics } = await parser.parse(readFileSync(file, "utf8"))
  console.log(JSON.stringify(diagnostics.map(({ severity, code, message, path }) => [severity, code, message, path])))
}
