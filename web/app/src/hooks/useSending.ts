import { useMutation, useMutationState, useQueryClient } from "@tanstack/react-query"
import { rest } from "../api/rest.ts"

/** A message on its way: shown at once, replaced by the server's own as soon as that is fetched. */
export type Outgoing = {
  key: number
  body: string
  hasFailed: boolean
  problem: string
  /** The server's id, once it has answered. */
  sentId: string | undefined
}

export type Sending = ReturnType<typeof useSending>

/** Sends messages of one conversation one after another, and says which are on their way. */
export function useSending(conversationId: string) {
  const queries = useQueryClient()
  const mutationKey = ["send", conversationId]
  const { mutate } = useMutation({
    mutationKey,
    mutationFn: (body: string) => rest.send(conversationId, body),
    scope: { id: `send ${conversationId}` },
    gcTime: Number.POSITIVE_INFINITY, // what could not be sent stays until somebody decides
    onSuccess: () => {
      queries.invalidateQueries({ queryKey: ["messages", conversationId] })
      queries.invalidateQueries({ queryKey: ["conversations"] })
    },
  })
  const outgoing = useMutationState<Outgoing>({
    filters: { mutationKey },
    select: ({ mutationId, state }) => ({
      key: mutationId,
      body: String(state.variables),
      hasFailed: state.status === "error",
      problem: state.error?.message ?? "",
      sentId: (state.data as { id: string } | undefined)?.id,
    }),
  })
  const discard = ({ key }: Outgoing) => {
    const cache = queries.getMutationCache()
    const mutation = cache.find({ mutationKey, predicate: ({ mutationId }) => mutationId === key })
    if (mutation) cache.remove(mutation)
  }
  const retry = (message: Outgoing) => {
    discard(message)
    mutate(message.body)
  }
  return { send: (body: string) => mutate(body), outgoing, retry, discard }
}
