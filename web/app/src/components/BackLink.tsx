import { Link } from "wouter"
import { Icon } from "./Icon.tsx"

/** Leads back to the list; only a phone needs it, where the list is not beside the page. */
export function BackLink() {
  return (
    <Link className="back icon-button" href="/" aria-label="Back to the conversations">
      <Icon name="back" />
    </Link>
  )
}
