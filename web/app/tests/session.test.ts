import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { conversationsQuery, meQuery } from "../src/api/queries.ts"
import { endSession, queryClient } from "../src/api/queryClient.ts"
import { keepSession, logIn } from "../src/api/session.ts"
import { user } from "./examples.ts"

const HOUR = 3_600_000

let calls: string[]
let answer: (call: string) => Response

beforeEach(() => {
  vi.useFakeTimers()
  calls = []
  answer = () => Response.json({})
  vi.stubGlobal("fetch", async (path: string, { method }: RequestInit) => {
    const call = `${method} ${path}`
    calls.push(call)
    return answer(call)
  })
  queryClient.setQueryData(meQuery.queryKey, user("alice"))
  queryClient.setQueryData(conversationsQuery.queryKey, [])
})
afterEach(() => {
  queryClient.clear()
  vi.useRealTimers()
})

function me() {
  return queryClient.getQueryData(meQuery.queryKey)
}

test("a session is renewed at once, and when half of it has passed", async () => {
  answer = () => Response.json({ userId: "alice", expiresAt: new Date(Date.now() + HOUR) })
  const end = keepSession()
  await vi.advanceTimersByTimeAsync(0)
  expect(calls).toEqual(["POST /api/session/renew"])
  await vi.advanceTimersByTimeAsync(HOUR / 2 - 1)
  expect(calls).toHaveLength(1)
  await vi.advanceTimersByTimeAsync(1)
  expect(calls).toHaveLength(2)
  end()
  await vi.advanceTimersByTimeAsync(HOUR)
  expect(calls).toHaveLength(2)
})

test("a renewal that failed is retried after a minute", async () => {
  answer = () => Response.error()
  const end = keepSession()
  await vi.advanceTimersByTimeAsync(60_000)
  expect(calls).toHaveLength(2)
  expect(me()).toEqual(user("alice"))
  end()
})

test("a renewal that is refused ends the session", async () => {
  answer = () => Response.json({}, { status: 401 })
  keepSession()
  await vi.advanceTimersByTimeAsync(120_000)
  expect(calls).toHaveLength(1)
  expect(me()).toBeNull()
})

test("a 401 to any call ends the session", async () => {
  answer = () => Response.json({}, { status: 401 })
  await queryClient.fetchQuery({ ...conversationsQuery, staleTime: 0 }).catch(() => {})
  expect(me()).toBeNull()
  expect(queryClient.getQueryData(conversationsQuery.queryKey)).toBeUndefined()
})

test("nothing of one user is left for the next", () => {
  endSession(queryClient)
  expect(me()).toBeNull()
  expect(queryClient.getQueryData(conversationsQuery.queryKey)).toBeUndefined()
})

test("logging in fetches the user", async () => {
  endSession(queryClient)
  answer = (call) => Response.json(call === "GET /api/me" ? user("bob") : {})
  await logIn({ username: "bob", password: "bob" })
  expect(calls).toEqual(["POST /api/session", "GET /api/me"])
  expect(me()).toEqual(user("bob"))
})
