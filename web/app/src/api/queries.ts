import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query"
import { RestError, rest } from "./rest.ts"

/** The user who is logged in, or `null`. */
export const meQuery = queryOptions({
  queryKey: ["me"],
  queryFn: ({ signal }) =>
    rest.me(signal).catch((error: unknown) => {
      if (error instanceof RestError && error.status === 401) return null
      throw error
    }),
  staleTime: Number.POSITIVE_INFINITY,
  gcTime: Number.POSITIVE_INFINITY,
})

export const conversationsQuery = queryOptions({
  queryKey: ["conversations"],
  queryFn: ({ signal }) => rest.conversations(signal),
})

/** Pages of messages, newest first. */
export const messagesQuery = (conversationId: string) =>
  infiniteQueryOptions({
    queryKey: ["messages", conversationId],
    queryFn: ({ pageParam, signal }) => rest.messages(conversationId, pageParam, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextBefore,
  })

export const userQuery = (id: string) =>
  queryOptions({
    queryKey: ["user", id],
    queryFn: ({ signal }) => rest.user(id, signal),
  })

/** A user's presence from REST. The socket's snapshot has the status only, not when an offline user was last seen. */
export const presenceQuery = (userId: string) =>
  queryOptions({
    queryKey: ["presence", userId],
    queryFn: async ({ signal }) => (await rest.presence(userId, signal))[0] ?? null,
  })

export const peopleQuery = (query: string) =>
  queryOptions({
    queryKey: ["people", query],
    queryFn: ({ signal }) => rest.findUsers(query, signal),
  })
