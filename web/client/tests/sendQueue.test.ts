import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { SendQueue } from "../src/sendQueue.ts"

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test("returns what waits, oldest first, once", () => {
  const queue = new SendQueue()
  queue.push("a")
  queue.push("b")
  expect(queue.drain()).toEqual(["a", "b"])
  expect(queue.drain()).toEqual([])
  expect(queue.dropped).toBe(0)
})

test("the sixty-fifth replaces the oldest", () => {
  const queue = new SendQueue()
  for (let i = 0; i <= 64; i++) queue.push(String(i))
  expect(queue.dropped).toBe(1)
  const waiting = queue.drain()
  expect(waiting).toHaveLength(64)
  expect(waiting[0]).toBe("1")
})

test("what has waited for ten seconds is dropped and counted", () => {
  const queue = new SendQueue()
  queue.push("old")
  vi.advanceTimersByTime(6_000)
  queue.push("young")
  vi.advanceTimersByTime(4_000)
  expect(queue.dropped).toBe(1)
  expect(queue.drain()).toEqual(["young"])
  expect(queue.dropped).toBe(1)
})

test("clearing counts", () => {
  const queue = new SendQueue()
  queue.push("a")
  queue.clear()
  expect(queue.dropped).toBe(1)
  expect(queue.drain()).toEqual([])
})
