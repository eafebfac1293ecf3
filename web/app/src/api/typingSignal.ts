const AT_MOST_EVERY = 3_000
const STOPPED_AFTER = 4_000

/** Decides when to say that somebody types: at most every 3 s while they do, and once when they have stopped. */
export class TypingSignal {
  readonly #send: (isTyping: boolean) => void
  #isTold = false
  #toldAt = Number.NEGATIVE_INFINITY
  #due: ReturnType<typeof setTimeout> | undefined
  #idle: ReturnType<typeof setTimeout> | undefined

  constructor(send: (isTyping: boolean) => void) {
    this.#send = send
  }

  /** Is told of every change of a text that is not empty. */
  typed(): void {
    clearTimeout(this.#idle)
    this.#idle = setTimeout(() => this.stop(), STOPPED_AFTER)
    clearTimeout(this.#due)
    const wait = this.#toldAt + AT_MOST_EVERY - performance.now()
    if (wait <= 0) this.#tell()
    else if (!this.#isTold) this.#due = setTimeout(() => this.#tell(), wait)
  }

  /** Is told that the text was sent or emptied, or that its writer has left. */
  stop(): void {
    clearTimeout(this.#idle)
    clearTimeout(this.#due)
    if (this.#isTold) this.#send(false)
    this.#isTold = false
  }

  #tell(): void {
    this.#isTold = true
    this.#toldAt = performance.now()
    this.#send(true)
  }
}
