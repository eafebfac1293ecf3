import { Component, type ReactNode } from "react"
import { Notice } from "./Notice.tsx"

/** Shows a page instead of a blank one when a component fails. */
export class ErrorBoundary extends Component<{ children: ReactNode }, { hasFailed: boolean }> {
  override state = { hasFailed: false }

  static getDerivedStateFromError() {
    return { hasFailed: true }
  }

  override render() {
    if (!this.state.hasFailed) return this.props.children
    return (
      <main>
        <Notice
          title="Something went wrong"
          action={{ label: "Reload", run: () => location.reload() }}
        >
          The page has failed. What was sent is safe.
        </Notice>
      </main>
    )
  }
}
