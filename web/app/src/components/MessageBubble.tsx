import { Link } from "wouter"
import type { Conversation, Message } from "../api/schemas.ts"
import { useMe } from "../hooks/useMe.ts"
import { partnerIn } from "../text/names.ts"
import { fullTime, timeOfDay } from "../text/times.ts"
import { Avatar } from "./Avatar.tsx"
import "./MessageBubble.css"

type Props = { message: Message; conversation: Conversation; isNewGroup: boolean }

/** One message. Its body is always shown as plain text. */
export function MessageBubble({ message, conversation, isNewGroup }: Props) {
  const me = useMe()
  const isMine = message.senderId === me.id
  const sender = conversation.members.find(({ user }) => user.id === message.senderId)?.user
  const name = isMine ? "You" : (sender?.displayName ?? "Former member")
  const isInGroup = !isMine && !partnerIn(conversation, me)
  return (
    <div className="message" data-mine={isMine || undefined} data-many={isInGroup || undefined}>
      {isInGroup && isNewGroup && (
        <Link className="sender" href={`/u/${message.senderId}`}>
          <Avatar id={message.senderId} name={name} size="small" />
          <span>{name}</span>
        </Link>
      )}
      <p className="bubble" dir="auto">
        {!(isInGroup && isNewGroup) && <span className="visually-hidden">{name}: </span>}
        {message.body}
      </p>
      <time dateTime={message.createdAt} title={fullTime(message.createdAt)}>
        {timeOfDay(message.createdAt)}
      </time>
    </div>
  )
}
