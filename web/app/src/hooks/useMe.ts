import { createContext, useContext } from "react"
import type { User } from "../api/schemas.ts"

/** The user who is logged in. */
export const MeContext = createContext<User | undefined>(undefined)

/** Return the user who is logged in. Only for components inside a MeContext. */
export function useMe(): User {
  const me = useContext(MeContext)
  if (!me) throw new Error("no user is logged in: wrap the component in a MeContext")
  return me
}
