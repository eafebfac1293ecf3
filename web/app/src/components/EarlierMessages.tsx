import { useEffect, useRef } from "react"
import type { History } from "./MessageList.tsx"

/** A button that loads older messages when it comes into view or is pressed. */
export function EarlierMessages({ history }: { history: History }) {
  const button = useRef<HTMLButtonElement>(null)
  const { isFetching, isFetchNextPageError, fetchNextPage } = history

  useEffect(() => {
    // Never during another fetch, which may be the refetch after a signal.
    if (isFetching || isFetchNextPageError || !button.current) return
    const observer = new IntersectionObserver(([entry]) => {
      if (entry?.isIntersecting) fetchNextPage({ cancelRefetch: false })
    })
    observer.observe(button.current)
    return () => observer.disconnect()
  }, [isFetching, isFetchNextPageError, fetchNextPage])

  return (
    <button
      ref={button}
      type="button"
      className="earlier button quiet"
      onClick={() => fetchNextPage({ cancelRefetch: false })}
    >
      {isFetching ? "Loading…" : "Load earlier messages"}
    </button>
  )
}
