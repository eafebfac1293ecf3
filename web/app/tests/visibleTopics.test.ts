import type { Topic } from "@hubbub/client"
import { expect, test } from "vitest"
import { VisibleTopics } from "../src/api/visibleTopics.ts"
import { topicKey } from "../src/stores/connection.ts"

const conversation = (id: string): Topic => ({ kind: "conversation", id })
const user = (id: string): Topic => ({ kind: "user", id })

function recorded() {
  const calls: string[][] = []
  return { calls, visible: new VisibleTopics((topics) => calls.push(topics.map(topicKey))) }
}

test("changes at the same time lead to one call", async () => {
  const { calls, visible } = recorded()
  visible.set("open", [user("bob")])
  visible.set("listed", [conversation("c1"), user("bob")])
  await Promise.resolve()
  expect(calls).toEqual([["user:bob", "conversation:c1"]])
})

test("the same set in another order is not a change", async () => {
  const { calls, visible } = recorded()
  visible.set("listed", [conversation("c1"), conversation("c2")])
  await Promise.resolve()
  visible.set("listed", [conversation("c2"), conversation("c1")])
  await Promise.resolve()
  visible.set("open", [conversation("c1")])
  await Promise.resolve()
  expect(calls).toHaveLength(1)
})

test("of too many, what is open comes first, then conversations, then people", async () => {
  const { calls, visible } = recorded()
  const listed = Array.from({ length: 511 }, (_, i) => [
    user(`u${i}`),
    conversation(`c${i}`),
  ]).flat()
  visible.set("listed", listed)
  visible.set("open", [user("bob")])
  await Promise.resolve()
  expect(calls[0]).toHaveLength(512)
  expect(calls[0]?.[0]).toBe("user:bob")
  expect(calls[0]?.slice(1).every((topic) => topic.startsWith("conversation:"))).toBe(true)
})

test("after a reset the same set is a change", async () => {
  const { calls, visible } = recorded()
  visible.set("open", [user("bob")])
  await Promise.resolve()
  visible.reset()
  visible.set("open", [user("bob")])
  await Promise.resolve()
  expect(calls).toHaveLength(2)
})
