import { useInfiniteQuery, useQuery } from "@tanstack/react-query"
import { conversationsQuery, messagesQuery } from "../api/queries.ts"
import { RestError } from "../api/rest.ts"
import { Composer } from "../components/Composer.tsx"
import { MessageList } from "../components/MessageList.tsx"
import { Notice } from "../components/Notice.tsx"
import { ThreadHeader } from "../components/ThreadHeader.tsx"
import { TypingLine } from "../components/TypingLine.tsx"
import { useMe } from "../hooks/useMe.ts"
import { useSending } from "../hooks/useSending.ts"
import { useTopics } from "../hooks/useTopics.ts"
import { useMayFetch } from "../stores/connection.ts"
import { othersIn, titleOf } from "../text/names.ts"
import "./ConversationPage.css"

/** One conversation: its messages, who is typing, and the composer. */
export function ConversationPage({ id }: { id: string }) {
  const me = useMe()
  const topic = { kind: "conversation", id } as const
  const { data: conversations } = useQuery({ ...conversationsQuery, enabled: useMayFetch() })
  const conversation = conversations?.find((each) => each.id === id)
  const people = conversation ? othersIn(conversation, me) : []
  useTopics("open", [topic, ...people.map((user) => ({ kind: "user" as const, id: user.id }))])
  const history = useInfiniteQuery({ ...messagesQuery(id), enabled: useMayFetch(topic) })
  const sending = useSending(id)

  if (history.error && !history.data)
    return <LoadError error={history.error} retry={history.refetch} />
  if (!conversation) return null
  return (
    <article className="thread" aria-label={`Conversation: ${titleOf(conversation, me)}`}>
      <ThreadHeader conversation={conversation} />
      <MessageList conversation={conversation} history={history} sending={sending} />
      <TypingLine conversation={conversation} />
      <Composer conversationId={id} send={sending.send} />
    </article>
  )
}

function LoadError({ error, retry }: { error: Error; retry: () => void }) {
  if (error instanceof RestError && error.status < 500) {
    return (
      <Notice title="Conversation not available">
        It does not exist, or you are not a member.
      </Notice>
    )
  }
  return (
    <Notice title="Messages could not be loaded" action={{ label: "Try again", run: retry }}>
      {error.message}
    </Notice>
  )
}
