import type { Query, QueryClient, QueryKey } from "@tanstack/react-query"

/** Signals that were missed by many at once are made up for within this time, not by all in the same moment. */
const JITTER = 2_000

/** Fetches again what signals have made stale: one fetch at a time for each key, and one more for what came meanwhile. */
export class Refetcher {
  readonly #running = new Map<string, { again: boolean }>()
  readonly #queries: QueryClient
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(queries: QueryClient) {
    this.#queries = queries
  }

  /** Refetches now; a burst of signals leads to two fetches, the last of which begins after the last signal. */
  async now(queryKey: QueryKey): Promise<void> {
    const name = JSON.stringify(queryKey)
    const running = this.#running.get(name)
    if (running) {
      running.again = true
      return
    }
    const run = { again: true }
    this.#running.set(name, run)
    while (run.again) {
      // A fetch under way for the first time is not begun anew: what it brings may be older than this signal.
      const hasNoData = ({ state }: Query) => state.data === undefined
      run.again = this.#queries.isFetching({ queryKey, predicate: hasNoData }) > 0
      await this.#queries.invalidateQueries({ queryKey })
    }
    this.#running.delete(name)
  }

  /** Refetches everything that signals keep up to date, within two seconds. */
  soon(): void {
    this.cancel()
    this.#timer = setTimeout(() => {
      for (const key of ["conversations", "messages", "presence"]) this.now([key])
    }, Math.random() * JITTER)
  }

  cancel(): void {
    clearTimeout(this.#timer)
  }
}
