import type { Status, UserStatus } from "@hubbub/client"
import { create } from "zustand"

export type Seen = { status: Status; lastSeenAt?: string }

type PresenceStore = { users: Readonly<Record<string, Seen>> }

/** Who is online, as the server last announced it; nobody is in it who is not subscribed to. */
export const usePresenceStore = create<PresenceStore>(() => ({ users: {} }))

export const presence = {
  update(userId: string, seen: Seen): void {
    usePresenceStore.setState(({ users }) => ({ users: { ...users, [userId]: seen } }))
  },

  batch(users: readonly UserStatus[]): void {
    const seen = Object.fromEntries(users.map(({ userId, status }) => [userId, { status }]))
    usePresenceStore.setState((store) => ({ users: { ...store.users, ...seen } }))
  },

  /** Forgets the users about whom changes are not heard any more. */
  keepOnly(userIds: ReadonlySet<string>): void {
    usePresenceStore.setState(({ users }) => ({
      users: Object.fromEntries(Object.entries(users).filter(([id]) => userIds.has(id))),
    }))
  },
}

/** Gives the status of the one of these users who is most present; nothing while no status is known. */
export function useStatusOf(userIds: readonly string[]): Status | undefined {
  return usePresenceStore(({ users }) => {
    const statuses = userIds.map((id) => users[id]?.status)
    return (["online", "away", "offline"] as const).find((status) => statuses.includes(status))
  })
}
