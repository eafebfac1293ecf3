import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { TypingSignal } from "../src/api/typingSignal.ts"
import { typing, useTypingStore } from "../src/stores/typing.ts"

const typists = (conversation: string) => useTypingStore.getState().conversations[conversation]

beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  typing.clear()
  vi.useRealTimers()
})

describe("the typing of others", () => {
  test("lasts for six seconds after the last signal", () => {
    typing.receive("c1", "bob", true)
    vi.advanceTimersByTime(5_000)
    typing.receive("c1", "bob", true)
    vi.advanceTimersByTime(5_999)
    expect(typists("c1")).toEqual(["bob"])
    vi.advanceTimersByTime(1)
    expect(typists("c1")).toEqual([])
  })

  test("ends with their signal", () => {
    typing.receive("c1", "bob", true)
    typing.receive("c1", "carol", true)
    typing.receive("c1", "bob", false)
    expect(typists("c1")).toEqual(["carol"])
  })

  test("is stored by conversation", () => {
    typing.receive("c1", "bob", true)
    typing.receive("c2", "bob", true)
    typing.receive("c1", "bob", false)
    expect(typists("c2")).toEqual(["bob"])
  })

  test("does not update the store without a change", () => {
    typing.receive("c1", "bob", true)
    const before = useTypingStore.getState()
    typing.receive("c1", "bob", true)
    typing.receive("c1", "carol", false)
    expect(useTypingStore.getState()).toBe(before)
  })
})

describe("the own typing", () => {
  function signal() {
    const sent: [boolean, number][] = []
    const start = performance.now()
    return { sent, signal: new TypingSignal((is) => sent.push([is, performance.now() - start])) }
  }

  test("is signalled at most every three seconds", () => {
    const { sent, signal: typed } = signal()
    for (let pressed = 0; pressed < 70; pressed++) {
      typed.typed()
      vi.advanceTimersByTime(100)
    }
    expect(sent).toEqual([
      [true, 0],
      [true, 3_000],
      [true, 6_000],
    ])
  })

  test("ends with a pause", () => {
    const { sent, signal: typed } = signal()
    typed.typed()
    vi.advanceTimersByTime(4_000)
    expect(sent).toEqual([
      [true, 0],
      [false, 4_000],
    ])
  })

  test("ends once, when the text is sent", () => {
    const { sent, signal: typed } = signal()
    typed.typed()
    typed.stop()
    typed.stop()
    vi.advanceTimersByTime(10_000)
    expect(sent).toEqual([
      [true, 0],
      [false, 0],
    ])
  })

  test("is signalled again after sending, but not within three seconds", () => {
    const { sent, signal: typed } = signal()
    typed.typed()
    typed.stop()
    vi.advanceTimersByTime(1_000)
    typed.typed()
    vi.advanceTimersByTime(2_500)
    expect(sent).toEqual([
      [true, 0],
      [false, 0],
      [true, 3_000],
    ])
  })

  test("is not signalled for a text that was deleted at once", () => {
    const { sent, signal: typed } = signal()
    typed.typed()
    typed.stop()
    typed.typed()
    typed.stop()
    vi.advanceTimersByTime(10_000)
    expect(sent).toHaveLength(2)
  })
})
