import type { Topic } from "@hubbub/client"
import { expect, test } from "vitest"
import { Interests } from "../src/api/interests.ts"
import { topicKey } from "../src/stores/connection.ts"

const conversation = (id: string): Topic => ({ kind: "conversation", id })
const user = (id: string): Topic => ({ kind: "user", id })

function recorded() {
  const told: string[][] = []
  return { told, interests: new Interests((topics) => told.push(topics.map(topicKey))) }
}

test("what changes together is told once", async () => {
  const { told, interests } = recorded()
  interests.set("open", [user("bob")])
  interests.set("listed", [conversation("c1"), user("bob")])
  await Promise.resolve()
  expect(told).toEqual([["user:bob", "conversation:c1"]])
})

test("the same set in another order is not told again", async () => {
  const { told, interests } = recorded()
  interests.set("listed", [conversation("c1"), conversation("c2")])
  await Promise.resolve()
  interests.set("listed", [conversation("c2"), conversation("c1")])
  await Promise.resolve()
  interests.set("open", [conversation("c1")])
  await Promise.resolve()
  expect(told).toHaveLength(1)
})

test("of too much, what is open comes first, then conversations, then people", async () => {
  const { told, interests } = recorded()
  const listed = Array.from({ length: 511 }, (_, i) => [
    user(`u${i}`),
    conversation(`c${i}`),
  ]).flat()
  interests.set("listed", listed)
  interests.set("open", [user("bob")])
  await Promise.resolve()
  expect(told[0]).toHaveLength(512)
  expect(told[0]?.[0]).toBe("user:bob")
  expect(told[0]?.slice(1).every((topic) => topic.startsWith("conversation:"))).toBe(true)
})

test("after a reset the same is told anew", async () => {
  const { told, interests } = recorded()
  interests.set("open", [user("bob")])
  await Promise.resolve()
  interests.reset()
  interests.set("open", [user("bob")])
  await Promise.resolve()
  expect(told).toHaveLength(2)
})
