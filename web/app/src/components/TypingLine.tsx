import type { Conversation, User } from "../api/schemas.ts"
import { useTypists } from "../stores/typing.ts"
import { listNames } from "../text/names.ts"
import "./TypingLine.css"

/** Who is typing. Screen readers announce it. */
export function TypingLine({ conversation }: { conversation: Conversation }) {
  const typists = useTypists(conversation)
  return (
    <p className="typing" role="status">
      {typists.length > 0 && typingText(typists)}
    </p>
  )
}

/** "Bob is typing…" */
export function typingText(typists: readonly User[]): string {
  if (typists.length > 3) return "Several people are typing…"
  const names = listNames(typists.map(({ displayName }) => displayName))
  return `${names} ${typists.length === 1 ? "is" : "are"} typing…`
}
