import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { closeCodes } from "../src/index.ts"
import { FakeSocket, startClient } from "./fakeSocket.ts"

let browser: EventTarget

beforeEach(() => {
  vi.useFakeTimers()
  vi.spyOn(Math, "random").mockReturnValue(1)
  browser = new EventTarget()
  vi.stubGlobal("addEventListener", browser.addEventListener.bind(browser))
  vi.stubGlobal("removeEventListener", browser.removeEventListener.bind(browser))
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
  vi.unstubAllGlobals()
})

function fire(name: string): void {
  browser.dispatchEvent(new Event(name))
}

/** Close the latest socket and return the delay before the next attempt. */
function delayAfter(client: { state: unknown }, code: number, reason = ""): number {
  FakeSocket.latest.closes(code, reason)
  const state = client.state as { name: string; delay: number }
  expect(state.name).toBe("waiting")
  return state.delay
}

function codesWith(policy: string): number[] {
  return Object.entries(closeCodes)
    .filter(([, close]) => close?.reconnect === policy)
    .map(([code]) => Number(code))
}

describe("the close-code table", () => {
  test.each([...codesWith("with backoff"), 1000, 1001, 1005, 1006, 3000, 4999])(
    "%d: reconnects with backoff",
    (code) => {
      const { client } = startClient()
      FakeSocket.latest.becomesReady()
      expect(delayAfter(client, code)).toBe(500)
      vi.advanceTimersByTime(499)
      expect(FakeSocket.opened).toHaveLength(1)
      vi.advanceTimersByTime(1)
      expect(FakeSocket.opened).toHaveLength(2)
    },
  )

  test.each(codesWith("never"))("%d: never reconnects", (code) => {
    const { client } = startClient()
    FakeSocket.latest.becomesReady()
    FakeSocket.latest.closes(code, "because")
    vi.advanceTimersByTime(600_000)
    fire("online")
    expect(client.state).toEqual({ name: "stopped", why: { code, reason: "because" } })
    expect(FakeSocket.opened).toHaveLength(1)
  })

  test.each(codesWith("with a new token"))("%d: does not reconnect by itself", (code) => {
    const { client } = startClient()
    FakeSocket.latest.closes(code)
    vi.advanceTimersByTime(600_000)
    fire("online")
    expect(client.state.name).toBe("stopped")
    expect(FakeSocket.opened).toHaveLength(1)
  })

  test("has every policy, and 1012 reconnects after its delay", () => {
    expect(codesWith("after the delay in the reason")).toEqual([1012])
    expect(codesWith("with a new token")).toEqual([4401, 4403])
    expect(codesWith("never")).toEqual([1002, 1003, 1007, 1009, 4400])
  })
})

describe("a restart", () => {
  test("is followed by the delay that the server asks for, plus jitter", () => {
    const { client } = startClient()
    expect(delayAfter(client, 1012, "restart; retry_after_ms=3000")).toBe(3500)
  })

  test("is not cut short by the browser's events", () => {
    startClient()
    FakeSocket.latest.closes(1012, "restart; retry_after_ms=3000")
    vi.advanceTimersByTime(2_999)
    fire("online")
    fire("pageshow")
    expect(FakeSocket.opened).toHaveLength(1)
    vi.advanceTimersByTime(1)
    fire("online")
    expect(FakeSocket.opened).toHaveLength(2)
  })

  test.each(["restart", "restart; retry_after_ms=soon", "restart; retry_after_ms=-5"])(
    "without a readable delay (%s) is an ordinary backoff",
    (reason) => {
      const { client } = startClient()
      expect(delayAfter(client, 1012, reason)).toBe(500)
    },
  )

  test("of an absurd length is bounded by five minutes", () => {
    const { client } = startClient()
    expect(delayAfter(client, 1012, "restart; retry_after_ms=99999999999999")).toBe(300_500)
  })
})

describe("backoff", () => {
  test("doubles while the server is unreachable", () => {
    const { client } = startClient()
    const delays = Array.from({ length: 7 }, () => {
      const delay = delayAfter(client, 1006)
      vi.advanceTimersByTime(delay)
      return delay
    })
    expect(delays).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 20_000])
  })

  test("continues if a connection did not last", () => {
    const { client } = startClient()
    vi.advanceTimersByTime(delayAfter(client, 1006))
    FakeSocket.latest.becomesReady()
    vi.advanceTimersByTime(29_999)
    expect(delayAfter(client, 1006)).toBe(1000)
  })

  test("starts over after thirty stable seconds", () => {
    const { client } = startClient()
    vi.advanceTimersByTime(delayAfter(client, 1006))
    FakeSocket.latest.becomesReady()
    vi.advanceTimersByTime(30_000)
    expect(delayAfter(client, 1006)).toBe(500)
  })
})

describe("the browser's events", () => {
  test.each(["online", "pageshow"])("%s tries at once", (name) => {
    const { client } = startClient()
    FakeSocket.latest.closes(1006)
    fire(name)
    expect(client.state.name).toBe("connecting")
    expect(FakeSocket.opened).toHaveLength(2)
    vi.advanceTimersByTime(5_000)
    expect(FakeSocket.opened).toHaveLength(2)
  })

  test("start tries at once too", () => {
    const { client } = startClient()
    FakeSocket.latest.closes(1006)
    client.start()
    expect(FakeSocket.opened).toHaveLength(2)
  })

  test("a tab that becomes visible tries at once, one that becomes hidden does not", () => {
    const document = Object.assign(new EventTarget(), { visibilityState: "hidden" })
    vi.stubGlobal("document", document)
    startClient()
    FakeSocket.latest.closes(1006)
    document.dispatchEvent(new Event("visibilitychange"))
    expect(FakeSocket.opened).toHaveLength(1)
    document.visibilityState = "visible"
    document.dispatchEvent(new Event("visibilitychange"))
    expect(FakeSocket.opened).toHaveLength(2)
  })

  test("online replaces a socket that the lost network may have broken", () => {
    const { client } = startClient()
    const before = FakeSocket.latest
    before.becomesReady()
    fire("online")
    expect(before.closed).toBe(true)
    expect(client.state.name).toBe("connecting")
    expect(FakeSocket.opened).toHaveLength(2)
  })

  test("pageshow leaves a live connection alone", () => {
    const { client } = startClient()
    FakeSocket.latest.becomesReady()
    fire("pageshow")
    expect(client.state.name).toBe("ready")
    expect(FakeSocket.opened).toHaveLength(1)
  })

  test("a stopped client listens to none", () => {
    const { client } = startClient()
    client.stop()
    fire("online")
    fire("pageshow")
    expect(FakeSocket.opened).toHaveLength(1)
  })
})

describe("a token that is no longer valid", () => {
  test("is refreshed once, and the client connects again at once", async () => {
    const onUnauthorized = vi.fn(() => Promise.resolve(true))
    const { client } = startClient({ onUnauthorized })
    FakeSocket.latest.closes(4401, "unauthorized")
    await vi.runAllTicks()
    await Promise.resolve()
    expect(FakeSocket.opened).toHaveLength(2)
    FakeSocket.latest.becomesReady()
    expect(client.state.name).toBe("ready")
    expect(onUnauthorized).toHaveBeenCalledOnce()
  })

  test("stops the client when the refreshed one is refused too", async () => {
    const onUnauthorized = vi.fn(() => Promise.resolve(true))
    const { client } = startClient({ onUnauthorized })
    FakeSocket.latest.closes(4401, "unauthorized")
    await vi.advanceTimersByTimeAsync(0)
    FakeSocket.latest.becomesReady()
    FakeSocket.latest.closes(4401, "unauthorized")
    await vi.advanceTimersByTimeAsync(600_000)
    expect(onUnauthorized).toHaveBeenCalledOnce()
    expect(FakeSocket.opened).toHaveLength(2)
    expect(client.state).toEqual({ name: "stopped", why: { code: 4401, reason: "unauthorized" } })
  })

  test("may be refreshed again after thirty stable seconds", async () => {
    const onUnauthorized = vi.fn(() => Promise.resolve(true))
    startClient({ onUnauthorized })
    for (let round = 0; round < 3; round++) {
      FakeSocket.latest.becomesReady()
      vi.advanceTimersByTime(30_000)
      FakeSocket.latest.closes(4401, "unauthorized")
      await vi.advanceTimersByTimeAsync(0)
    }
    expect(onUnauthorized).toHaveBeenCalledTimes(3)
    expect(FakeSocket.opened).toHaveLength(4)
  })

  test.each([
    ["there is no new one", () => Promise.resolve(false)],
    ["the refresh fails", () => Promise.reject(new Error("offline"))],
  ])("stops the client if %s", async (_, onUnauthorized) => {
    const { client } = startClient({ onUnauthorized })
    FakeSocket.latest.closes(4401, "unauthorized")
    await vi.advanceTimersByTimeAsync(600_000)
    expect(client.state.name).toBe("stopped")
    expect(FakeSocket.opened).toHaveLength(1)
  })

  test("is not used again while it is refreshed", async () => {
    let answer: (isRefreshed: boolean) => void = () => {}
    startClient({ onUnauthorized: () => new Promise((resolve) => (answer = resolve)) })
    FakeSocket.latest.closes(4401, "unauthorized")
    fire("online")
    expect(FakeSocket.opened).toHaveLength(1)
    answer(true)
    await vi.advanceTimersByTimeAsync(0)
    expect(FakeSocket.opened).toHaveLength(2)
  })

  test("refreshed too late for a stopped client changes nothing", async () => {
    const { client } = startClient({ onUnauthorized: () => Promise.resolve(true) })
    FakeSocket.latest.closes(4401, "unauthorized")
    client.stop()
    await vi.advanceTimersByTimeAsync(600_000)
    expect(client.state.name).toBe("stopped")
    expect(FakeSocket.opened).toHaveLength(1)
  })

  test("is not refreshed after 4403: access was withdrawn", async () => {
    const onUnauthorized = vi.fn(() => Promise.resolve(true))
    const { client } = startClient({ onUnauthorized })
    FakeSocket.latest.closes(4403, "access withdrawn")
    await vi.advanceTimersByTimeAsync(600_000)
    expect(onUnauthorized).not.toHaveBeenCalled()
    expect(client.state.name).toBe("stopped")
  })
})
