/** The shapes of the messenger's REST calls. An optional field is absent, never `null`. */

import type { Status } from "@hubbub/client"

export type User = {
  id: string
  username: string
  displayName: string
  createdAt: string
}

export type Message = {
  /** Ids grow: of two messages in one conversation, the greater id is the later one. */
  id: string
  conversationId: string
  senderId: string
  body: string
  createdAt: string
}

/** Newest first. */
export type MessagePage = {
  messages: Message[]
  nextBefore?: string
}

export type Member = {
  user: User
  lastReadMessageId?: string
  lastReadAt?: string
}

export type Conversation = {
  id: string
  title?: string
  createdAt: string
  members: Member[]
  lastMessage?: Message
  /** Messages of others after the last one read; counted up to 100. */
  unreadCount: number
}

export type Presence = {
  userId: string
  status: Status
  lastSeenAt?: string
}

export type Session = {
  userId: string
  expiresAt: string
}

export type NewConversation = {
  memberIds: string[]
  title?: string
}
