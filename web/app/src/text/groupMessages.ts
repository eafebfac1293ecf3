import type { Message } from "../api/schemas.ts"

const MAX_PAUSE = 5 * 60_000

export type GroupedMessage = { message: Message; isNewDay: boolean; isNewGroup: boolean }

/**
 * Mark the messages that begin a day or a group. A group is what one person wrote without a long pause.
 * The messages are sorted, oldest first.
 */
export function groupMessages(messages: readonly Message[]): GroupedMessage[] {
  return messages.map((message, index) => {
    const before = messages[index - 1]
    const isNewDay = !before || dateOf(before) !== dateOf(message)
    const isNewGroup =
      isNewDay ||
      before.senderId !== message.senderId ||
      timestampOf(message) - timestampOf(before) > MAX_PAUSE
    return { message, isNewDay, isNewGroup }
  })
}

function dateOf({ createdAt }: Message): string {
  return new Date(createdAt).toDateString()
}

function timestampOf({ createdAt }: Message): number {
  return Date.parse(createdAt)
}
