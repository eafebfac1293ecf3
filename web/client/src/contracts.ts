// Generated from the Python contract by `hubbub contract export --format typescript`: never edited.

/** One event: the one shape of everything on the socket. */
export type WsEnvelope<T extends string, P> = {
  type: T
  data: P
  /** Milliseconds since the epoch. */
  ts: number
  /** The client's own correlation id, echoed in the `server.system.error` that this event caused. */
  id?: string
}

export type Status = "online" | "away" | "offline"

/** One user's announced status. */
export type UserStatus = {
  userId: string
  status: Status
}

export type DisconnectReason = "heartbeat_timeout" | "client_close" | "auth_failed"

/** The kinds of topic that some event is addressed to; the server refuses any other. */
export type TopicKind = "conversation" | "user"

/**
 * A stream of events, such as one conversation: `{kind, id}` on the wire, `kind:id` as a string.
 */
export type Topic = {
  kind: TopicKind
  id: string
}

/** Every event of this contract: name -> payload. */
export type WsEvents = {
  /**
   * A conversation was created, left or joined: fetch the list and subscribe again. Heard by every
   * socket of the users that the server names.
   */
  "server.messenger.conversations_changed": Record<string, never>
  /**
   * A message was created over REST. Times are ISO 8601 in UTC. Heard by the subscribers of
   * `conversation:<conversationId>` and every socket of `senderId`.
   */
  "server.messenger.message_new": {
    conversationId: string
    messageId: string
    senderId: string
    createdAt: string
  }
  /**
   * A member has read a conversation up to this message. Times are ISO 8601 in UTC. Heard by the
   * subscribers of `conversation:<conversationId>` and every socket of `readerId`.
   */
  "server.messenger.message_read": {
    conversationId: string
    messageId: string
    readerId: string
    readAt: string
  }
  /**
   * A user has started or stopped typing. Relayed with the sender's own `userId`; a receiver clears
   * it after 6 s. Heard by the subscribers of `conversation:<conversationId>`.
   */
  "client.messenger.typing": {
    conversationId: string
    userId: string
    isTyping: boolean
  }
  /** The snapshot that follows a subscription to `user` topics. Sent to one socket. */
  "server.presence.batch": {
    users: UserStatus[]
  }
  /**
   * A user's announced status changed. `lastSeenAt` is ISO 8601 in UTC, absent while online. Heard
   * by the subscribers of `user:<userId>` and every socket of `userId`.
   */
  "server.presence.update": {
    userId: string
    status: Status
    lastSeenAt?: string
  }
  /**
   * Something the client asked for did not work. The envelope's `id` is that of the event that
   * caused it. Sent to one socket.
   */
  "server.system.error": {
    message: string
    code?: string
  }
  /** A registered socket is gone. The bus's own event: handed to domains, never sent. */
  "server.system.internal_disconnect": {
    userId: string
    socketId: string
    reason: DisconnectReason
  }
  /** The socket is authenticated and registered. Sent to one socket. */
  "server.system.ready": {
    userId: string
    socketId: string
  }
  /** Signals on these topics may have been lost: fetch again. Sent to one socket. */
  "server.system.resync": {
    topics: Topic[]
  }
  /** Replaces the socket's whole set of subscriptions. Answered by `server.system.subscribed`. */
  "client.system.subscribe": {
    topics: Topic[]
  }
  /**
   * From here on no signal on these topics is missed: now fetch the REST snapshot. Refused topics
   * are not heard. Sent to one socket.
   */
  "server.system.subscribed": {
    topics: Topic[]
    refused: Topic[]
  }
}

/** The names of the events that a client sends. */
export type ClientEventName = "client.messenger.typing" | "client.system.subscribe"

/** Event name -> payload of what a client sends, for a typed `send`. */
export type ClientEvents = Pick<WsEvents, ClientEventName>

/** Any event that a client sends, told apart by its `type`. */
export type ClientEvent = { [T in ClientEventName]: WsEnvelope<T, WsEvents[T]> }[ClientEventName]

/** The names of the events that the server sends. */
export type ServerEventName =
  | "server.messenger.conversations_changed"
  | "server.messenger.message_new"
  | "server.messenger.message_read"
  | "client.messenger.typing"
  | "server.presence.batch"
  | "server.presence.update"
  | "server.system.error"
  | "server.system.ready"
  | "server.system.resync"
  | "server.system.subscribed"

/** Event name -> payload of what the server sends, for a typed `on`. */
export type ServerEvents = Pick<WsEvents, ServerEventName>

/** Any event that the server sends, told apart by its `type`. */
export type ServerEvent = { [T in ServerEventName]: WsEnvelope<T, WsEvents[T]> }[ServerEventName]

/** Whether a client may come back after a close. */
export type Reconnect =
  | "never"
  | "with a new token"
  | "with backoff"
  | "after the delay in the reason"

/** Why the server closed a socket, and what the client may do next. */
export type CloseCode = {
  reason: string
  reconnect: Reconnect
}

/**
 * The codes with which the server closes a socket. After any other code, 1006 included: with
 * backoff.
 */
export const closeCodes: { readonly [code: number]: CloseCode | undefined } = {
  4400: { reason: "malformed event", reconnect: "never" },
  4401: { reason: "unauthorized", reconnect: "with a new token" },
  4403: { reason: "access withdrawn", reconnect: "with a new token" },
  4408: { reason: "heartbeat timeout", reconnect: "with backoff" },
  4413: { reason: "slow consumer", reconnect: "with backoff" },
  4429: { reason: "rate limited", reconnect: "with backoff" },
  1002: { reason: "protocol error", reconnect: "never" },
  1003: { reason: "text frames only", reconnect: "never" },
  1007: { reason: "invalid UTF-8", reconnect: "never" },
  1009: { reason: "message too big", reconnect: "never" },
  1011: { reason: "internal error", reconnect: "with backoff" },
  1012: { reason: "restart", reconnect: "after the delay in the reason" },
  1013: { reason: "try again later", reconnect: "with backoff" },
}

/** Tells whether a parsed message is an event that the server sends. */
export function isServerEvent(value: unknown): value is ServerEvent {
  if (!isEnvelope(value)) return false
  const data = value.data
  switch (value.type) {
    case "server.messenger.conversations_changed":
      return true
    case "server.messenger.message_new":
      return (
        isString(data.conversationId) &&
        isString(data.messageId) &&
        isString(data.senderId) &&
        isString(data.createdAt)
      )
    case "server.messenger.message_read":
      return (
        isString(data.conversationId) &&
        isString(data.messageId) &&
        isString(data.readerId) &&
        isString(data.readAt)
      )
    case "client.messenger.typing":
      return (
        isString(data.conversationId) && isString(data.userId) && typeof data.isTyping === "boolean"
      )
    case "server.presence.batch":
      return isArrayOf(data.users, isUserStatus)
    case "server.presence.update":
      return (
        isString(data.userId) &&
        isStatus(data.status) &&
        (data.lastSeenAt === undefined || isString(data.lastSeenAt))
      )
    case "server.system.error":
      return isString(data.message) && (data.code === undefined || isString(data.code))
    case "server.system.ready":
      return isString(data.userId) && isString(data.socketId)
    case "server.system.resync":
      return isArrayOf(data.topics, isTopic)
    case "server.system.subscribed":
      return isArrayOf(data.topics, isTopic) && isArrayOf(data.refused, isTopic)
    default:
      return false
  }
}

/** Tells whether a parsed message is an event that a client sends. */
export function isClientEvent(value: unknown): value is ClientEvent {
  if (!isEnvelope(value)) return false
  const data = value.data
  switch (value.type) {
    case "client.messenger.typing":
      return (
        isString(data.conversationId) && isString(data.userId) && typeof data.isTyping === "boolean"
      )
    case "client.system.subscribe":
      return isArrayOf(data.topics, isTopic)
    default:
      return false
  }
}

function isUserStatus(value: unknown): value is UserStatus {
  return isObject(value) && isString(value.userId) && isStatus(value.status)
}

function isStatus(value: unknown): value is Status {
  return value === "online" || value === "away" || value === "offline"
}

function isTopic(value: unknown): value is Topic {
  return isObject(value) && isString(value.kind) && isString(value.id)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

function isString(value: unknown): value is string {
  return typeof value === "string"
}

function isArrayOf(value: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isItem)
}

function isEnvelope(value: unknown): value is WsEnvelope<string, Record<string, unknown>> {
  return (
    isObject(value) &&
    isString(value.type) &&
    isObject(value.data) &&
    Number.isFinite(value.ts) &&
    (value.id === undefined || isString(value.id))
  )
}
