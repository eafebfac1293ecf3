import { afterEach, expect, test, vi } from "vitest"
import { Backoff } from "../src/backoff.ts"

afterEach(() => void vi.restoreAllMocks())

test("the ceiling doubles from half a second to twenty", () => {
  vi.spyOn(Math, "random").mockReturnValue(1)
  const backoff = new Backoff()
  const ceilings = Array.from({ length: 8 }, () => backoff.next())
  expect(ceilings).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000])
})

test("the jitter is full: any delay from nothing to the ceiling", () => {
  const backoff = new Backoff()
  const random = vi.spyOn(Math, "random")
  random.mockReturnValueOnce(0)
  expect(backoff.next()).toBe(0)
  random.mockReturnValueOnce(0.25)
  expect(backoff.next()).toBe(250)
})

test("a reset starts over", () => {
  vi.spyOn(Math, "random").mockReturnValue(1)
  const backoff = new Backoff()
  backoff.next()
  backoff.next()
  backoff.reset()
  expect(backoff.next()).toBe(500)
})

test("ten thousand failures later the ceiling still stands", () => {
  vi.spyOn(Math, "random").mockReturnValue(1)
  const backoff = new Backoff()
  for (let attempt = 0; attempt < 10_000; attempt++) backoff.next()
  expect(backoff.next()).toBe(20_000)
})
