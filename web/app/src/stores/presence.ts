import type { Status, UserStatus } from "@hubbub/client"
import { create } from "zustand"

export type Seen = { status: Status; lastSeenAt?: string }

type PresenceStore = { users: Readonly<Record<string, Seen>> }

/** The announced presence of the users whose topics are subscribed to. */
export const usePresenceStore = create<PresenceStore>(() => ({ users: {} }))

export const presence = {
  update(userId: string, seen: Seen): void {
    usePresenceStore.setState(({ users }) => ({ users: { ...users, [userId]: seen } }))
  },

  batch(users: readonly UserStatus[]): void {
    const seen = Object.fromEntries(users.map(({ userId, status }) => [userId, { status }]))
    usePresenceStore.setState((store) => ({ users: { ...store.users, ...seen } }))
  },

  /** Remove the users whose topics are no longer subscribed to. */
  keepOnly(userIds: ReadonlySet<string>): void {
    usePresenceStore.setState(({ users }) => ({
      users: Object.fromEntries(Object.entries(users).filter(([id]) => userIds.has(id))),
    }))
  },
}

/** Return the best status among these users: online, then away, then offline; undefined if none is known. */
export function useStatusOf(userIds: readonly string[]): Status | undefined {
  return usePresenceStore(({ users }) => {
    const statuses = userIds.map((id) => users[id]?.status)
    return (["online", "away", "offline"] as const).find((status) => statuses.includes(status))
  })
}
