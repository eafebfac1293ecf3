import react from "@vitejs/plugin-react"
import { defineConfig } from "vite"

const backend = "http://127.0.0.1:8000"

export default defineConfig({
  plugins: [react()],
  resolve: { conditions: ["source"] },
  build: {
    outDir: "../../src/hubbub_messenger/static",
    emptyOutDir: true,
    assetsInlineLimit: 0, // the Content-Security-Policy forbids data: URLs
  },
  server: { proxy: { "/api": backend, "/ws": { target: backend, ws: true } } },
})
