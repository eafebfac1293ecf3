import type { KeyboardEvent } from "react"
import type { Conversation } from "../api/schemas.ts"
import { useNow } from "../hooks/useNow.ts"
import { ConversationRow } from "./ConversationRow.tsx"
import "./ConversationList.css"

/** The conversations, the most recently active first. The arrow keys move between them. */
export function ConversationList({ conversations }: { conversations: readonly Conversation[] }) {
  const now = useNow()
  if (conversations.length === 0) {
    return <p className="hint">No conversations yet. Start one with the + button.</p>
  }
  return (
    <nav className="conversations" aria-label="Conversations" onKeyDown={moveFocus}>
      <ul>
        {conversations.map((conversation) => (
          <li key={conversation.id}>
            <ConversationRow conversation={conversation} now={now} />
          </li>
        ))}
      </ul>
    </nav>
  )
}

function moveFocus(event: KeyboardEvent<HTMLElement>): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
  if (step === undefined) return
  const links = [...event.currentTarget.querySelectorAll("a")]
  const focused = links.indexOf(document.activeElement as HTMLAnchorElement)
  links[focused + step]?.focus()
  event.preventDefault()
}
