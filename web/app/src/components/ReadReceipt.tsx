import type { Conversation, Message } from "../api/schemas.ts"
import { useMe } from "../hooks/useMe.ts"
import { listNames, partnerIn, readersOf } from "../text/names.ts"

type Props = { message: Message; conversation: Conversation }

/** Who has read my newest message. */
export function ReadReceipt({ message, conversation }: Props) {
  const me = useMe()
  const readers = readersOf(message.id, conversation.members, me)
  if (readers.length === 0) return <p className="receipt">Sent</p>
  if (partnerIn(conversation, me)) return <p className="receipt">Read</p>
  const isReadByAll = readers.length === conversation.members.length - 1
  const names = isReadByAll ? "everyone" : listNames(readers.map(({ displayName }) => displayName))
  return <p className="receipt">Read by {names}</p>
}
