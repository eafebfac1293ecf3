import { useMutation, useQueryClient } from "@tanstack/react-query"
import { useEffect, useRef } from "react"
import { rest } from "../api/rest.ts"
import type { Conversation, Message } from "../api/schemas.ts"
import { useMe } from "./useMe.ts"

/** Mark the newest message of others as read once it is seen. For the server this is not activity. */
export function useMarkRead(
  conversation: Conversation,
  messages: readonly Message[],
  isSeen: boolean,
): void {
  const me = useMe()
  const queries = useQueryClient()
  const reported = useRef("")
  const { mutate } = useMutation({
    mutationFn: (messageId: string) => rest.markRead(conversation.id, { messageId }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["conversations"] }),
    onError: () => {
      reported.current = ""
    },
  })
  const newest = messages.findLast(({ senderId }) => senderId !== me.id)?.id
  const read = conversation.members.find(({ user }) => user.id === me.id)?.lastReadMessageId ?? ""
  useEffect(() => {
    if (!isSeen || !newest || newest <= read || newest <= reported.current) return
    reported.current = newest
    mutate(newest)
  }, [isSeen, newest, read, mutate])
}
