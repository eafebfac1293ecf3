import { describe, expect, test } from "vitest"
import type { Conversation, User } from "../src/api/schemas.ts"
import { groupMessages } from "../src/text/groupMessages.ts"
import { conversationWith, hueOf, initials, readersOf, titleOf } from "../src/text/names.ts"
import { dayHeading, lastSeen, shortTime } from "../src/text/times.ts"
import { conversationOf, message, user } from "./examples.ts"

const [alice, bob, carol] = [user("alice"), user("bob"), user("carol")]
const NOW = new Date(2030, 0, 31, 12).getTime()
const MINUTE = 60_000
const ago = (milliseconds: number) => new Date(NOW - milliseconds).toISOString()

describe("when a user was last seen", () => {
  test.each([
    [-5_000, "Last seen just now"], // the server's clock is ahead
    [59_999, "Last seen just now"],
    [MINUTE, "Last seen 1 min ago"],
    [5.9 * MINUTE, "Last seen 5 min ago"],
    [59.9 * MINUTE, "Last seen 59 min ago"],
    [60 * MINUTE, "Last seen 1 h ago"],
    [23.9 * 60 * MINUTE, "Last seen 23 h ago"],
    [24 * 60 * MINUTE, "Last seen yesterday"],
    [3 * 24 * 60 * MINUTE, "Last seen 3 days ago"],
    [30 * 24 * 60 * MINUTE, "Last seen on 1 January 2030"],
  ])("%d ms ago: %s", (age, expected) => {
    expect(lastSeen(ago(age), NOW)).toBe(expected)
  })
})

test("a day is named by its distance", () => {
  expect(dayHeading(ago(0), NOW)).toBe("Today")
  expect(dayHeading(ago(13 * 60 * MINUTE), NOW)).toBe("Yesterday")
  expect(dayHeading(ago(3 * 24 * 60 * MINUTE), NOW)).toBe("Monday")
  expect(dayHeading(ago(30 * 24 * 60 * MINUTE), NOW)).toBe("1 January 2030")
})

test("the list says it shortTime", () => {
  expect(shortTime(ago(0), NOW)).toBe("12:00")
  expect(shortTime(ago(13 * 60 * MINUTE), NOW)).toBe("Yesterday")
  expect(shortTime(ago(3 * 24 * 60 * MINUTE), NOW)).toBe("Mon")
  expect(shortTime(ago(30 * 24 * 60 * MINUTE), NOW)).toBe("1 Jan")
})

test.each([
  [conversationOf([alice, bob]), "Bob"],
  [conversationOf([alice, bob, carol]), "Bob and Carol"],
  [conversationOf([alice, bob], { title: "Lunch" }), "Lunch"],
  [conversationOf([alice]), "Just you"],
])("a conversation has its title, or the names of the others", (conversation, expected) => {
  expect(titleOf(conversation, alice)).toBe(expected)
})

describe("a conversation of just these people", () => {
  const find = (conversations: Conversation[], people: User[]) =>
    conversationWith(conversations, people, alice)?.id

  test("is found in any order", () => {
    const conversations = [
      conversationOf([alice, bob], { id: "c1" }),
      conversationOf([bob, carol, alice], { id: "c2" }),
    ]
    expect(find(conversations, [bob])).toBe("c1")
    expect(find(conversations, [carol, bob])).toBe("c2")
    expect(find(conversations, [carol])).toBeUndefined()
  })

  test("is not one with a title", () => {
    expect(find([conversationOf([alice, bob], { title: "Lunch" })], [bob])).toBeUndefined()
  })
})

test("a greater last read id counts as read; the own one does not", () => {
  const { members } = conversationOf([alice, bob, carol])
  const read = members.map((member) => ({
    ...member,
    ...(member.user.id !== "carol" && { lastReadMessageId: "m5" }),
  }))
  expect(readersOf("m4", read, alice)).toEqual([bob])
  expect(readersOf("m5", read, alice)).toEqual([bob])
  expect(readersOf("m6", read, alice)).toEqual([])
})

test("initials are whole characters", () => {
  expect(initials("alice")).toBe("A")
  expect(initials("  Ada King Lovelace ")).toBe("AL")
  expect(initials("😀 x")).toBe("😀X")
  expect(initials("")).toBe("")
})

test("a hue is one of eight and stays the same", () => {
  expect(hueOf("alice")).toBe(hueOf("alice"))
  expect(new Set(Array.from({ length: 200 }, (_, i) => hueOf(`user ${i}`)))).toEqual(
    new Set([0, 1, 2, 3, 4, 5, 6, 7]),
  )
})

test("groups end with another sender, a pause, and the day", () => {
  const at = (sender: string, day: number, minute: number) =>
    message("hello", {
      senderId: sender,
      createdAt: new Date(2030, 0, day, 9, minute).toISOString(),
    })
  const grouped = groupMessages([
    at("alice", 1, 0),
    at("alice", 1, 4),
    at("bob", 1, 4),
    at("bob", 1, 10),
    at("bob", 2, 0),
  ])
  expect(grouped.map(({ isNewGroup }) => isNewGroup)).toEqual([true, false, true, true, true])
  expect(grouped.map(({ isNewDay }) => isNewDay)).toEqual([true, false, false, false, true])
})
