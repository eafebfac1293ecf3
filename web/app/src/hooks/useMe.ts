import { createContext, useContext } from "react"
import type { User } from "../api/shapes.ts"

/** Holds who is logged in. */
export const MeContext = createContext<User | undefined>(undefined)

/** Gives who is logged in; only for what is shown to somebody who is. */
export function useMe(): User {
  const me = useContext(MeContext)
  if (!me) throw new Error("nobody is logged in here: wrap it in a MeContext")
  return me
}
