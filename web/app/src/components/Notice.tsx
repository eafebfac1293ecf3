import type { ReactNode } from "react"
import "./Notice.css"

type Props = {
  title: string
  children?: ReactNode
  action?: { label: string; run: () => void }
}

/** Fills a page that has nothing else to show. */
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
