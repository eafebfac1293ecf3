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
import { Outbox } from "./outbox.ts"

const OPEN = 1
const READY_WITHIN = 10_000
const STABLE_AFTER = 30_000
const LONGEST_RETRY_AFTER = 300_000

/** Where the connection stands. Each state is a new object, never changed. */
export type State =
  | { name: "connecting" }
  /** Authenticated and registered: events flow. */
  | { name: "ready"; userId: string; socketId: string }
  /** Trying again after `delay` milliseconds. */
  | { name: "waiting"; delay: number }
  | { name: "stopped"; why: Stopped }

/** Why there is no connection and no further attempt: the close code (RFC 6455, `closeCodes`) and its reason. */
export type Stopped = { code: number; reason: string }

export type Options = {
  /** Where the server is; by default `/ws` on the page's own host. */
  url?: string | URL
  /** The constructor, where there is none in the runtime: `import { WebSocket } from "ws"` in Node 20. */
  WebSocket?: SocketConstructor
  /**
   * Is asked for a new token after close code 4401, once. Resolves to whether there is one: then the client connects
   * again, otherwise it stops.
   */
  onUnauthorized?: () => Promise<boolean>
  /** Tells what is an event; by default the built-in contract's guard. */
  isServerEvent?: (value: unknown) => value is WsEnvelope<string, unknown>
}

export type SocketConstructor = new (url: string) => Socket

/** The little of a WebSocket that is needed; the browser's and that of `ws` fit. */
export interface Socket {
  readonly readyState: number
  send(text: string): void
  close(): void
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void
  addEventListener(type: "close", listener: (event: Stopped) => void): void
  addEventListener(type: "error", listener: () => void): void
}

/**
 * Listens to a Hubbub server, and reconnects. An event listener, not an API client: it passes events on as they come
 * and never interprets, acknowledges or changes them.
 *
 * An app with events of its own gives its maps and its guard, all three from its own `contracts.ts`:
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
  readonly #outbox = new Outbox()
  readonly #listeners = new Map<string, Set<(event: never) => void>>()
  readonly #stateListeners = new Set<(state: State) => void>()

  constructor(options: Options = {}) {
    this.#options = options
  }

  get state(): State {
    return this.#state
  }

  /** Messages from the server that were no event of the contract. */
  get ignored(): number {
    return this.#ignored
  }

  /** Signals that were never sent: no connection within 10 s, more than 64 waiting, or stopped. */
  get dropped(): number {
    return this.#outbox.dropped
  }

  /** Connects; while waiting for the next attempt, makes it now. */
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

  /** Disconnects and stays so until `start`. */
  stop(): void {
    this.#stop({ code: 1000, reason: "stopped" })
  }

  /** Calls the listener with every event of that type; gives a function that ends it. */
  on<T extends keyof Down & string>(
    type: T,
    listener: (event: WsEnvelope<T, Down[T]>) => void,
  ): () => void {
    const listeners = this.#listeners.get(type) ?? new Set()
    this.#listeners.set(type, listeners.add(listener))
    return () => listeners.delete(listener)
  }

  /** Calls the listener with every new state; gives a function that ends it. */
  onState(listener: (state: State) => void): () => void {
    this.#stateListeners.add(listener)
    return () => this.#stateListeners.delete(listener)
  }

  /** Sends a signal; without a connection it waits for one, up to 10 s. Delivery is not promised. */
  send<T extends Exclude<keyof Up, "client.system.subscribe"> & string>(
    type: T,
    data: Up[T],
  ): void {
    const text = encode(type, data)
    if (this.#isOpen) {
      this.#socket?.send(text)
      return
    }
    this.#outbox.push(text)
    if (this.#state.name === "stopped") this.#outbox.clear()
  }

  /** Replaces the topics to hear about: now, and again after every reconnect. */
  subscribe(topics: readonly Topic[]): void {
    this.#topics = [...topics]
    if (this.#isOpen) this.#sendTopics()
  }

  /** A socket begins to close before it says so; what is sent in between would be lost. */
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
    socket.addEventListener("error", () => {}) // a close always follows, but `ws` throws what nobody listens to
    this.#socket = socket
    this.#timer = setTimeout(
      () => this.#closed({ code: 1006, reason: "not ready in time" }),
      READY_WITHIN,
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
    for (const text of this.#outbox.drain()) this.#socket?.send(text)
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

  /** Waits for as long as the server demands, and a jittered while longer. */
  #wait(demanded: number): void {
    const delay = demanded + this.#backoff.next()
    this.#notBefore = performance.now() + demanded
    this.#timer = setTimeout(() => this.#connect(), delay)
    this.#enter({ name: "waiting", delay })
  }

  async #refresh(why: Stopped): Promise<void> {
    const refresh = this.#options.onUnauthorized
    // 4403 says that access was withdrawn: a new token has to come from a new login.
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
    this.#outbox.clear()
    globalThis.removeEventListener?.("online", this.#onOnline)
    globalThis.removeEventListener?.("pageshow", this.#onShow)
    globalThis.document?.removeEventListener("visibilitychange", this.#onShow)
    this.#enter({ name: "stopped", why })
  }

  /** A network that was away may have taken an open socket with it, unnoticed: start afresh in any state. */
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
      if (this.#state !== state) break // a listener has moved on, and everybody has heard of it
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

/** Keeps one listener's fault from the others. */
function call<A>(listener: (argument: A) => void, argument: A): void {
  try {
    listener(argument)
  } catch (error) {
    console.error(error)
  }
}

/** Reads `restart; retry_after_ms=N`, with a bound: beyond 2^31 ms a timer would fire at once. */
function retryAfter(reason: string): number {
  return Math.min(Number(/\bretry_after_ms=(\d+)/.exec(reason)?.[1] ?? 0), LONGEST_RETRY_AFTER)
}

function absolute(url: string | URL): string {
  const address = new URL(url, globalThis.location?.origin)
  address.protocol = address.protocol.replace("http", "ws")
  return address.href
}
