// Fails if the client, bundled and minified as in an app, has more than 3 KB gzipped.
import { gzipSync } from "node:zlib"
import { build } from "vite"

const LIMIT = 3 * 1024

const [bundle] = await build({
  configFile: false,
  logLevel: "error",
  build: {
    write: false,
    target: "es2022",
    lib: {
      entry: new URL("../src/index.ts", import.meta.url).pathname,
      formats: ["es"],
      fileName: "client",
    },
    rolldownOptions: { output: { minify: true } },
  },
})
const size = gzipSync(bundle.output[0].code, { level: 9 }).length
console.log(`@hubbub/client: ${size} bytes gzipped, at most ${LIMIT}`)
if (size > LIMIT) process.exit(1)
