import { type ServerEvents, type Socket, type State, type Stopped, WsClient } from "../src/index.ts"

type Listeners = {
  message: (event: { data: unknown }) => void
  close: (event: Stopped) => void
  error: () => void
}

/** A socket for which the test plays the server. */
export class FakeSocket implements Socket {
  static opened: FakeSocket[] = []
  readonly sent: { type: string; data: unknown; ts: number }[] = []
  readyState = 1
  closed = false
  readonly #listeners: Partial<Listeners> = {}

  constructor(readonly url: string) {
    FakeSocket.opened.push(this)
  }

  static get latest(): FakeSocket {
    const socket = FakeSocket.opened.at(-1)
    if (!socket) throw new Error("no socket was opened")
    return socket
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text))
  }

  close(): void {
    this.closed = true
  }

  addEventListener<T extends keyof Listeners>(type: T, listener: Listeners[T]): void {
    this.#listeners[type] = listener
  }

  /** Receive any data from the server. */
  receive(data: unknown): void {
    this.#listeners.message?.({ data })
  }

  receiveEvent<T extends keyof ServerEvents>(type: T, data: ServerEvents[T]): void {
    this.receive(JSON.stringify({ type, data, ts: 1 }))
  }

  becomesReady(): void {
    this.receiveEvent("server.system.ready", { userId: "alice", socketId: "s1" })
  }

  closes(code: number, reason = ""): void {
    this.#listeners.close?.({ code, reason })
  }
}

/** Start a client on fake sockets. Return it with the list of its states, which grows. */
export function startClient(options: { onUnauthorized?: () => Promise<boolean> } = {}) {
  FakeSocket.opened = []
  const client = new WsClient({ url: "http://hubbub.test/ws", WebSocket: FakeSocket, ...options })
  const states: State["name"][] = []
  client.onState(({ name }) => states.push(name))
  client.start()
  return { client, states }
}
