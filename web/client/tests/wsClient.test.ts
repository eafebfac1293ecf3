import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { type Topic, WsClient, type WsEnvelope } from "../src/index.ts"
import { FakeSocket, startClient } from "./fakeSocket.ts"

const topics: Topic[] = [
  { kind: "conversation", id: "c1" },
  { kind: "user", id: "bob" },
]
const typing = { conversationId: "c1", userId: "alice", isTyping: true }

beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
  vi.unstubAllGlobals()
})

describe("connecting", () => {
  test("does nothing before start", () => {
    FakeSocket.opened = []
    const client = new WsClient({ url: "ws://hubbub.test/ws", WebSocket: FakeSocket })
    expect(client.state).toEqual({ name: "stopped", why: { code: 1000, reason: "not started" } })
    expect(FakeSocket.opened).toEqual([])
  })

  test("is ready after the server's ready event, not after the socket opened", () => {
    const { client, states } = startClient()
    expect(client.state.name).toBe("connecting")
    FakeSocket.latest.becomesReady()
    expect(client.state).toEqual({ name: "ready", userId: "alice", socketId: "s1" })
    expect(states).toEqual(["connecting", "ready"])
  })

  test("starting twice opens one socket", () => {
    const { client } = startClient()
    client.start()
    FakeSocket.latest.becomesReady()
    client.start()
    expect(FakeSocket.opened).toHaveLength(1)
  })

  test("turns http into ws", () => {
    startClient()
    expect(FakeSocket.latest.url).toBe("ws://hubbub.test/ws")
  })

  test("goes to /ws of the page's own host by default", () => {
    vi.stubGlobal("location", { origin: "https://chat.example" })
    FakeSocket.opened = []
    new WsClient({ WebSocket: FakeSocket }).start()
    expect(FakeSocket.latest.url).toBe("wss://chat.example/ws")
  })

  test("explains what is missing if the runtime has no WebSocket", () => {
    vi.stubGlobal("WebSocket", undefined)
    const client = new WsClient({ url: "ws://hubbub.test/ws" })
    expect(() => client.start()).toThrow("no WebSocket in this runtime: pass one as an option")
  })

  test("gives up on a socket that is not ready within ten seconds", () => {
    const { client } = startClient()
    const socket = FakeSocket.latest
    vi.advanceTimersByTime(10_000)
    expect(socket.closed).toBe(true)
    expect(client.state.name).toBe("waiting")
  })
})

describe("events", () => {
  test("reach the listeners of their type, whole", () => {
    const { client } = startClient()
    const listener = vi.fn()
    const other = vi.fn()
    client.on("server.presence.update", listener)
    client.on("server.presence.batch", other)
    FakeSocket.latest.receiveEvent("server.presence.update", { userId: "bob", status: "away" })
    const event = { type: "server.presence.update", data: { userId: "bob", status: "away" }, ts: 1 }
    expect(listener.mock.calls).toEqual([[event]])
    expect(other).not.toHaveBeenCalled()
  })

  test("do not reach a listener that was removed", () => {
    const { client } = startClient()
    const listener = vi.fn()
    const end = client.on("server.messenger.conversations_changed", listener)
    end()
    FakeSocket.latest.receiveEvent("server.messenger.conversations_changed", {})
    expect(listener).not.toHaveBeenCalled()
  })

  test("are never answered", () => {
    startClient()
    FakeSocket.latest.becomesReady()
    FakeSocket.latest.receiveEvent("server.system.resync", { topics })
    FakeSocket.latest.receiveEvent("client.messenger.typing", typing)
    expect(FakeSocket.latest.sent).toEqual([])
  })

  test("still reach the others when one listener throws", () => {
    const { client } = startClient()
    const log = vi.spyOn(console, "error").mockReturnValue()
    const listener = vi.fn()
    client.on("server.messenger.conversations_changed", () => {
      throw new Error("boom")
    })
    client.on("server.messenger.conversations_changed", listener)
    FakeSocket.latest.receiveEvent("server.messenger.conversations_changed", {})
    expect(listener).toHaveBeenCalledOnce()
    expect(log).toHaveBeenCalledOnce()
  })

  test.each([
    ["an unknown type", '{"type":"server.nope","data":{},"ts":1}'],
    ["a payload of another shape", '{"type":"server.presence.update","data":{"userId":1},"ts":1}'],
    ["an inherited name", '{"type":"toString","data":{},"ts":1}'],
    ["no JSON", "<b>hello</b>"],
    ["no envelope", "[]"],
    ["null", "null"],
    ["a binary frame", new ArrayBuffer(3)],
  ])("of %s are counted and ignored", (_, data) => {
    const { client } = startClient()
    FakeSocket.latest.becomesReady()
    FakeSocket.latest.receive(data)
    expect(client.ignored).toBe(1)
    expect(client.state.name).toBe("ready")
  })

  test("with unknown fields are accepted", () => {
    const { client } = startClient()
    const listener = vi.fn()
    client.on("server.presence.update", listener)
    const event = { userId: "bob", status: "away", mood: "new" }
    FakeSocket.latest.receive(
      JSON.stringify({ type: "server.presence.update", data: event, ts: 1 }),
    )
    expect(listener).toHaveBeenCalledOnce()
  })

  test("of an app's own contract pass its own guard", () => {
    FakeSocket.opened = []
    const client = new WsClient<object, { "server.orders.changed": { id: string } }>({
      url: "ws://hubbub.test/ws",
      WebSocket: FakeSocket,
      isServerEvent: (value): value is WsEnvelope<string, unknown> => value !== undefined,
    })
    const ids: string[] = []
    client.on("server.orders.changed", ({ data }) => ids.push(data.id))
    client.start()
    FakeSocket.latest.receive('{"type":"server.orders.changed","data":{"id":"o1"},"ts":1}')
    expect(ids).toEqual(["o1"])
  })
})

describe("subscriptions", () => {
  test("made early are sent once ready, as one set and before any signal", () => {
    const { client } = startClient()
    client.subscribe([])
    client.send("client.messenger.typing", typing)
    client.subscribe(topics)
    FakeSocket.latest.becomesReady()
    const [first, second] = FakeSocket.latest.sent
    expect(first).toMatchObject({ type: "client.system.subscribe", data: { topics } })
    expect(second).toMatchObject({ type: "client.messenger.typing" })
  })

  test("are replaced at once while ready", () => {
    const { client } = startClient()
    FakeSocket.latest.becomesReady()
    client.subscribe(topics)
    expect(FakeSocket.latest.sent).toMatchObject([{ data: { topics } }])
  })

  test("are sent again after every reconnect", () => {
    const { client } = startClient()
    client.subscribe(topics)
    for (let round = 0; round < 3; round++) {
      FakeSocket.latest.becomesReady()
      expect(FakeSocket.latest.sent).toMatchObject([
        { type: "client.system.subscribe", data: { topics } },
      ])
      FakeSocket.latest.closes(1006)
      vi.runOnlyPendingTimers()
    }
    expect(FakeSocket.opened).toHaveLength(4)
  })

  test("are not sent if there are none", () => {
    startClient()
    FakeSocket.latest.becomesReady()
    expect(FakeSocket.latest.sent).toEqual([])
  })
})

describe("signals", () => {
  test("are sent at once while ready", () => {
    vi.setSystemTime(1234)
    const { client } = startClient()
    FakeSocket.latest.becomesReady()
    client.send("client.messenger.typing", typing)
    expect(FakeSocket.latest.sent).toEqual([
      { type: "client.messenger.typing", data: typing, ts: 1234 },
    ])
  })

  test("wait for the connection", () => {
    const { client } = startClient()
    client.send("client.messenger.typing", typing)
    expect(FakeSocket.latest.sent).toEqual([])
    FakeSocket.latest.becomesReady()
    expect(FakeSocket.latest.sent).toHaveLength(1)
    expect(client.dropped).toBe(0)
  })

  test("wait for the next connection if this one has begun to close", () => {
    const { client } = startClient()
    FakeSocket.latest.becomesReady()
    FakeSocket.latest.readyState = 2
    client.send("client.messenger.typing", typing)
    client.subscribe(topics)
    expect(FakeSocket.latest.sent).toEqual([])
    FakeSocket.latest.closes(1006)
    client.start()
    FakeSocket.latest.becomesReady()
    expect(FakeSocket.latest.sent.map(({ type }) => type)).toEqual([
      "client.system.subscribe",
      "client.messenger.typing",
    ])
  })

  test("are dropped and counted after ten seconds", () => {
    const { client } = startClient()
    FakeSocket.latest.closes(1006)
    client.send("client.messenger.typing", typing)
    vi.advanceTimersByTime(10_001)
    FakeSocket.latest.becomesReady()
    expect(FakeSocket.latest.sent).toEqual([])
    expect(client.dropped).toBe(1)
  })

  test("are never sent for the next user: stopping drops those that wait", () => {
    const { client } = startClient()
    client.send("client.messenger.typing", typing)
    client.stop()
    client.send("client.messenger.typing", typing)
    client.start()
    FakeSocket.latest.becomesReady()
    expect(FakeSocket.latest.sent).toEqual([])
    expect(client.dropped).toBe(2)
  })
})

describe("stopping", () => {
  test("closes the socket, and nothing comes after", () => {
    const { client, states } = startClient()
    const socket = FakeSocket.latest
    socket.becomesReady()
    client.stop()
    socket.closes(1006)
    vi.advanceTimersByTime(60_000)
    expect(socket.closed).toBe(true)
    expect(client.state).toEqual({ name: "stopped", why: { code: 1000, reason: "stopped" } })
    expect(states).toEqual(["connecting", "ready", "stopped"])
    expect(FakeSocket.opened).toHaveLength(1)
  })

  test("also ends the wait for the next attempt", () => {
    const { client } = startClient()
    FakeSocket.latest.closes(1006)
    client.stop()
    vi.advanceTimersByTime(60_000)
    expect(FakeSocket.opened).toHaveLength(1)
  })

  test("from within a state listener calls every listener once, in order", () => {
    const { client } = startClient()
    const seen: string[] = []
    client.onState(({ name }) => name === "ready" && client.stop())
    client.onState(({ name }) => seen.push(name))
    FakeSocket.latest.becomesReady()
    expect(seen).toEqual(["stopped"])
  })

  test("a removed state listener is not called", () => {
    const { client } = startClient()
    const listener = vi.fn()
    client.onState(listener)()
    client.stop()
    expect(listener).not.toHaveBeenCalled()
  })
})
