import type { Status } from "@hubbub/client"
import { useQuery } from "@tanstack/react-query"
import { presenceQuery } from "../api/queries.ts"
import { useNow } from "../hooks/useNow.ts"
import { useMayFetch } from "../stores/connection.ts"
import { usePresenceStore } from "../stores/presence.ts"
import { lastSeen } from "../text/times.ts"
import "./PresencePill.css"

/** "Online now", "Away" or "Last seen 5 min ago", updated live. */
export function PresencePill({ userId }: { userId: string }) {
  const now = useNow()
  const live = usePresenceStore(({ users }) => users[userId])
  const mayFetch = useMayFetch({ kind: "user", id: userId })
  const { data: stored } = useQuery({ ...presenceQuery(userId), enabled: mayFetch })
  const status = live?.status ?? stored?.status
  if (!status) return <p className="pill" />
  return (
    <p className="pill" data-status={status}>
      {describe(status, live?.lastSeenAt ?? stored?.lastSeenAt, now)}
    </p>
  )
}

function describe(status: Status, lastSeenAt: string | undefined, now: number): string {
  if (status === "online") return "Online now"
  if (status === "away") return "Away"
  return lastSeenAt === undefined ? "Offline" : lastSeen(lastSeenAt, now)
}
