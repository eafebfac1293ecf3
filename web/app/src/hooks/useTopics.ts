import type { Topic } from "@hubbub/client"
import { useEffect } from "react"
import { realtime } from "../api/realtime.ts"

/** Subscribe to topics while the component is shown. */
export function useTopics(slot: "open" | "listed", topics: readonly Topic[]): void {
  const serialized = JSON.stringify(topics)
  useEffect(() => {
    realtime.watch(slot, JSON.parse(serialized))
    return () => realtime.watch(slot, [])
  }, [slot, serialized])
}
