// How a client uses the contract. Lines that must not compile are marked. The compiler fails if such a line compiles.
import type {
  ClientEvent,
  ClientEventName,
  ClientEvents,
  ServerEvent,
  ServerEventName,
  ServerEvents,
  Topic,
  WsEnvelope,
  WsEvents,
} from "./contracts"
import { closeCodes, isClientEvent, isServerEvent } from "./contracts"

declare function send<T extends ClientEventName>(type: T, data: ClientEvents[T]): void
declare function on<T extends ServerEventName>(type: T, listen: (data: ServerEvents[T]) => void): void

// --- send ---

send("client.messenger.typing", { conversationId: "c1", userId: "u1", isTyping: true })
send("client.system.subscribe", { topics: [{ kind: "conversation", id: "c1" }] })

// @ts-expect-error: a field is missing
send("client.messenger.typing", { conversationId: "c1", userId: "u1" })
// @ts-expect-error: a field of the wrong type
send("client.messenger.typing", { conversationId: "c1", userId: "u1", isTyping: "yes" })
// @ts-expect-error: a field that does not exist
send("client.messenger.typing", { conversationId: "c1", userId: "u1", isTyping: true, text: "hi" })
// @ts-expect-error: a topic of a kind that nothing is addressed to
send("client.system.subscribe", { topics: [{ kind: "planet", id: "c1" }] })
// @ts-expect-error: the payload of another event
send("client.system.subscribe", { conversationId: "c1", userId: "u1", isTyping: true })
// @ts-expect-error: an event that only the server sends
send("server.messenger.message_new", { conversationId: "c", messageId: "m", senderId: "s", createdAt: "" })
// @ts-expect-error: an event that does not exist
send("client.messenger.tping", { conversationId: "c1", userId: "u1", isTyping: true })

// --- on ---

on("server.messenger.message_new", (data) => data.messageId.toUpperCase())
on("client.messenger.typing", (data): boolean => data.isTyping)
on("server.presence.update", ({ status, lastSeenAt }) => (status === "offline" ? lastSeenAt?.length : 0))
on("server.messenger.conversations_changed", () => {})

// @ts-expect-error: an event that only clients send
on("client.system.subscribe", () => {})
// @ts-expect-error: an event that never crosses the wire
on("server.system.internal_disconnect", () => {})
// @ts-expect-error: a field of another event
on("server.messenger.message_new", (data) => data.readerId)
// @ts-expect-error: an optional field may be missing
on("server.presence.update", (data) => data.lastSeenAt.length)
// @ts-expect-error: a value that does not exist
on("server.presence.update", (data) => data.status === "busy")
// @ts-expect-error: an empty payload has no fields
on("server.messenger.conversations_changed", (data): number => data.conversationId)

// --- narrowing ---

export function describe(event: ServerEvent): string {
  switch (event.type) {
    case "server.messenger.message_new":
      return event.data.messageId
    case "server.messenger.message_read":
      return event.data.readerId
    case "server.messenger.conversations_changed":
      return "conversations"
    case "client.messenger.typing":
      return String(event.data.isTyping)
    case "server.presence.update":
      return event.data.status
    case "server.presence.batch":
      return event.data.users.map((user) => user.userId).join()
    case "server.system.error":
      return `${event.id ?? ""} ${event.data.code ?? ""} ${event.data.message}`
    case "server.system.ready":
      return event.data.socketId
    case "server.system.resync":
      return event.data.topics.map((topic: Topic) => topic.kind).join()
    case "server.system.subscribed":
      return event.data.refused.map((topic) => topic.id).join()
    default:
      return event satisfies never
  }
}

export function inOneDirection(event: ClientEvent): string {
  // @ts-expect-error: not before `type` is known
  event.data.topics
  if (event.type === "client.system.subscribe") return event.data.topics.join()
  return event.data.conversationId
}

export function receive(text: string): string | undefined {
  const message: unknown = JSON.parse(text)
  if (isClientEvent(message)) return inOneDirection(message)
  return isServerEvent(message) ? describe(message) : undefined
}

// --- the full map and the close codes ---

export const reason: WsEvents["server.system.internal_disconnect"]["reason"] = "heartbeat_timeout"
export const one: WsEnvelope<"x", { a: 1 }> = { type: "x", data: { a: 1 }, ts: 0 }
export const mayReturn = (code: number): boolean => (closeCodes[code]?.reconnect ?? "with backoff") !== "never"
// @ts-expect-error: a code may be unknown
export const why = (code: number): string => closeCodes[code].reason
