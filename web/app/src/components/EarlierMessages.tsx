import { useEffect, useRef } from "react"
import type { History } from "./MessageList.tsx"

/** Fetches the next page upwards when it comes into view, or is asked to. */
export function EarlierMessages({ history }: { history: History }) {
  const button = useRef<HTMLButtonElement>(null)
  const { isFetching, isFetchNextPageError, fetchNextPage } = history

  useEffect(() => {
    // Never into a fetch under way: that may be the one that a signal has asked for.
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
      {isFetching ? "Loading…" : "Earlier messages"}
    </button>
  )
}
