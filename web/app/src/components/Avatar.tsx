import type { Status } from "@hubbub/client"
import { hueOf, initials } from "../text/names.ts"
import "./Avatar.css"

type Props = {
  id: string
  name: string
  size?: "small" | "medium" | "large"
  status?: Status | undefined
}

const spoken = { online: "online", away: "away", offline: "offline" }

/** Shows initials and, where it is known, a presence dot. The name itself stands beside it. */
export function Avatar({ id, name, size = "medium", status }: Props) {
  return (
    <span className="avatar" data-size={size} data-hue={hueOf(id)}>
      <span aria-hidden="true">{initials(name)}</span>
      {status && (
        <span className="dot" data-status={status} title={spoken[status]}>
          <span className="visually-hidden">{spoken[status]}</span>
        </span>
      )}
    </span>
  )
}
