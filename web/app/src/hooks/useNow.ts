import { useEffect, useState } from "react"

const INTERVAL = 20_000

/** Return the current time, updated every 20 seconds: "5 min ago" becomes "6 min ago" by itself. */
export function useNow(): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), INTERVAL)
    return () => clearInterval(timer)
  }, [])
  return now
}
