import { useEffect, useState } from "react"

const TICK = 20_000

/** Gives the time, and again every 20 seconds: "5 min ago" becomes "6 min ago" by itself. */
export function useNow(): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), TICK)
    return () => clearInterval(timer)
  }, [])
  return now
}
