import { create } from "zustand"
import type { Conversation, User } from "../api/shapes.ts"

/** A person whose last signal is older than this has stopped typing, or left. */
const CLEARED_AFTER = 6_000

type TypingStore = { conversations: Readonly<Record<string, readonly string[]>> }

/** Who is typing, by conversation. */
export const useTypingStore = create<TypingStore>(() => ({ conversations: {} }))

const timers = new Map<string, ReturnType<typeof setTimeout>>()

export const typing = {
  heard(conversationId: string, userId: string, isTyping: boolean): void {
    const key = JSON.stringify([conversationId, userId])
    clearTimeout(timers.get(key))
    timers.delete(key)
    if (isTyping) {
      const clear = () => typing.heard(conversationId, userId, false)
      timers.set(key, setTimeout(clear, CLEARED_AFTER))
    }
    const before = useTypingStore.getState().conversations[conversationId] ?? []
    if (before.includes(userId) === isTyping) return
    const users = isTyping ? [...before, userId] : before.filter((id) => id !== userId)
    useTypingStore.setState(({ conversations }) => ({
      conversations: { ...conversations, [conversationId]: users },
    }))
  },

  clear(): void {
    for (const timer of timers.values()) clearTimeout(timer)
    timers.clear()
    useTypingStore.setState({ conversations: {} })
  },
}

const nobody: readonly string[] = []

/** Gives the members who are typing in a conversation. */
export function useTypists(conversation: Conversation): User[] {
  const ids = useTypingStore(({ conversations }) => conversations[conversation.id] ?? nobody)
  return conversation.members.map(({ user }) => user).filter(({ id }) => ids.includes(id))
}
