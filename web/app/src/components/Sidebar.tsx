import { useQuery } from "@tanstack/react-query"
import { useEffect, useState } from "react"
import { Link, useLocation } from "wouter"
import { conversationsQuery } from "../api/queries.ts"
import { logOut } from "../api/session.ts"
import { useMe } from "../hooks/useMe.ts"
import { useTopics } from "../hooks/useTopics.ts"
import { useMayFetch } from "../stores/connection.ts"
import { othersIn } from "../text/names.ts"
import { Avatar } from "./Avatar.tsx"
import { ConversationList } from "./ConversationList.tsx"
import { Icon } from "./Icon.tsx"
import { NewConversation } from "./NewConversation.tsx"
import "./Sidebar.css"

/** The list of conversations. It subscribes to them and to the presence of their members. */
export function Sidebar() {
  const me = useMe()
  const [, navigate] = useLocation()
  const [isStarting, setStarting] = useState(false)
  const { data: conversations, error } = useQuery({ ...conversationsQuery, enabled: useMayFetch() })

  useTopics("listed", [
    ...(conversations ?? []).flatMap((conversation) => [
      { kind: "conversation" as const, id: conversation.id },
      ...othersIn(conversation, me).map(({ id }) => ({ kind: "user" as const, id })),
    ]),
  ])

  const unread = conversations?.reduce((sum, { unreadCount }) => sum + unreadCount, 0) ?? 0
  useEffect(() => {
    document.title = unread > 0 ? `(${unread}) Hubbub` : "Hubbub"
  }, [unread])

  const leave = async () => {
    await logOut()
    navigate("/")
  }

  return (
    <aside className="sidebar" aria-label="Conversations">
      <header>
        <Link className="me" href={`/u/${me.id}`}>
          <Avatar id={me.id} name={me.displayName} size="small" />
          {me.displayName} <span className="visually-hidden">(your profile)</span>
        </Link>
        <button
          type="button"
          className="icon-button"
          aria-label="New conversation"
          title="New conversation"
          onClick={() => setStarting(true)}
        >
          <Icon name="plus" />
        </button>
        <button
          type="button"
          className="icon-button"
          aria-label="Log out"
          title="Log out"
          onClick={leave}
        >
          <Icon name="leave" />
        </button>
      </header>
      {conversations && <ConversationList conversations={conversations} />}
      {error && !conversations && <p className="hint">{error.message}</p>}
      {isStarting && (
        <NewConversation conversations={conversations ?? []} onClose={() => setStarting(false)} />
      )}
    </aside>
  )
}
