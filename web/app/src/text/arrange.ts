import type { Message } from "../api/shapes.ts"

const PAUSE = 5 * 60_000

export type Arranged = { message: Message; isNewDay: boolean; isNewRun: boolean }

/** Finds where days begin, and runs: what one person said without a pause. Oldest first. */
export function arrange(messages: readonly Message[]): Arranged[] {
  return messages.map((message, index) => {
    const before = messages[index - 1]
    const isNewDay = !before || dateOf(before) !== dateOf(message)
    const isNewRun =
      isNewDay ||
      before.senderId !== message.senderId ||
      momentOf(message) - momentOf(before) > PAUSE
    return { message, isNewDay, isNewRun }
  })
}

function dateOf({ createdAt }: Message): string {
  return new Date(createdAt).toDateString()
}

function momentOf({ createdAt }: Message): number {
  return Date.parse(createdAt)
}
