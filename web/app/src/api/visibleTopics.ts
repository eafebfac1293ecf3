import type { Topic } from "@hubbub/client"
import { topicKey } from "../stores/connection.ts"

/** How many topics the server lets one socket subscribe to. */
const MAX_TOPICS = 512

/**
 * The topics of what the page shows: what is open, and what is listed beside it. Calls a function whenever this set
 * changes. If there are too many topics, the open ones come first.
 */
export class VisibleTopics {
  readonly #slots: { open: readonly Topic[]; listed: readonly Topic[] } = { open: [], listed: [] }
  readonly #onChange: (topics: readonly Topic[]) => void
  #topics: readonly Topic[] = []
  #lastKeys = ""
  #isScheduled = false

  constructor(onChange: (topics: readonly Topic[]) => void) {
    this.#onChange = onChange
  }

  /** The set of the last call. */
  get topics(): readonly Topic[] {
    return this.#topics
  }

  set(slot: "open" | "listed", topics: readonly Topic[]): void {
    this.#slots[slot] = topics
    if (this.#isScheduled) return
    this.#isScheduled = true
    queueMicrotask(() => this.#update()) // a change of page sets both slots: one call is enough
  }

  /** Forget everything, so that the next set counts as a change. */
  reset(): void {
    this.#slots.open = this.#slots.listed = []
    this.#lastKeys = ""
  }

  #update(): void {
    this.#isScheduled = false
    const listed = this.#slots.listed.toSorted((a, b) => rank(a) - rank(b))
    const unique = new Map(
      [...this.#slots.open, ...listed].map((topic) => [topicKey(topic), topic]),
    )
    const topics = [...unique.values()].slice(0, MAX_TOPICS)
    const keys = topics.map(topicKey).toSorted().join("\n")
    if (keys === this.#lastKeys) return
    this.#lastKeys = keys
    this.#topics = topics
    this.#onChange(topics)
  }
}

/** Conversations come before users: a missed message is worse than a wrong presence dot. */
function rank({ kind }: Topic): number {
  return kind === "conversation" ? 0 : 1
}
