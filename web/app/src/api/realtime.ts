import { type Topic, WsClient } from "@hubbub/client"
import type { QueryClient } from "@tanstack/react-query"
import { connection, topicKey } from "../stores/connection.ts"
import { presence } from "../stores/presence.ts"
import { typing } from "../stores/typing.ts"
import { queryClient } from "./queryClient.ts"
import { Refetcher } from "./refetcher.ts"
import { rest } from "./rest.ts"
import { VisibleTopics } from "./visibleTopics.ts"

/**
 * Dispatches the server's events: presence and typing go to their stores, everything else only invalidates answers of
 * REST. Nothing here writes, and nothing here counts as activity of the user.
 */
export class Realtime {
  readonly #client: WsClient
  readonly #queries: QueryClient
  readonly #refetcher: Refetcher
  readonly #visible: VisibleTopics
  #userId = ""
  #readyCount = 0
  #isCatchingUp = false
  #granted: ReadonlySet<string> = new Set()

  constructor(client: WsClient, queries: QueryClient) {
    this.#client = client
    this.#queries = queries
    this.#refetcher = new Refetcher(queries)
    this.#visible = new VisibleTopics((topics) => client.subscribe(topics))
    client.onState((state) => {
      connection.entered(state)
      // The socket reports that the session is over. REST decides whether it is.
      const isUnauthorized = state.name === "stopped" && [4401, 4403].includes(state.why.code)
      if (isUnauthorized) this.#queries.invalidateQueries({ queryKey: ["me"] })
    })
    this.#dispatch()
  }

  /** Connect for the user who is logged in. Return a function that disconnects. */
  start(): () => void {
    this.#client.start()
    return () => this.#stop()
  }

  /** Connect now, in place of waiting for the next attempt or after having stopped. */
  retry(): void {
    this.#client.start()
  }

  /** Subscribe to what the page shows: what is `open`, and what is `listed` beside it. */
  watch(slot: "open" | "listed", topics: readonly Topic[]): void {
    this.#visible.set(slot, topics)
  }

  sendTyping(conversationId: string, isTyping: boolean): void {
    const data = { conversationId, userId: this.#userId, isTyping }
    this.#client.send("client.messenger.typing", data)
  }

  #dispatch(): void {
    const client = this.#client
    const refetcher = this.#refetcher

    client.on("server.system.ready", ({ data }) => {
      this.#userId = data.userId
      this.#isCatchingUp = ++this.#readyCount > 1
      if (this.#isCatchingUp) refetcher.soon()
    })
    client.on("server.system.subscribed", ({ data }) => {
      this.#subscribed(data.topics, data.refused)
    })
    client.on("server.system.resync", () => refetcher.soon())
    client.on("server.system.error", ({ data }) => {
      // If subscribing failed, `subscribed` never comes: fetch at least from REST.
      if (data.code !== "topic_forbidden") connection.answered(this.#visible.topics)
    })

    client.on("server.messenger.conversations_changed", () => refetcher.now(["conversations"]))
    client.on("server.messenger.message_new", ({ data }) => {
      refetcher.now(["messages", data.conversationId])
      refetcher.now(["conversations"])
    })
    client.on("server.messenger.message_read", () => refetcher.now(["conversations"]))
    client.on("client.messenger.typing", ({ data }) => {
      const isMyOtherTab = data.userId === this.#userId
      if (!isMyOtherTab) typing.receive(data.conversationId, data.userId, data.isTyping)
    })

    client.on("server.presence.update", ({ data: { userId, ...seen } }) => {
      presence.update(userId, seen)
    })
    client.on("server.presence.batch", ({ data }) => {
      presence.batch(data.users)
      refetcher.now(["presence"])
    })
  }

  /** Fetch the newly granted topics. An earlier answer could lack a change whose signal was missed. */
  #subscribed(granted: readonly Topic[], refused: readonly Topic[]): void {
    const before = this.#granted
    this.#granted = new Set(granted.map(topicKey))
    const users = granted.filter(({ kind }) => kind === "user").map(({ id }) => id)
    presence.keepOnly(new Set([this.#userId, ...users]))
    connection.answered([...granted, ...refused])

    if (this.#isCatchingUp) {
      this.#isCatchingUp = false
      this.#refetcher.soon() // once more: a fetch since `ready` may lack a change whose signal was missed
      return
    }
    const added = granted.filter((topic) => !before.has(topicKey(topic)))
    const conversations = added.filter(({ kind }) => kind === "conversation")
    if (conversations.length > 0) this.#refetcher.now(["conversations"])
    for (const { id } of conversations) this.#refetcher.now(["messages", id])
  }

  #stop(): void {
    this.#client.stop()
    this.#client.subscribe([])
    this.#visible.reset()
    this.#refetcher.cancel()
    this.#readyCount = 0
    this.#granted = new Set()
    connection.reset()
    presence.keepOnly(new Set())
    typing.clear()
  }
}

/** Renew the session. Resolves to true, or rejects if there is none. */
async function renewSession(): Promise<boolean> {
  await rest.renewSession()
  return true
}

export const realtime = new Realtime(new WsClient({ onUnauthorized: renewSession }), queryClient)
