import { QueryClient, QueryClientProvider } from "@tanstack/react-query"
import { act, renderHook, waitFor } from "@testing-library/react"
import type { ReactNode } from "react"
import { beforeEach, expect, test, vi } from "vitest"
import { useMarkRead } from "../src/hooks/useMarkRead.ts"
import { MeContext } from "../src/hooks/useMe.ts"
import { useSending } from "../src/hooks/useSending.ts"
import { conversationOf, message, user } from "./examples.ts"

const [alice, bob] = [user("alice"), user("bob")]

let bodies: string[]
let pending: ((answer: Response) => void)[]

beforeEach(() => {
  bodies = []
  pending = []
  vi.stubGlobal("fetch", (_: string, { body }: RequestInit) => {
    bodies.push(String(body))
    return new Promise<Response>((resolve) => pending.push(resolve))
  })
})

function Page({ children }: { children: ReactNode }) {
  return (
    <QueryClientProvider client={new QueryClient()}>
      <MeContext value={alice}>{children}</MeContext>
    </QueryClientProvider>
  )
}

test("messages are shown at once, and sent one after another", async () => {
  const { result } = renderHook(() => useSending("c1"), { wrapper: Page })
  act(() => {
    result.current.send("one")
    result.current.send("two")
  })
  await waitFor(() =>
    expect(result.current.outgoing.map(({ body }) => body)).toEqual(["one", "two"]),
  )
  expect(bodies).toEqual(['{"body":"one"}'])
  await act(async () => pending[0]?.(Response.json(message("one", { id: "m1" }))))
  await waitFor(() => expect(bodies).toEqual(['{"body":"one"}', '{"body":"two"}']))
  expect(result.current.outgoing[0]?.sentId).toBe("m1")
})

test("a message that failed stays until it is tried again or discarded", async () => {
  const { result } = renderHook(() => useSending("c1"), { wrapper: Page })
  act(() => result.current.send("one"))
  await waitFor(() => expect(pending).toHaveLength(1))
  await act(async () => pending[0]?.(Response.json({ detail: "Not now." }, { status: 503 })))
  await waitFor(() => expect(result.current.outgoing[0]).toMatchObject({ problem: "Not now." }))
  const [failed] = result.current.outgoing
  if (!failed) throw new Error("nothing failed")
  act(() => result.current.retry(failed))
  await waitFor(() => expect(bodies).toHaveLength(2))
  expect(result.current.outgoing).toMatchObject([{ body: "one", hasFailed: false }])
  const [again] = result.current.outgoing
  act(() => again && result.current.discard(again))
  await waitFor(() => expect(result.current.outgoing).toEqual([]))
})

test("seen messages are marked as read, once", async () => {
  const conversation = conversationOf([alice, bob])
  const messages = [
    message("hello", { id: "m1", senderId: "bob" }),
    message("hi", { id: "m2", senderId: "alice" }),
  ]
  const { rerender } = renderHook(({ isSeen }) => useMarkRead(conversation, messages, isSeen), {
    wrapper: Page,
    initialProps: { isSeen: false },
  })
  expect(bodies).toEqual([])
  rerender({ isSeen: true })
  rerender({ isSeen: false })
  rerender({ isSeen: true })
  await waitFor(() => expect(bodies).toEqual(['{"messageId":"m1"}']))
})

test("read messages are not marked again", () => {
  const conversation = conversationOf([alice, bob])
  conversation.members = conversation.members.map((member) => ({
    ...member,
    lastReadMessageId: "m1",
  }))
  const messages = [message("hello", { id: "m1", senderId: "bob" })]
  renderHook(() => useMarkRead(conversation, messages, true), { wrapper: Page })
  expect(bodies).toEqual([])
})
