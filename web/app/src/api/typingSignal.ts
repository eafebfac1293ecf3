const MIN_INTERVAL = 3_000
const IDLE_AFTER = 4_000

/** Signals that a user types: at most every 3 s while they do, and once when they stop. */
export class TypingSignal {
  readonly #send: (isTyping: boolean) => void
  #isTyping = false
  #lastSent = Number.NEGATIVE_INFINITY
  #sendTimer: ReturnType<typeof setTimeout> | undefined
  #idleTimer: ReturnType<typeof setTimeout> | undefined

  constructor(send: (isTyping: boolean) => void) {
    this.#send = send
  }

  /** Handle a change of the text, unless it is empty now. */
  typed(): void {
    clearTimeout(this.#idleTimer)
    this.#idleTimer = setTimeout(() => this.stop(), IDLE_AFTER)
    clearTimeout(this.#sendTimer)
    const wait = this.#lastSent + MIN_INTERVAL - performance.now()
    if (wait <= 0) this.#sendTyping()
    else if (!this.#isTyping) this.#sendTimer = setTimeout(() => this.#sendTyping(), wait)
  }

  /** End the typing: the text was sent or emptied, or its author has left. */
  stop(): void {
    clearTimeout(this.#idleTimer)
    clearTimeout(this.#sendTimer)
    if (this.#isTyping) this.#send(false)
    this.#isTyping = false
  }

  #sendTyping(): void {
    this.#isTyping = true
    this.#lastSent = performance.now()
    this.#send(true)
  }
}
