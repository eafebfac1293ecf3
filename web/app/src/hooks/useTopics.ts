import type { Topic } from "@hubbub/client"
import { useEffect } from "react"
import { realtime } from "../api/realtime.ts"

/** Hears about topics for as long as they are shown. */
export function useTopics(slot: "open" | "listed", topics: readonly Topic[]): void {
  const wanted = JSON.stringify(topics)
  useEffect(() => {
    realtime.watch(slot, JSON.parse(wanted))
    return () => realtime.watch(slot, [])
  }, [slot, wanted])
}
