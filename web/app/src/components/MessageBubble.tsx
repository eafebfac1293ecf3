import { Link } from "wouter"
import type { Conversation, Message } from "../api/shapes.ts"
import { useMe } from "../hooks/useMe.ts"
import { partnerIn } from "../text/names.ts"
import { inFull, timeOfDay } from "../text/times.ts"
import { Avatar } from "./Avatar.tsx"
import "./MessageBubble.css"

type Props = { message: Message; conversation: Conversation; isNewRun: boolean }

/** Shows a message. What people write is text, whatever it looks like. */
export function MessageBubble({ message, conversation, isNewRun }: Props) {
  const me = useMe()
  const isMine = message.senderId === me.id
  const sender = conversation.members.find(({ user }) => user.id === message.senderId)?.user
  const name = isMine ? "You" : (sender?.displayName ?? "Somebody")
  const isAmongMany = !isMine && !partnerIn(conversation, me)
  return (
    <div className="message" data-mine={isMine || undefined} data-many={isAmongMany || undefined}>
      {isAmongMany && isNewRun && (
        <Link className="sender" href={`/u/${message.senderId}`}>
          <Avatar id={message.senderId} name={name} size="small" />
          <span>{name}</span>
        </Link>
      )}
      <p className="bubble" dir="auto">
        {!(isAmongMany && isNewRun) && <span className="visually-hidden">{name}: </span>}
        {message.body}
      </p>
      <time dateTime={message.createdAt} title={inFull(message.createdAt)}>
        {timeOfDay(message.createdAt)}
      </time>
    </div>
  )
}
