const BASE_DELAY = 500
const MAX_DELAY = 20_000

/** The delay before the next attempt, with full jitter: a thousand clients must not reconnect at the same moment. */
export class Backoff {
  #attempts = 0

  /** Return a random delay in milliseconds, from 0 up to a ceiling that doubles with every call: 0.5 s, 1 s, … 20 s. */
  next(): number {
    return Math.random() * Math.min(MAX_DELAY, BASE_DELAY * 2 ** this.#attempts++)
  }

  /** Start over with the lowest ceiling. */
  reset(): void {
    this.#attempts = 0
  }
}
