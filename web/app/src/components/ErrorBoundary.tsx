import { Component, type ReactNode } from "react"
import { Notice } from "./Notice.tsx"

/** Shows a notice in place of a blank page if a component throws. */
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
          The page could not be displayed. Messages you have sent are saved.
        </Notice>
      </main>
    )
  }
}
