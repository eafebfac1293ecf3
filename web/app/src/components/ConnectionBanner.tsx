import type { State } from "@hubbub/client"
import { realtime } from "../api/realtime.ts"
import { useOnline } from "../hooks/useOnline.ts"
import { useConnectionStore } from "../stores/connection.ts"
import "./ConnectionBanner.css"

/** Waits shorter than this end sooner than a person could react. */
const WORTH_A_BUTTON = 3_000

/** Says quietly that nothing is live at the moment; reading and writing go on over REST. */
export function ConnectionBanner() {
  const state = useConnectionStore((store) => store.state)
  const isOnline = useOnline()
  const text = isOnline ? describe(state) : "You are offline."
  const canRetry =
    state.name === "stopped" || (state.name === "waiting" && state.delay > WORTH_A_BUTTON)
  return (
    <div className="banner" role="status" data-shown={text !== "" || undefined}>
      {text}
      {text && isOnline && canRetry && (
        <button type="button" onClick={() => realtime.retry()}>
          Try now
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
