import { useQuery } from "@tanstack/react-query"
import { useEffect } from "react"
import { meQuery } from "../api/queries.ts"
import { realtime } from "../api/realtime.ts"
import { keepSession } from "../api/session.ts"

/** Return the user who is logged in. While there is one, keep the socket connected and the session renewed. */
export function useSession() {
  const { data: me, error, refetch } = useQuery(meQuery)
  const userId = me?.id
  useEffect(() => {
    if (userId === undefined) return
    const endRenewal = keepSession()
    const endRealtime = realtime.start()
    return () => {
      endRenewal()
      endRealtime()
    }
  }, [userId])
  return { me, error, retry: refetch }
}
