import { meQuery } from "./queries.ts"
import { endSession, queryClient } from "./queryClient.ts"
import { RestError, rest } from "./rest.ts"
import type { Credentials } from "./schemas.ts"

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** Log in, or throw a RestError if the username or the password is wrong. */
export async function logIn(credentials: Credentials): Promise<void> {
  await rest.logIn(credentials)
  await queryClient.fetchQuery({ ...meQuery, staleTime: 0 })
}

export async function logOut(): Promise<void> {
  await rest.logOut().catch((error: unknown) => {
    if (!(error instanceof RestError && error.status === 401)) throw error
  })
  endSession(queryClient)
}

/** Renew the session now, and again whenever half of its time has passed. Return a function that ends this. */
export function keepSession(): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined
  let hasEnded = false
  const renew = async () => {
    let wait = MINUTE
    try {
      const { expiresAt } = await rest.renewSession()
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
