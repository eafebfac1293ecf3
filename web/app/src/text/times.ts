const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" })
const weekday = new Intl.DateTimeFormat("en-GB", { weekday: "long" })
const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric" })
const dayAndMonth = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" })

/** "Last seen 5 min ago" */
export function lastSeen(iso: string, now: number): string {
  const age = now - Date.parse(iso)
  if (age < MINUTE) return "Last seen just now"
  if (age < HOUR) return `Last seen ${Math.floor(age / MINUTE)} min ago`
  if (age < DAY) return `Last seen ${Math.floor(age / HOUR)} h ago`
  if (age < 2 * DAY) return "Last seen yesterday"
  if (age < 7 * DAY) return `Last seen ${Math.floor(age / DAY)} days ago`
  return `Last seen on ${date.format(new Date(iso))}`
}

/** "14:05" */
export function timeOfDay(iso: string): string {
  return clock.format(new Date(iso))
}

/** "Today", "Yesterday", "Monday", "3 March 2026": the heading above the messages of a day. */
export function dayHeading(iso: string, now: number): string {
  const days = daysBetween(new Date(iso), new Date(now))
  if (days <= 0) return "Today"
  if (days === 1) return "Yesterday"
  return days < 7 ? weekday.format(new Date(iso)) : date.format(new Date(iso))
}

/** "14:05" today, "Yesterday", "Mon", then "3 Mar": beside a conversation in the list. */
export function shortTime(iso: string, now: number): string {
  const days = daysBetween(new Date(iso), new Date(now))
  if (days <= 0) return timeOfDay(iso)
  if (days === 1) return "Yesterday"
  return days < 7 ? weekday.format(new Date(iso)).slice(0, 3) : dayAndMonth.format(new Date(iso))
}

export function fullTime(iso: string): string {
  return `${date.format(new Date(iso))}, ${timeOfDay(iso)}`
}

function daysBetween(earlier: Date, later: Date): number {
  const midnight = (date: Date) => new Date(date).setHours(0, 0, 0, 0)
  return Math.round((midnight(later) - midnight(earlier)) / DAY)
}
