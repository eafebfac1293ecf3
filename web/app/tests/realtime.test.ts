import { WsClient } from "@hubbub/client"
import { QueryClient } from "@tanstack/react-query"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { FakeSocket } from "../../client/tests/fakeSocket.ts"
import { Realtime } from "../src/api/realtime.ts"
import { useConnectionStore } from "../src/stores/connection.ts"
import { usePresenceStore } from "../src/stores/presence.ts"
import { useTypingStore } from "../src/stores/typing.ts"

const conversation = { kind: "conversation", id: "c1" } as const
const bob = { kind: "user", id: "bob" } as const

let realtime: Realtime
let stop: () => void
let invalidated: string[]

beforeEach(() => {
  vi.useFakeTimers()
  vi.spyOn(Math, "random").mockReturnValue(0.5)
  FakeSocket.opened = []
  invalidated = []
  const queries = new QueryClient()
  vi.spyOn(queries, "invalidateQueries").mockImplementation(async (filters) => {
    invalidated.push(String(filters?.queryKey))
  })
  realtime = new Realtime(new WsClient({ WebSocket: FakeSocket }), queries)
  stop = realtime.start()
})
afterEach(() => {
  stop()
  vi.useRealTimers()
  vi.restoreAllMocks()
})

const receive: FakeSocket["receiveEvent"] = (type, data) =>
  FakeSocket.latest.receiveEvent(type, data)

async function subscribe(topics: (typeof conversation | typeof bob)[]): Promise<void> {
  realtime.watch("open", topics)
  await vi.advanceTimersByTimeAsync(0)
  receive("server.system.subscribed", { topics, refused: [] })
  await vi.advanceTimersByTimeAsync(0)
}

function reconnect(): void {
  FakeSocket.latest.closes(1006)
  vi.advanceTimersByTime(500)
  FakeSocket.latest.becomesReady()
}

describe("fetching", () => {
  test("begins after subscribed, and only for new topics", async () => {
    FakeSocket.latest.becomesReady()
    expect(invalidated).toEqual([])
    await subscribe([conversation])
    expect(invalidated).toEqual(["conversations", "messages,c1"])
    await subscribe([conversation, bob])
    expect(invalidated).toHaveLength(2)
  })

  test("is allowed for a topic once the server has answered", async () => {
    FakeSocket.latest.becomesReady()
    realtime.watch("open", [conversation])
    await vi.advanceTimersByTimeAsync(0)
    expect([...useConnectionStore.getState().answered]).toEqual([])
    receive("server.system.subscribed", { topics: [], refused: [conversation] })
    expect([...useConnectionStore.getState().answered]).toEqual(["conversation:c1"])
  })

  test("is allowed too if subscribing failed", async () => {
    FakeSocket.latest.becomesReady()
    realtime.watch("open", [conversation])
    await vi.advanceTimersByTimeAsync(0)
    receive("server.system.error", { message: "subscribe failed", code: "internal" })
    expect([...useConnectionStore.getState().answered]).toEqual(["conversation:c1"])
  })

  test("happens again after a reconnect, with jitter, and not before the topics are subscribed", async () => {
    FakeSocket.latest.becomesReady()
    await subscribe([conversation])
    invalidated = []
    reconnect()
    await vi.advanceTimersByTimeAsync(900)
    receive("server.system.subscribed", { topics: [conversation], refused: [] })
    await vi.advanceTimersByTimeAsync(999)
    expect(invalidated).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(invalidated).toEqual(["conversations", "messages", "presence"])
  })

  test("happens once more if subscribed comes late", async () => {
    FakeSocket.latest.becomesReady()
    await subscribe([conversation])
    invalidated = []
    reconnect()
    await vi.advanceTimersByTimeAsync(1_000)
    receive("server.system.subscribed", { topics: [conversation], refused: [] })
    await vi.advanceTimersByTimeAsync(1_000)
    expect(invalidated).toHaveLength(6)
  })

  test("follows resync with jitter", async () => {
    FakeSocket.latest.becomesReady()
    receive("server.system.resync", { topics: [conversation] })
    await vi.advanceTimersByTimeAsync(999)
    expect(invalidated).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(invalidated).toEqual(["conversations", "messages", "presence"])
  })

  test("follows conversations_changed at once", () => {
    receive("server.messenger.conversations_changed", {})
    expect(invalidated).toEqual(["conversations"])
  })

  test("follows a new message and a read receipt: they invalidate and write nothing", async () => {
    const data = { conversationId: "c1", messageId: "m1", senderId: "bob", createdAt: "" }
    receive("server.messenger.message_new", data)
    expect(invalidated).toEqual(["messages,c1", "conversations"])
    await vi.advanceTimersByTimeAsync(0)
    const read = { conversationId: "c1", messageId: "m1", readerId: "bob", readAt: "" }
    receive("server.messenger.message_read", read)
    expect(invalidated).toEqual(["messages,c1", "conversations", "conversations"])
  })
})

describe("the stores", () => {
  test("store presence, and remove users whose topic is no longer subscribed", async () => {
    FakeSocket.latest.becomesReady()
    await subscribe([bob])
    receive("server.presence.batch", { users: [{ userId: "bob", status: "away" }] })
    receive("server.presence.update", { userId: "alice", status: "online" })
    const users = () => usePresenceStore.getState().users
    expect(users()).toEqual({ bob: { status: "away" }, alice: { status: "online" } })
    await subscribe([conversation])
    expect(users()).toEqual({ alice: { status: "online" } }) // the own presence always arrives
  })

  test("store who is typing, but not the own typing in another tab", () => {
    FakeSocket.latest.becomesReady()
    const typing = (userId: string) => ({ conversationId: "c1", userId, isTyping: true })
    receive("client.messenger.typing", typing("bob"))
    receive("client.messenger.typing", typing("alice"))
    expect(useTypingStore.getState().conversations).toEqual({ c1: ["bob"] })
  })

  test("ignore everything else", () => {
    FakeSocket.latest.becomesReady()
    const before = [usePresenceStore.getState(), useTypingStore.getState()]
    FakeSocket.latest.receive('{"type":"server.presence.update","data":{"userId":1},"ts":1}')
    FakeSocket.latest.receive('{"type":"server.unknown","data":{},"ts":1}')
    FakeSocket.latest.receive("<b>")
    expect([usePresenceStore.getState(), useTypingStore.getState()]).toEqual(before)
    expect(useConnectionStore.getState().state.name).toBe("ready")
  })
})

describe("the session", () => {
  test.each([4401, 4403])("is checked when the socket closes with %d", (code) => {
    FakeSocket.latest.closes(code, "")
    expect(invalidated).toEqual(["me"])
  })

  test("leaves nothing behind for the next user", async () => {
    FakeSocket.latest.becomesReady()
    await subscribe([conversation, bob])
    receive("server.presence.batch", { users: [{ userId: "bob", status: "away" }] })
    realtime.sendTyping("c1", true)
    stop()
    expect(usePresenceStore.getState().users).toEqual({})
    expect(useConnectionStore.getState().isSettled).toBe(false)
    stop = realtime.start()
    FakeSocket.latest.becomesReady()
    expect(FakeSocket.latest.sent).toMatchObject([{ data: { topics: [] } }])
  })
})

test("no automatic action is sent as a signal", async () => {
  FakeSocket.latest.becomesReady()
  await subscribe([conversation])
  dispatchEvent(new Event("focus"))
  dispatchEvent(new Event("pageshow"))
  document.dispatchEvent(new Event("visibilitychange"))
  reconnect()
  await vi.advanceTimersByTimeAsync(60_000)
  const types = FakeSocket.opened.flatMap(({ sent }) => sent.map(({ type }) => type))
  expect(new Set(types)).toEqual(new Set(["client.system.subscribe"]))
})
