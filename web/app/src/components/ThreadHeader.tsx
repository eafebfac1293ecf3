import { Link } from "wouter"
import type { Conversation } from "../api/shapes.ts"
import { useMe } from "../hooks/useMe.ts"
import { usePresenceStore, useStatusOf } from "../stores/presence.ts"
import { othersIn, partnerIn, titleOf } from "../text/names.ts"
import { Avatar } from "./Avatar.tsx"
import { BackLink } from "./BackLink.tsx"
import "./ThreadHeader.css"

const spoken = { online: "Online", away: "Away", offline: "Offline" }

/** Says with whom one talks, and who of them is here. */
export function ThreadHeader({ conversation }: { conversation: Conversation }) {
  const me = useMe()
  const others = othersIn(conversation, me)
  const partner = partnerIn(conversation, me)
  const title = titleOf(conversation, me)
  const status = useStatusOf(others.map(({ id }) => id))
  const present = usePresenceStore(
    ({ users }) => others.filter(({ id }) => users[id]?.status === "online").length,
  )
  return (
    <header className="thread-header">
      <BackLink />
      <Avatar id={partner?.id ?? conversation.id} name={title} status={status} />
      <div>
        <h1>{partner ? <Link href={`/u/${partner.id}`}>{title}</Link> : title}</h1>
        {partner ? (
          <p>{status && spoken[status]}</p>
        ) : (
          <p>
            <span>
              {present} of {others.length} online
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
