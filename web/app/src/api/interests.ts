import type { Topic } from "@hubbub/client"
import { topicKey } from "../stores/connection.ts"

/** As many topics as the server lets one socket follow. */
const MOST = 512

/** What the page shows, and so wants to hear about. What is open comes before what is listed, should it be too much. */
export class Interests {
  readonly #slots: { open: readonly Topic[]; listed: readonly Topic[] } = { open: [], listed: [] }
  readonly #changed: (topics: readonly Topic[]) => void
  #topics: readonly Topic[] = []
  #told = ""
  #isTelling = false

  constructor(changed: (topics: readonly Topic[]) => void) {
    this.#changed = changed
  }

  /** What was told last. */
  get topics(): readonly Topic[] {
    return this.#topics
  }

  set(slot: "open" | "listed", topics: readonly Topic[]): void {
    this.#slots[slot] = topics
    if (this.#isTelling) return
    this.#isTelling = true
    queueMicrotask(() => this.#tell()) // a change of page sets both slots, and is told once
  }

  /** Forgets everything, so that whatever comes next is told. */
  reset(): void {
    this.#slots.open = this.#slots.listed = []
    this.#told = ""
  }

  #tell(): void {
    this.#isTelling = false
    const listed = this.#slots.listed.toSorted((a, b) => rank(a) - rank(b))
    const unique = new Map(
      [...this.#slots.open, ...listed].map((topic) => [topicKey(topic), topic]),
    )
    const topics = [...unique.values()].slice(0, MOST)
    const told = topics.map(topicKey).toSorted().join("\n")
    if (told === this.#told) return
    this.#told = told
    this.#topics = topics
    this.#changed(topics)
  }
}

/** A missed message is worse than a missing dot. */
function rank({ kind }: Topic): number {
  return kind === "conversation" ? 0 : 1
}
