import type { State } from "@hubbub/client"
import { realtime } from "../api/realtime.ts"
import { useOnline } from "../hooks/useOnline.ts"
import { useConnectionStore } from "../stores/connection.ts"
import "./ConnectionBanner.css"

/** Shorter delays end before a person could press the button. */
const MIN_DELAY_FOR_RETRY = 3_000

/** Shown while there are no live updates. Reading and writing still work over REST. */
export function ConnectionBanner() {
  const state = useConnectionStore((store) => store.state)
  const isOnline = useOnline()
  const text = isOnline ? describe(state) : "You are offline."
  const canRetry =
    state.name === "stopped" || (state.name === "waiting" && state.delay > MIN_DELAY_FOR_RETRY)
  return (
    <div className="banner" role="status" data-shown={text !== "" || undefined}>
      {text}
      {text && isOnline && canRetry && (
        <button type="button" onClick={() => realtime.retry()}>
          Reconnect now
        </button>
      )}
    </div>
  )
}

function describe(state: State): string {
  switch (state.name) {
    case "ready":
      return ""
    case "stopped":
      return `Live updates have stopped (${state.why.reason || `code ${state.why.code}`}).`
    default:
      return "Connecting…"
  }
}
