import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query"
import { RestError } from "./rest.ts"

/** Return a cache of the answers of REST. A 401 to any call ends the session. */
export function createQueryClient(): QueryClient {
  const onError = (error: Error) => {
    if (error instanceof RestError && error.status === 401) endSession(queries)
  }
  const queries: QueryClient = new QueryClient({
    queryCache: new QueryCache({ onError }),
    mutationCache: new MutationCache({ onError }),
    defaultOptions: {
      queries: {
        staleTime: 30_000, // signals invalidate what changes earlier
        retry: (failures, error) =>
          !(error instanceof RestError && error.status < 500) && failures < 3,
        refetchOnReconnect: false, // the socket reconnects too, and causes the refetch
      },
    },
  })
  return queries
}

/** Clear the cache, and store that no user is logged in. */
export function endSession(queries: QueryClient): void {
  queries.setQueryData(["me"], null)
  queries.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== "me" })
  queries.getMutationCache().clear()
}

export const queryClient = createQueryClient()
