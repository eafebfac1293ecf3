import type { InfiniteData, UseInfiniteQueryResult } from "@tanstack/react-query"
import { useEffect, useMemo, useRef } from "react"
import type { Conversation, MessagePage } from "../api/schemas.ts"
import { useMarkRead } from "../hooks/useMarkRead.ts"
import { useMe } from "../hooks/useMe.ts"
import { useNow } from "../hooks/useNow.ts"
import type { Sending } from "../hooks/useSending.ts"
import { useInView, usePageVisible } from "../hooks/useVisible.ts"
import { groupMessages } from "../text/groupMessages.ts"
import { titleOf } from "../text/names.ts"
import { dayHeading } from "../text/times.ts"
import { EarlierMessages } from "./EarlierMessages.tsx"
import { Icon } from "./Icon.tsx"
import { MessageBubble } from "./MessageBubble.tsx"
import { OutgoingMessage } from "./OutgoingMessage.tsx"
import { ReadReceipt } from "./ReadReceipt.tsx"
import "./MessageList.css"

export type History = UseInfiniteQueryResult<InfiniteData<MessagePage>>

type Props = { conversation: Conversation; history: History; sending: Sending }

/** The messages, the newest at the bottom. Scrolling up loads older ones. */
export function MessageList({ conversation, history, sending }: Props) {
  const me = useMe()
  const now = useNow()
  const scroller = useRef<HTMLElement>(null)
  const bottom = useRef<HTMLDivElement>(null)
  const isAtBottom = useInView(bottom)
  const isPageVisible = usePageVisible()

  const messages = useMemo(
    () => history.data?.pages.flatMap((page) => page.messages).toReversed() ?? [],
    [history.data],
  )
  const arrived = useMemo(() => new Set(messages.map(({ id }) => id)), [messages])
  const outgoing = sending.outgoing.filter(({ sentId }) => !sentId || !arrived.has(sentId))
  useMarkRead(conversation, messages, isAtBottom && isPageVisible)

  /** The column is reversed: 0 is the bottom. */
  const toBottom = () => scroller.current?.scrollTo({ top: 0 })
  const latest = outgoing.at(-1)?.key
  useEffect(() => {
    if (latest !== undefined) scroller.current?.scrollTo({ top: 0 })
  }, [latest])

  const lastOfMine = messages.findLast(({ senderId }) => senderId === me.id)
  return (
    <section className="messages">
      <section
        ref={scroller}
        className="scroller"
        role="log"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: makes it scrollable with the keyboard
        tabIndex={0}
        aria-label={`Messages: ${titleOf(conversation, me)}`}
      >
        <div className="column">
          {history.hasNextPage && <EarlierMessages history={history} />}
          {history.data && messages.length + outgoing.length === 0 && (
            <p className="hint">No messages yet. Say hello.</p>
          )}
          {groupMessages(messages).map(({ message, isNewDay, isNewGroup }) => (
            <div key={message.id} className="entry" data-group={isNewGroup || undefined}>
              {isNewDay && <h2 className="day">{dayHeading(message.createdAt, now)}</h2>}
              <MessageBubble
                message={message}
                conversation={conversation}
                isNewGroup={isNewGroup}
              />
              {message === lastOfMine && (
                <ReadReceipt message={message} conversation={conversation} />
              )}
            </div>
          ))}
          {outgoing.map((message) => (
            <OutgoingMessage key={message.key} message={message} sending={sending} />
          ))}
          <div ref={bottom} className="bottom" />
        </div>
      </section>
      {!isAtBottom && messages.length > 0 && (
        <button
          type="button"
          className="latest icon-button"
          aria-label="Scroll to the newest message"
          onClick={toBottom}
        >
          <Icon name="down" />
        </button>
      )}
    </section>
  )
}
