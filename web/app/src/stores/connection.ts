import type { State, Topic } from "@hubbub/client"
import { create } from "zustand"

type ConnectionStore = {
  state: State
  /** Whether the first attempt to connect has succeeded or failed. */
  isSettled: boolean
  /** The topics that the server has granted or refused. */
  answered: ReadonlySet<string>
}

const initial: ConnectionStore = {
  state: { name: "connecting" },
  isSettled: false,
  answered: new Set(),
}

export const useConnectionStore = create<ConnectionStore>(() => initial)

export const connection = {
  entered(state: State): void {
    useConnectionStore.setState((store) => ({
      state,
      isSettled: store.isSettled || state.name !== "connecting",
    }))
  },

  answered(topics: readonly Topic[]): void {
    useConnectionStore.setState({ answered: new Set(topics.map(topicKey)) })
  },

  reset(): void {
    useConnectionStore.setState(initial)
  },
}

export function topicKey({ kind, id }: Topic): string {
  return `${kind}:${id}`
}

/**
 * Return whether REST may be asked about a topic. While connected, only after the server has answered the subscription:
 * no change can then be missed between the answer of REST and the first signal. Without a connection, at once.
 */
export function useMayFetch(topic?: Topic): boolean {
  return useConnectionStore(({ state, isSettled, answered }) => {
    if (!isSettled) return false
    return !topic || state.name !== "ready" || answered.has(topicKey(topic))
  })
}
