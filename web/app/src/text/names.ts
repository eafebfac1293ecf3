import type { Conversation, Member, User } from "../api/schemas.ts"

const list = new Intl.ListFormat("en", { type: "conjunction" })

/** Join names: "Bob", "Bob and Carol", "Bob, Carol, and Dave". */
export function listNames(names: readonly string[]): string {
  return list.format(names)
}

export function othersIn(conversation: Conversation, me: User): User[] {
  return conversation.members.map(({ user }) => user).filter(({ id }) => id !== me.id)
}

/** Return the other member of a conversation of two without a title. */
export function partnerIn(conversation: Conversation, me: User): User | undefined {
  const others = othersIn(conversation, me)
  return conversation.title === undefined && others.length === 1 ? others[0] : undefined
}

export function titleOf(conversation: Conversation, me: User): string {
  if (conversation.title !== undefined) return conversation.title
  const names = othersIn(conversation, me).map(({ displayName }) => displayName)
  return names.length > 0 ? listNames(names) : "Just you"
}

/** Return the untitled conversation of exactly these people and me, so that none is started twice. */
export function conversationWith(
  conversations: readonly Conversation[],
  people: readonly User[],
  me: User,
): Conversation | undefined {
  const wanted = new Set([me.id, ...people.map(({ id }) => id)])
  return conversations.find(
    ({ title, members }) =>
      title === undefined &&
      members.length === wanted.size &&
      members.every(({ user }) => wanted.has(user.id)),
  )
}

export function initials(name: string): string {
  const words = name.trim().split(/\s+/)
  const letters = [words[0], words.length > 1 ? words.at(-1) : ""].map(
    (word) => [...(word ?? "")][0],
  )
  return letters.join("").toUpperCase()
}

/** Return one of eight hues, always the same for an id. */
export function hueOf(id: string): number {
  let hash = 0
  for (const character of id) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) % 1_000_003
  return hash % 8
}

/** Return the others who have read a message. Ids grow, so a greater last read id counts too. */
export function readersOf(messageId: string, members: readonly Member[], me: User): User[] {
  return members
    .filter(
      ({ user, lastReadMessageId }) => user.id !== me.id && (lastReadMessageId ?? "") >= messageId,
    )
    .map(({ user }) => user)
}
