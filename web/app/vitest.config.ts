import { defineProject, mergeConfig } from "vitest/config"
import vite from "./vite.config.ts"

export default mergeConfig(
  vite,
  defineProject({
    test: {
      name: "app",
      environment: "happy-dom",
      include: ["tests/**/*.test.{ts,tsx}"],
      setupFiles: ["tests/setup.ts"],
    },
  }),
)
