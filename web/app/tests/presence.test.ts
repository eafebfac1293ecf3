import { beforeEach, expect, test } from "vitest"
import { presence, usePresenceStore } from "../src/stores/presence.ts"

const users = () => usePresenceStore.getState().users

beforeEach(() => presence.keepOnly(new Set()))

test("a batch sets many, an update one", () => {
  presence.batch([
    { userId: "alice", status: "online" },
    { userId: "bob", status: "away" },
  ])
  presence.update("bob", { status: "offline", lastSeenAt: "2030-01-01T00:00:00.000Z" })
  expect(users()).toEqual({
    alice: { status: "online" },
    bob: { status: "offline", lastSeenAt: "2030-01-01T00:00:00.000Z" },
  })
})

test("a batch does not keep a time that may be older than it", () => {
  presence.update("bob", { status: "offline", lastSeenAt: "2030-01-01T00:00:00.000Z" })
  presence.batch([{ userId: "bob", status: "offline" }])
  expect(users()).toEqual({ bob: { status: "offline" } })
})

test("users without a subscribed topic are removed", () => {
  presence.batch([
    { userId: "alice", status: "online" },
    { userId: "bob", status: "away" },
  ])
  presence.keepOnly(new Set(["bob"]))
  expect(users()).toEqual({ bob: { status: "away" } })
})
