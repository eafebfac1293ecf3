import { Link } from "wouter"
import { Icon } from "./Icon.tsx"

/** A link back to the list, for narrow screens, on which the list is not beside the page. */
export function BackLink() {
  return (
    <Link className="back icon-button" href="/" aria-label="Back to conversations">
      <Icon name="back" />
    </Link>
  )
}
