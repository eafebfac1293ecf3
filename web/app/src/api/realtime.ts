import { type Topic, WsClient } from "@hubbub/client"
import type { QueryClient } from "@tanstack/react-query"
import { connection, topicKey } from "../stores/connection.ts"
import { presence } from "../stores/presence.ts"
import { typing } from "../stores/typing.ts"
import { Interests } from "./interests.ts"
import { queryClient } from "./queryClient.ts"
import { Refetcher } from "./refetcher.ts"
import { rest } from "./rest.ts"

/**
 * Dispatches what the server signals: presence and typing go to their stores, everything else only says which REST
 * answers are stale. Nothing here writes, and nothing here counts as the person's activity.
 */
export class Realtime {
  readonly #client: WsClient
  readonly #queries: QueryClient
  readonly #refetch: Refetcher
  readonly #interests: Interests
  #userId = ""
  #sockets = 0
  #isCatchingUp = false
  #heard: ReadonlySet<string> = new Set()

  constructor(client: WsClient, queries: QueryClient) {
    this.#client = client
    this.#queries = queries
    this.#refetch = new Refetcher(queries)
    this.#interests = new Interests((topics) => client.subscribe(topics))
    client.onState((state) => {
      connection.entered(state)
      // The socket says that the session is over; whether it is, REST decides.
      const isUnauthorized = state.name === "stopped" && [4401, 4403].includes(state.why.code)
      if (isUnauthorized) this.#queries.invalidateQueries({ queryKey: ["me"] })
    })
    this.#dispatch()
  }

  /** Starts for the person who is logged in, and gives what ends it. */
  start(): () => void {
    this.#client.start()
    return () => this.#stop()
  }

  /** Connects at once, where that takes a while or has been given up. */
  retry(): void {
    this.#client.start()
  }

  /** Says what the page shows: what is `open`, and what is `listed` beside it. */
  watch(slot: "open" | "listed", topics: readonly Topic[]): void {
    this.#interests.set(slot, topics)
  }

  sendTyping(conversationId: string, isTyping: boolean): void {
    const data = { conversationId, userId: this.#userId, isTyping }
    this.#client.send("client.messenger.typing", data)
  }

  #dispatch(): void {
    const client = this.#client
    const refetch = this.#refetch

    client.on("server.system.ready", ({ data }) => {
      this.#userId = data.userId
      this.#isCatchingUp = ++this.#sockets > 1
      if (this.#isCatchingUp) refetch.soon()
    })
    client.on("server.system.subscribed", ({ data }) => {
      this.#subscribed(data.topics, data.refused)
    })
    client.on("server.system.resync", () => refetch.soon())
    client.on("server.system.error", ({ data }) => {
      // Subscribing may have failed, and nothing would be fetched: show at least what REST has.
      if (data.code !== "topic_forbidden") connection.answered(this.#interests.topics)
    })

    client.on("server.messenger.conversations_changed", () => refetch.now(["conversations"]))
    client.on("server.messenger.message_new", ({ data }) => {
      refetch.now(["messages", data.conversationId])
      refetch.now(["conversations"])
    })
    client.on("server.messenger.message_read", () => refetch.now(["conversations"]))
    client.on("client.messenger.typing", ({ data }) => {
      const isMyOtherTab = data.userId === this.#userId
      if (!isMyOtherTab) typing.heard(data.conversationId, data.userId, data.isTyping)
    })

    client.on("server.presence.update", ({ data: { userId, ...seen } }) => {
      presence.update(userId, seen)
    })
    client.on("server.presence.batch", ({ data }) => {
      presence.batch(data.users)
      refetch.now(["presence"])
    })
  }

  /** Starts the first fetch of what is heard from now on: with an answer older than this, a signal could be missing. */
  #subscribed(granted: readonly Topic[], refused: readonly Topic[]): void {
    const before = this.#heard
    this.#heard = new Set(granted.map(topicKey))
    const users = granted.filter(({ kind }) => kind === "user").map(({ id }) => id)
    presence.keepOnly(new Set([this.#userId, ...users]))
    connection.answered([...granted, ...refused])

    if (this.#isCatchingUp) {
      this.#isCatchingUp = false
      this.#refetch.soon() // again, and later: what was fetched since `ready` may lack a signal
      return
    }
    const added = granted.filter((topic) => !before.has(topicKey(topic)))
    const conversations = added.filter(({ kind }) => kind === "conversation")
    if (conversations.length > 0) this.#refetch.now(["conversations"])
    for (const { id } of conversations) this.#refetch.now(["messages", id])
  }

  #stop(): void {
    this.#client.stop()
    this.#client.subscribe([])
    this.#interests.reset()
    this.#refetch.cancel()
    this.#sockets = 0
    this.#heard = new Set()
    connection.reset()
    presence.keepOnly(new Set())
    typing.clear()
  }
}

/** Renews the session; tells whether there is one. */
async function renewSession(): Promise<boolean> {
  await rest.renew()
  return true
}

export const realtime = new Realtime(new WsClient({ onUnauthorized: renewSession }), queryClient)
