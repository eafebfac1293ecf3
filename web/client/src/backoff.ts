const FIRST = 500
const LONGEST = 20_000

/** How long to wait before the next attempt: full jitter, so that a thousand clients don't return as one. */
export class Backoff {
  #attempts = 0

  /** Draws milliseconds from 0 up to a ceiling that doubles with every call: 0.5 s, 1 s, … 20 s. */
  next(): number {
    return Math.random() * Math.min(LONGEST, FIRST * 2 ** this.#attempts++)
  }

  /** Starts over with the lowest ceiling. */
  reset(): void {
    this.#attempts = 0
  }
}
