import { meQuery } from "./queries.ts"
import { endSession, queryClient } from "./queryClient.ts"
import { RestError, rest } from "./rest.ts"

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** Logs in; raises RestError where name or password is wrong. */
export async function logIn(username: string, password: string): Promise<void> {
  await rest.logIn(username, password)
  await queryClient.fetchQuery({ ...meQuery, staleTime: 0 })
}

export async function logOut(): Promise<void> {
  await rest.logOut().catch((error: unknown) => {
    if (!(error instanceof RestError && error.status === 401)) throw error
  })
  endSession(queryClient)
}

/** Renews the session now, and again when half of what is left has passed, until the function it gives is called. */
export function keepSession(): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined
  let hasEnded = false
  const renew = async () => {
    let wait = MINUTE
    try {
      const { expiresAt } = await rest.renew()
      const left = Date.parse(expiresAt) - Date.now()
      wait = Math.min(Math.max(left / 2, 1_000), HOUR)
    } catch (error) {
      if (error instanceof RestError && error.status === 401) {
        endSession(queryClient)
        return
      }
    }
    if (!hasEnded) timer = setTimeout(renew, wait)
  }
  renew()
  return () => {
    hasEnded = true
    clearTimeout(timer)
  }
}
