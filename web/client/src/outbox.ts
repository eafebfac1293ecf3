const MOST = 64
const LONGEST = 10_000

/** Signals that wait for a connection: few and not for long, the oldest dropped first. Nothing is lost uncounted. */
export class Outbox {
  #dropped = 0
  #waiting: { text: string; since: number }[] = []

  /** How many signals were dropped because they waited too long or were too many. */
  get dropped(): number {
    this.#expire()
    return this.#dropped
  }

  push(text: string): void {
    this.#waiting.push({ text, since: performance.now() })
    if (this.#waiting.length > MOST) this.#drop(1)
  }

  /** Takes out what is still fresh, oldest first. */
  drain(): string[] {
    this.#expire()
    return this.#waiting.splice(0).map(({ text }) => text)
  }

  clear(): void {
    this.#drop(this.#waiting.length)
  }

  #expire(): void {
    const earliest = performance.now() - LONGEST
    const fresh = this.#waiting.findIndex(({ since }) => since > earliest)
    this.#drop(fresh < 0 ? this.#waiting.length : fresh)
  }

  #drop(count: number): void {
    this.#dropped += this.#waiting.splice(0, count).length
  }
}
