import type { State, Topic } from "@hubbub/client"
import { create } from "zustand"

type ConnectionStore = {
  state: State
  /** Whether the first attempt to connect has ended, well or not. */
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
 * Tells whether REST may be asked about a topic: once signals on it are heard, so that nothing falls between the answer
 * and the first signal. Where there is no connection, REST is all there is, and is asked at once.
 */
export function useMayFetch(topic?: Topic): boolean {
  return useConnectionStore(({ state, isSettled, answered }) => {
    if (!isSettled) return false
    return !topic || state.name !== "ready" || answered.has(topicKey(topic))
  })
}
