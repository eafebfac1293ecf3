import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query"
import { RestError } from "./rest.ts"

/** Makes the cache of what REST said. The first 401 ends the session, whichever call it answers. */
export function createQueryClient(): QueryClient {
  const onError = (error: Error) => {
    if (error instanceof RestError && error.status === 401) endSession(queries)
  }
  const queries: QueryClient = new QueryClient({
    queryCache: new QueryCache({ onError }),
    mutationCache: new MutationCache({ onError }),
    defaultOptions: {
      queries: {
        staleTime: 30_000, // signals say when something is older than that
        retry: (failures, error) =>
          !(error instanceof RestError && error.status < 500) && failures < 3,
        refetchOnReconnect: false, // the socket comes back as well, and says when to fetch
      },
    },
  })
  return queries
}

/** Forgets everything but that nobody is logged in. */
export function endSession(queries: QueryClient): void {
  queries.setQueryData(["me"], null)
  queries.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== "me" })
  queries.getMutationCache().clear()
}

export const queryClient = createQueryClient()
