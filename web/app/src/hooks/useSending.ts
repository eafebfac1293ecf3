import { useMutation, useMutationState, useQueryClient } from "@tanstack/react-query"
import { rest } from "../api/rest.ts"

/** A message that is being sent. It is shown at once, and replaced when the server's copy has been fetched. */
export type Outgoing = {
  key: number
  body: string
  hasFailed: boolean
  problem: string
  /** The id from the server's answer. */
  sentId: string | undefined
}

export type Sending = ReturnType<typeof useSending>

/** Send the messages of a conversation one after another, and return those that are being sent. */
export function useSending(conversationId: string) {
  const queries = useQueryClient()
  const mutationKey = ["send", conversationId]
  const { mutate } = useMutation({
    mutationKey,
    mutationFn: (body: string) => rest.sendMessage(conversationId, { body }),
    scope: { id: `send ${conversationId}` },
    gcTime: Number.POSITIVE_INFINITY, // a failed message stays until the user retries or discards it
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
