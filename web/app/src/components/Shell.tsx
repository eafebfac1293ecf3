import type { ReactNode } from "react"
import { useRoute } from "wouter"
import { ConnectionBanner } from "./ConnectionBanner.tsx"
import { Sidebar } from "./Sidebar.tsx"
import "./Shell.css"

/** The layout of every page: the list beside what is open; on a narrow screen one of the two. */
export function Shell({ children }: { children: ReactNode }) {
  const [isHome] = useRoute("/")
  return (
    <div className="shell" data-showing={isHome ? "list" : "page"}>
      <a className="skip" href="#main">
        Skip to content
      </a>
      <ConnectionBanner />
      <Sidebar />
      <main id="main" tabIndex={-1}>
        {children}
      </main>
    </div>
  )
}
