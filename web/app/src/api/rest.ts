import type {
  Conversation,
  Credentials,
  Message,
  MessagePage,
  NewConversation,
  NewMessage,
  Presence,
  Problem,
  ReadMarker,
  Session,
  User,
} from "./schemas.ts"

const PAGE_SIZE = 50

/** An answer with an error status. Its message can be shown to the user. */
export class RestError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message)
  }
}

async function call<T>(
  method: "GET" | "POST" | "DELETE",
  path: string,
  options: { body?: unknown; signal?: AbortSignal } = {},
): Promise<T> {
  const init: RequestInit = { method }
  if (options.signal) init.signal = options.signal
  if (options.body !== undefined) {
    init.headers = { "Content-Type": "application/json" }
    init.body = JSON.stringify(options.body)
  }
  const answer = await fetch(`/api${path}`, init)
  if (!answer.ok) throw new RestError(answer.status, await detailOf(answer))
  return answer.status === 204 ? (undefined as T) : answer.json()
}

/** Read the detail of a problem (RFC 9457). A proxy may answer without one. */
async function detailOf(answer: Response): Promise<string> {
  const problem: Partial<Problem> | null = await answer.json().catch(() => null)
  return typeof problem?.detail === "string"
    ? problem.detail
    : `The server answered with status ${answer.status}.`
}

const conversation = (id: string) => `/conversations/${encodeURIComponent(id)}`

/** The calls of the REST API. All reading and writing goes through them; the socket only signals. */
export const rest = {
  logIn: (credentials: Credentials) => call<Session>("POST", "/session", { body: credentials }),
  logOut: () => call<void>("DELETE", "/session"),
  renewSession: () => call<Session>("POST", "/session/renew"),

  me: (signal?: AbortSignal) => call<User>("GET", "/me", { ...(signal && { signal }) }),
  user: (id: string, signal: AbortSignal) =>
    call<User>("GET", `/users/${encodeURIComponent(id)}`, { signal }),
  findUsers: (query: string, signal: AbortSignal) =>
    call<User[]>("GET", `/users?${new URLSearchParams({ query })}`, { signal }),
  presence: (userId: string, signal: AbortSignal) =>
    call<Presence[]>("GET", `/presence?${new URLSearchParams({ userId })}`, { signal }),

  conversations: (signal: AbortSignal) => call<Conversation[]>("GET", "/conversations", { signal }),
  createConversation: (body: NewConversation) =>
    call<Conversation>("POST", "/conversations", { body }),
  messages: (id: string, before: string | undefined, signal: AbortSignal) => {
    const query = new URLSearchParams({ limit: String(PAGE_SIZE), ...(before && { before }) })
    return call<MessagePage>("GET", `${conversation(id)}/messages?${query}`, { signal })
  },
  sendMessage: (id: string, message: NewMessage) =>
    call<Message>("POST", `${conversation(id)}/messages`, { body: message }),
  markRead: (id: string, marker: ReadMarker) =>
    call<void>("POST", `${conversation(id)}/read`, { body: marker }),
}
