import { create } from "zustand"
import type { Conversation, User } from "../api/schemas.ts"

/** A user whose last signal is older than this no longer counts as typing. */
const EXPIRES_AFTER = 6_000

type TypingStore = { conversations: Readonly<Record<string, readonly string[]>> }

/** The ids of the users who are typing, by conversation. */
export const useTypingStore = create<TypingStore>(() => ({ conversations: {} }))

const timers = new Map<string, ReturnType<typeof setTimeout>>()

export const typing = {
  receive(conversationId: string, userId: string, isTyping: boolean): void {
    const key = JSON.stringify([conversationId, userId])
    clearTimeout(timers.get(key))
    timers.delete(key)
    if (isTyping) {
      const clear = () => typing.receive(conversationId, userId, false)
      timers.set(key, setTimeout(clear, EXPIRES_AFTER))
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

const noUserIds: readonly string[] = []

/** Return the members who are typing in a conversation. */
export function useTypists(conversation: Conversation): User[] {
  const ids = useTypingStore(({ conversations }) => conversations[conversation.id] ?? noUserIds)
  return conversation.members.map(({ user }) => user).filter(({ id }) => ids.includes(id))
}
