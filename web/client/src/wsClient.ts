import { Backoff } from "./backoff.ts"
import {
  type ClientEvents,
  closeCodes,
  isServerEvent,
  type ServerEvents,
  type Topic,
  type WsEnvelope,
  type WsEvents,
} from "./contracts.ts"
import { SendQueue } from "./sendQueue.ts"

const OPEN = 1
const READY_TIMEOUT = 10_000
const STABLE_AFTER = 30_000
const MAX_RETRY_AFTER = 300_000

/** The state of the connection. Every change creates a new object. */
export type State =
  | { name: "connecting" }
  /** Authenticated and registered: events arrive. */
  | { name: "ready"; userId: string; socketId: string }
  /** The next attempt follows after `delay` milliseconds. */
  | { name: "waiting"; delay: number }
  | { name: "stopped"; why: Stopped }

/** Why the client has stopped: the close code (RFC 6455, `closeCodes`) and its reason. */
export type Stopped = { code: number; reason: string }

export type Options = {
  /** The address of the server; by default `/ws` on the page's own host. */
  url?: string | URL
  /** The constructor, if the runtime has none: `import { WebSocket } from "ws"` in Node 20. */
  WebSocket?: SocketConstructor
  /**
   * Called once after close code 4401, to get a new token. If it resolves to true, the client connects again;
   * otherwise it stops.
   */
  onUnauthorized?: () => Promise<boolean>
  /** Return whether a value is an event of the contract; by default the guard of the built-in contract. */
  isServerEvent?: (value: unknown) => value is WsEnvelope<string, unknown>
}

export type SocketConstructor = new (url: string) => Socket

/** The part of a WebSocket that the client uses. Both the browser's and that of `ws` have it. */
export interface Socket {
  readonly readyState: number
  send(text: string): void
  close(): void
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void
  addEventListener(type: "close", listener: (event: Stopped) => void): void
  addEventListener(type: "error", listener: () => void): void
}

/**
 * A listener for the events of a Hubbub server, which reconnects by itself. It is not an API client: it passes events
 * on as they arrive, and never interprets, acknowledges or changes them.
 *
 * An app with events of its own passes its event maps and its guard, all three from its own `contracts.ts`:
 * `new WsClient<ClientEvents, ServerEvents>({ isServerEvent })`.
 */
export class WsClient<Up extends object = ClientEvents, Down extends object = ServerEvents> {
  #state: State = { name: "stopped", why: { code: 1000, reason: "not started" } }
  #topics: readonly Topic[] | undefined
  #ignored = 0

  #socket: Socket | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #readySince = 0
  #notBefore = 0
  #mayRefresh = true

  readonly #options: Options
  readonly #backoff = new Backoff()
  readonly #sendQueue = new SendQueue()
  readonly #listeners = new Map<string, Set<(event: never) => void>>()
  readonly #stateListeners = new Set<(state: State) => void>()

  constructor(options: Options = {}) {
    this.#options = options
  }

  get state(): State {
    return this.#state
  }

  /** How many messages from the server were not an event of the contract. */
  get ignored(): number {
    return this.#ignored
  }

  /** How many signals were never sent: no connection within 10 s, more than 64 waiting, or stopped. */
  get dropped(): number {
    return this.#sendQueue.dropped
  }

  /** Connect. If the client waits for the next attempt, make it now. */
  start(): void {
    const { name } = this.#state
    if (name === "connecting" || name === "ready") return
    if (name === "stopped") {
      this.#mayRefresh = true
      this.#backoff.reset()
      globalThis.addEventListener?.("online", this.#onOnline)
      globalThis.addEventListener?.("pageshow", this.#onShow)
      globalThis.document?.addEventListener("visibilitychange", this.#onShow)
    }
    this.#connect()
  }

  /** Disconnect, and stay disconnected until `start`. */
  stop(): void {
    this.#stop({ code: 1000, reason: "stopped" })
  }

  /** Call the listener with every event of that type. Return a function that removes it. */
  on<T extends keyof Down & string>(
    type: T,
    listener: (event: WsEnvelope<T, Down[T]>) => void,
  ): () => void {
    const listeners = this.#listeners.get(type) ?? new Set()
    this.#listeners.set(type, listeners.add(listener))
    return () => listeners.delete(listener)
  }

  /** Call the listener with every new state. Return a function that removes it. */
  onState(listener: (state: State) => void): () => void {
    this.#stateListeners.add(listener)
    return () => this.#stateListeners.delete(listener)
  }

  /** Send a signal. Without a connection it waits for one, up to 10 s. Delivery is not guaranteed. */
  send<T extends Exclude<keyof Up, "client.system.subscribe"> & string>(
    type: T,
    data: Up[T],
  ): void {
    const text = encode(type, data)
    if (this.#isOpen) {
      this.#socket?.send(text)
      return
    }
    this.#sendQueue.push(text)
    if (this.#state.name === "stopped") this.#sendQueue.clear()
  }

  /** Replace the subscribed topics, now and after every reconnect. */
  subscribe(topics: readonly Topic[]): void {
    this.#topics = [...topics]
    if (this.#isOpen) this.#sendTopics()
  }

  /** Between the start of a close and its event, `readyState` alone shows it: what is sent then is lost. */
  get #isOpen(): boolean {
    return this.#state.name === "ready" && this.#socket?.readyState === OPEN
  }

  #connect(): void {
    this.#abandon()
    this.#notBefore = 0
    const WebSocket: SocketConstructor | undefined = this.#options.WebSocket ?? globalThis.WebSocket
    if (!WebSocket) throw new Error("no WebSocket in this runtime: pass one as an option")
    const socket = new WebSocket(absolute(this.#options.url ?? "/ws"))
    const current = () => this.#socket === socket
    socket.addEventListener("message", ({ data }) => current() && this.#receive(String(data)))
    socket.addEventListener("close", (event) => current() && this.#closed(event))
    socket.addEventListener("error", () => {}) // a close always follows, but `ws` throws an error without a listener
    this.#socket = socket
    this.#timer = setTimeout(
      () => this.#closed({ code: 1006, reason: "not ready in time" }),
      READY_TIMEOUT,
    )
    this.#enter({ name: "connecting" })
  }

  #receive(text: string): void {
    const event = parse(text)
    if (!(this.#options.isServerEvent ?? isServerEvent)(event)) {
      this.#ignored++
      return
    }
    if (event.type === "server.system.ready") {
      this.#ready(event.data as WsEvents["server.system.ready"])
    }
    for (const listener of this.#listeners.get(event.type) ?? []) call(listener, event as never)
  }

  #ready({ userId, socketId }: WsEvents["server.system.ready"]): void {
    clearTimeout(this.#timer)
    this.#readySince = performance.now()
    if (this.#topics) this.#sendTopics()
    for (const text of this.#sendQueue.drain()) this.#socket?.send(text)
    this.#enter({ name: "ready", userId, socketId })
  }

  #sendTopics(): void {
    this.#socket?.send(encode("client.system.subscribe", { topics: this.#topics }))
  }

  #closed({ code, reason }: Stopped): void {
    const isStable =
      this.#state.name === "ready" && performance.now() - this.#readySince >= STABLE_AFTER
    if (isStable) {
      this.#mayRefresh = true
      this.#backoff.reset()
    }
    this.#abandon()
    switch (closeCodes[code]?.reconnect) {
      case "never":
        this.#stop({ code, reason })
        break
      case "with a new token":
        this.#refresh({ code, reason })
        break
      case "after the delay in the reason":
        this.#wait(retryAfter(reason))
        break
      default:
        this.#wait(0)
    }
  }

  /** Wait for as long as the server asks, and then for a jittered delay. */
  #wait(minimum: number): void {
    const delay = minimum + this.#backoff.next()
    this.#notBefore = performance.now() + minimum
    this.#timer = setTimeout(() => this.#connect(), delay)
    this.#enter({ name: "waiting", delay })
  }

  async #refresh(why: Stopped): Promise<void> {
    const refresh = this.#options.onUnauthorized
    // 4403 means that access was withdrawn: only a new login gives a new token.
    if (why.code !== 4401 || !refresh || !this.#mayRefresh) {
      this.#stop(why)
      return
    }
    this.#mayRefresh = false
    this.#notBefore = Number.POSITIVE_INFINITY
    const state = this.#enter({ name: "connecting" })
    const isRefreshed = await refresh().catch(() => false)
    if (this.#state !== state) return
    if (isRefreshed) this.#connect()
    else this.#stop(why)
  }

  #stop(why: Stopped): void {
    this.#abandon()
    this.#sendQueue.clear()
    globalThis.removeEventListener?.("online", this.#onOnline)
    globalThis.removeEventListener?.("pageshow", this.#onShow)
    globalThis.document?.removeEventListener("visibilitychange", this.#onShow)
    this.#enter({ name: "stopped", why })
  }

  /** A lost network may have broken an open socket without a close event: reconnect in any state. */
  readonly #onOnline = (): void => {
    if (performance.now() >= this.#notBefore) this.#connect()
  }

  readonly #onShow = (): void => {
    if (this.#state.name !== "waiting" || globalThis.document?.visibilityState === "hidden") return
    this.#onOnline()
  }

  #abandon(): void {
    clearTimeout(this.#timer)
    const socket = this.#socket
    this.#socket = undefined
    socket?.close()
  }

  #enter(state: State): State {
    this.#state = state
    for (const listener of this.#stateListeners) {
      if (this.#state !== state) break // a listener changed the state, and all were called with the new one
      call(listener, state)
    }
    return state
  }
}

function encode(type: string, data: unknown): string {
  return JSON.stringify({ type, data, ts: Date.now() })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Call a listener. Its exception must not keep the event from the others. */
function call<A>(listener: (argument: A) => void, argument: A): void {
  try {
    listener(argument)
  } catch (error) {
    console.error(error)
  }
}

/** Read N from `restart; retry_after_ms=N`. It is bounded: beyond 2^31 ms a timer would fire at once. */
function retryAfter(reason: string): number {
  return Math.min(Number(/\bretry_after_ms=(\d+)/.exec(reason)?.[1] ?? 0), MAX_RETRY_AFTER)
}

function absolute(url: string | URL): string {
  const address = new URL(url, globalThis.location?.origin)
  address.protocol = address.protocol.replace("http", "ws")
  return address.href
}
