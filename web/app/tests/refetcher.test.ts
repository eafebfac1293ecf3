import { QueryClient, QueryObserver } from "@tanstack/react-query"
import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { Refetcher } from "../src/api/refetcher.ts"

let queries: QueryClient
let refetcher: Refetcher
let fetches: { answer: (value: string) => void }[]

beforeEach(() => {
  vi.useFakeTimers()
  queries = new QueryClient()
  queries.mount()
  refetcher = new Refetcher(queries)
  fetches = []
})
afterEach(() => {
  queries.clear()
  vi.useRealTimers()
})

/** Observe a query, as a component does. Every fetch waits for `answer`. */
function observe(queryKey: string[]): () => string | undefined {
  const queryFn = () => new Promise<string>((answer) => fetches.push({ answer }))
  const observer = new QueryObserver(queries, { queryKey, queryFn, staleTime: 60_000 })
  observer.subscribe(() => {})
  return () => observer.getCurrentResult().data
}

async function answer(value: string): Promise<void> {
  fetches.at(-1)?.answer(value)
  await vi.advanceTimersByTimeAsync(0)
}

test("a burst of signals leads to two fetches, the second after the last signal", async () => {
  observe(["conversations"])
  await answer("first")
  fetches = []
  for (let signal = 0; signal < 20; signal++) refetcher.now(["conversations"])
  await vi.advanceTimersByTimeAsync(0)
  expect(fetches).toHaveLength(1)
  await answer("second")
  expect(fetches).toHaveLength(2)
  await answer("third")
  expect(fetches).toHaveLength(2)
})

test("a signal during the first fetch is followed by another fetch", async () => {
  const data = observe(["messages", "c1"])
  refetcher.now(["messages", "c1"])
  await answer("older than the signal")
  expect(fetches).toHaveLength(2)
  await answer("newer than the signal")
  expect(data()).toBe("newer than the signal")
  expect(fetches).toHaveLength(2)
})

test("after a loss the refetch happens within two seconds, not at once", async () => {
  vi.spyOn(Math, "random").mockReturnValue(0.5)
  observe(["conversations"])
  await answer("before")
  refetcher.soon()
  refetcher.soon()
  await vi.advanceTimersByTimeAsync(999)
  expect(fetches).toHaveLength(1)
  await vi.advanceTimersByTimeAsync(1)
  expect(fetches).toHaveLength(2)
})

test("a cancelled refetch does not happen", async () => {
  observe(["conversations"])
  await answer("before")
  refetcher.soon()
  refetcher.cancel()
  await vi.advanceTimersByTimeAsync(2_000)
  expect(fetches).toHaveLength(1)
})

test("other data is left alone", async () => {
  observe(["me"])
  await answer("alice")
  refetcher.now(["conversations"])
  vi.spyOn(Math, "random").mockReturnValue(0)
  refetcher.soon()
  await vi.advanceTimersByTimeAsync(1)
  expect(fetches).toHaveLength(1)
})
