// The first eight events as originally specified: the generated types must be the same.
import type * as generated from "./contracts"

export type WsEnvelope<T extends string, P> = {
  type: T
  data: P
  ts: number
  id?: string
}

export type WsEvents = {
  "server.messenger.message_new": {
    conversationId: string
    messageId: string
    senderId: string
    createdAt: string
  }
  "server.messenger.message_read": {
    conversationId: string
    messageId: string
    readerId: string
    readAt: string
  }
  "client.messenger.typing": {
    conversationId: string
    userId: string
    isTyping: boolean
  }
  "server.presence.update": {
    userId: string
    status: "online" | "away" | "offline"
    lastSeenAt?: string
  }
  "server.presence.batch": {
    users: { userId: string; status: "online" | "away" | "offline" }[]
  }
  "client.system.subscribe": {
    topics: (
      | { kind: "conversation"; id: string }
      | { kind: "user"; id: string }
    )[]
  }
  "server.system.error": { message: string; code?: string }
  "server.system.internal_disconnect": {
    userId: string
    socketId: string
    reason: "heartbeat_timeout" | "client_close" | "auth_failed"
  }
}

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : "too narrow") : "too wide"

export const payloads: { [T in keyof WsEvents]: Same<WsEvents[T], generated.WsEvents[T]> } = {
  "server.messenger.message_new": true,
  "server.messenger.message_read": true,
  "client.messenger.typing": true,
  "server.presence.update": true,
  "server.presence.batch": true,
  "client.system.subscribe": true,
  "server.system.error": true,
  "server.system.internal_disconnect": true,
}
export const envelope: Same<WsEnvelope<"x", 1>, generated.WsEnvelope<"x", 1>> = true
