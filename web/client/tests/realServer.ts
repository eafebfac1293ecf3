import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { createInterface } from "node:readline"
import WebSocket from "ws"

const HUBBUB = process.env.HUBBUB_BIN ?? resolve(import.meta.dirname, "../../../.venv/bin/hubbub")

/** The messenger with its own database, on a free port that it keeps over restarts. */
export class RealServer {
  readonly #folder = mkdtempSync(join(tmpdir(), "hubbub-client-"))
  #process: ChildProcess | undefined
  #port = 0

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  async start(): Promise<void> {
    const child = spawn(
      HUBBUB,
      ["run", "hubbub_messenger.app:app", "--port", String(this.#port), "--drain", "0.2"],
      {
        cwd: this.#folder,
        env: {
          PATH: process.env.PATH,
          HUBBUB_ENVIRONMENT: "development",
          HUBBUB_DATABASE_URL: "sqlite:///./test.db",
        },
        stdio: ["ignore", "ignore", "pipe"],
      },
    )
    this.#process = child
    const log: string[] = []
    for await (const line of createInterface({ input: child.stderr })) {
      log.push(line)
      const port = /running on http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1]
      if (port) {
        this.#port = Number(port)
        child.stderr.resume()
        return
      }
    }
    throw new Error(`the server did not start:\n${log.join("\n")}`)
  }

  /** Stop the server as a deploy does. */
  async stop(): Promise<void> {
    const child = this.#process
    if (!child || child.exitCode !== null) return
    const exit = once(child, "exit")
    child.kill("SIGTERM")
    await exit
  }

  async remove(): Promise<void> {
    await this.stop()
    rmSync(this.#folder, { recursive: true })
  }

  async logIn(username: string): Promise<Session> {
    const answer = await fetch(`${this.url}/api/session`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ username, password: username }),
    })
    return new Session(this.url, (await answer.json()).token)
  }
}

/** A session of one user. */
export class Session {
  constructor(
    readonly url: string,
    public token: string,
  ) {}

  async call(method: string, path: string, body?: unknown) {
    const answer = await fetch(this.url + path, {
      method,
      headers: { Authorization: `Bearer ${this.token}`, "Content-Type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status}`)
    return answer.status === 204 ? undefined : answer.json()
  }

  /** A constructor that sends the token as a header, which browsers cannot do. */
  get WebSocket() {
    const token = () => this.token
    return class extends WebSocket {
      constructor(url: string) {
        super(url, { headers: { Authorization: `Bearer ${token()}` } })
      }
    }
  }
}
