import type { Conversation, Message, User } from "../src/api/schemas.ts"

export function user(id: string): User {
  const displayName = id.charAt(0).toUpperCase() + id.slice(1)
  return { id, username: id, displayName, createdAt: "2030-01-01T00:00:00.000Z" }
}

export function conversationOf(users: User[], rest: Partial<Conversation> = {}): Conversation {
  return {
    id: "c1",
    createdAt: "2030-01-01T00:00:00.000Z",
    members: users.map((each) => ({ user: each })),
    unreadCount: 0,
    ...rest,
  }
}

let messages = 0

export function message(body: string, rest: Partial<Message> = {}): Message {
  return {
    id: `m${++messages}`,
    conversationId: "c1",
    senderId: "alice",
    body,
    createdAt: "2030-01-01T12:00:00.000Z",
    ...rest,
  }
}
