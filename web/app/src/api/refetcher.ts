import type { Query, QueryClient, QueryKey } from "@tanstack/react-query"

/** After a loss that affects many clients, each refetches at a random moment within this time. */
const JITTER = 2_000

/** Refetches what signals have invalidated: one fetch at a time per key, and another if signals came during it. */
export class Refetcher {
  readonly #running = new Map<string, { again: boolean }>()
  readonly #queries: QueryClient
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(queries: QueryClient) {
    this.#queries = queries
  }

  /** Refetch now. A burst of signals leads to two fetches; the second begins after the last signal. */
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
      // `invalidateQueries` does not restart a first fetch, whose answer may be older than this signal: fetch again.
      const hasNoData = ({ state }: Query) => state.data === undefined
      run.again = this.#queries.isFetching({ queryKey, predicate: hasNoData }) > 0
      await this.#queries.invalidateQueries({ queryKey })
    }
    this.#running.delete(name)
  }

  /** Refetch everything that signals keep up to date, within two seconds. */
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
