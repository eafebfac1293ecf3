import { Link } from "wouter"
import type { Conversation } from "../api/schemas.ts"
import { useMe } from "../hooks/useMe.ts"
import { usePresenceStore, useStatusOf } from "../stores/presence.ts"
import { othersIn, partnerIn, titleOf } from "../text/names.ts"
import { Avatar } from "./Avatar.tsx"
import { BackLink } from "./BackLink.tsx"
import "./ThreadHeader.css"

const labels = { online: "Online", away: "Away", offline: "Offline" }

/** The title of a conversation, and which of its members are online. */
export function ThreadHeader({ conversation }: { conversation: Conversation }) {
  const me = useMe()
  const others = othersIn(conversation, me)
  const partner = partnerIn(conversation, me)
  const title = titleOf(conversation, me)
  const status = useStatusOf(others.map(({ id }) => id))
  const onlineCount = usePresenceStore(
    ({ users }) => others.filter(({ id }) => users[id]?.status === "online").length,
  )
  return (
    <header className="thread-header">
      <BackLink />
      <Avatar id={partner?.id ?? conversation.id} name={title} status={status} />
      <div>
        <h1>{partner ? <Link href={`/u/${partner.id}`}>{title}</Link> : title}</h1>
        {partner ? (
          <p>{status && labels[status]}</p>
        ) : (
          <p>
            <span>
              {onlineCount} of {others.length} online
            </span>
            {others.map((user) => (
              <Link key={user.id} href={`/u/${user.id}`}>
                {user.displayName}
              </Link>
            ))}
          </p>
        )}
      </div>
    </header>
  )
}
