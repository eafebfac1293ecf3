import type { Status } from "@hubbub/client"
import { hueOf, initials } from "../text/names.ts"
import "./Avatar.css"

type Props = {
  id: string
  name: string
  size?: "small" | "medium" | "large"
  status?: Status | undefined
}

const labels = { online: "online", away: "away", offline: "offline" }

/** Initials, and a presence dot if the status is known. The name is shown beside it. */
export function Avatar({ id, name, size = "medium", status }: Props) {
  return (
    <span className="avatar" data-size={size} data-hue={hueOf(id)}>
      <span aria-hidden="true">{initials(name)}</span>
      {status && (
        <span className="dot" data-status={status} title={labels[status]}>
          <span className="visually-hidden">{labels[status]}</span>
        </span>
      )}
    </span>
  )
}
