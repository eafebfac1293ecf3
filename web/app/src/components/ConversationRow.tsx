import { Link, useRoute } from "wouter"
import type { Conversation, User } from "../api/schemas.ts"
import { useMe } from "../hooks/useMe.ts"
import { usePageVisible } from "../hooks/useVisible.ts"
import { useStatusOf } from "../stores/presence.ts"
import { useTypists } from "../stores/typing.ts"
import { othersIn, partnerIn, titleOf } from "../text/names.ts"
import { shortTime } from "../text/times.ts"
import { Avatar } from "./Avatar.tsx"
import { typingText } from "./TypingLine.tsx"

type Props = { conversation: Conversation; now: number }

/** One conversation in the list: its title, presence, last message and unread count. */
export function ConversationRow({ conversation, now }: Props) {
  const me = useMe()
  const [isOpen] = useRoute(`/c/${conversation.id}`)
  const isSeen = usePageVisible() && isOpen
  const others = othersIn(conversation, me)
  const status = useStatusOf(others.map(({ id }) => id))
  const typists = useTypists(conversation)
  const title = titleOf(conversation, me)
  const { lastMessage, unreadCount } = conversation
  return (
    <Link className="row" href={`/c/${conversation.id}`} aria-current={isOpen ? "page" : undefined}>
      <Avatar
        id={partnerIn(conversation, me)?.id ?? conversation.id}
        name={title}
        status={status}
      />
      <span className="title">{title}</span>
      {lastMessage && (
        <time dateTime={lastMessage.createdAt}>{shortTime(lastMessage.createdAt, now)}</time>
      )}
      <span className="preview" data-typing={typists.length > 0 || undefined}>
        {typists.length > 0 ? typingText(typists) : preview(conversation, me)}
      </span>
      {unreadCount > 0 && !isSeen && (
        <span className="badge">
          {unreadCount < 100 ? unreadCount : "99+"}
          <span className="visually-hidden"> unread</span>
        </span>
      )}
    </Link>
  )
}

function preview(conversation: Conversation, me: User): string {
  const { lastMessage, members } = conversation
  if (!lastMessage) return "No messages yet"
  if (lastMessage.senderId === me.id) return `You: ${lastMessage.body}`
  if (partnerIn(conversation, me)) return lastMessage.body
  const sender = members.find(({ user }) => user.id === lastMessage.senderId)
  return `${sender?.user.displayName ?? "Former member"}: ${lastMessage.body}`
}
