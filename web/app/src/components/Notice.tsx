import type { ReactNode } from "react"
import "./Notice.css"

type Props = {
  title: string
  children?: ReactNode
  action?: { label: string; run: () => void }
}

/** A message that fills an otherwise empty page. */
export function Notice({ title, children, action }: Props) {
  return (
    <section className="notice">
      <h1>{title}</h1>
      {children && <p>{children}</p>}
      {action && (
        <button type="button" className="button" onClick={action.run}>
          {action.label}
        </button>
      )}
    </section>
  )
}
