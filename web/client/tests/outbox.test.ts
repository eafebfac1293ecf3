import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { Outbox } from "../src/outbox.ts"

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test("gives back what waits, oldest first, once", () => {
  const outbox = new Outbox()
  outbox.push("a")
  outbox.push("b")
  expect(outbox.drain()).toEqual(["a", "b"])
  expect(outbox.drain()).toEqual([])
  expect(outbox.dropped).toBe(0)
})

test("the sixty-fifth pushes out the oldest", () => {
  const outbox = new Outbox()
  for (let i = 0; i <= 64; i++) outbox.push(String(i))
  expect(outbox.dropped).toBe(1)
  const waiting = outbox.drain()
  expect(waiting).toHaveLength(64)
  expect(waiting[0]).toBe("1")
})

test("what has waited for ten seconds is dropped and counted", () => {
  const outbox = new Outbox()
  outbox.push("old")
  vi.advanceTimersByTime(6_000)
  outbox.push("young")
  vi.advanceTimersByTime(4_000)
  expect(outbox.dropped).toBe(1)
  expect(outbox.drain()).toEqual(["young"])
  expect(outbox.dropped).toBe(1)
})

test("clearing counts", () => {
  const outbox = new Outbox()
  outbox.push("a")
  outbox.clear()
  expect(outbox.dropped).toBe(1)
  expect(outbox.drain()).toEqual([])
})
