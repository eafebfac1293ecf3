import { type RefObject, useEffect, useState, useSyncExternalStore } from "react"

function listen(changed: () => void): () => void {
  document.addEventListener("visibilitychange", changed)
  return () => document.removeEventListener("visibilitychange", changed)
}

/** Tells whether the page can be seen. */
export function usePageVisible(): boolean {
  return useSyncExternalStore(listen, () => document.visibilityState === "visible")
}

/** Tells whether an element is scrolled into view. */
export function useInView(element: RefObject<Element | null>): boolean {
  const [isInView, setInView] = useState(false)
  useEffect(() => {
    if (!element.current) return
    const observer = new IntersectionObserver(
      ([entry]) => setInView(entry?.isIntersecting ?? false),
      {
        rootMargin: "48px",
      },
    )
    observer.observe(element.current)
    return () => observer.disconnect()
  }, [element])
  return isInView
}
