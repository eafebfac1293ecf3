import type {
  Conversation,
  Message,
  MessagePage,
  NewConversation,
  Presence,
  Session,
  User,
} from "./shapes.ts"

const PAGE_SIZE = 50

/** The server answered, but not with what was asked for. The message may be shown. */
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
  if (!answer.ok) throw new RestError(answer.status, await detail(answer))
  return answer.status === 204 ? (undefined as T) : answer.json()
}

/** Reads what went wrong from a problem (RFC 9457), or makes do with the status. */
async function detail(answer: Response): Promise<string> {
  const problem: { detail?: unknown } = await answer.json().catch(() => ({}))
  return typeof problem?.detail === "string"
    ? problem.detail
    : `The server answered ${answer.status}.`
}

const conversation = (id: string) => `/conversations/${encodeURIComponent(id)}`

/** The REST calls: here everything is written and read. The socket only signals. */
export const rest = {
  logIn: (username: string, password: string) =>
    call<Session>("POST", "/session", { body: { username, password } }),
  logOut: () => call<void>("DELETE", "/session"),
  renew: () => call<Session>("POST", "/session/renew"),

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
  send: (id: string, body: string) =>
    call<Message>("POST", `${conversation(id)}/messages`, { body: { body } }),
  markRead: (id: string, messageId: string) =>
    call<void>("POST", `${conversation(id)}/read`, { body: { messageId } }),
}
