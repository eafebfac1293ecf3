const MAX_LENGTH = 64
const MAX_AGE = 10_000

/**
 * Signals that wait for a connection: at most 64, for at most 10 s. The oldest are dropped first, and every drop is
 * counted.
 */
export class SendQueue {
  #dropped = 0
  #waiting: { text: string; since: number }[] = []

  /** How many signals were dropped because they were too old or too many. */
  get dropped(): number {
    this.#expire()
    return this.#dropped
  }

  push(text: string): void {
    this.#waiting.push({ text, since: performance.now() })
    if (this.#waiting.length > MAX_LENGTH) this.#drop(1)
  }

  /** Remove and return all signals that have not expired, oldest first. */
  drain(): string[] {
    this.#expire()
    return this.#waiting.splice(0).map(({ text }) => text)
  }

  clear(): void {
    this.#drop(this.#waiting.length)
  }

  #expire(): void {
    const earliest = performance.now() - MAX_AGE
    const fresh = this.#waiting.findIndex(({ since }) => since > earliest)
    this.#drop(fresh < 0 ? this.#waiting.length : fresh)
  }

  #drop(count: number): void {
    this.#dropped += this.#waiting.splice(0, count).length
  }
}
