import type { State } from "@hubbub/client"
import { QueryClient, QueryClientProvider } from "@tanstack/react-query"
import { act, render, screen, waitFor } from "@testing-library/react"
import userEvent from "@testing-library/user-event"
import type { ReactNode } from "react"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { realtime } from "../src/api/realtime.ts"
import type { Conversation } from "../src/api/schemas.ts"
import { Composer } from "../src/components/Composer.tsx"
import { ConnectionBanner } from "../src/components/ConnectionBanner.tsx"
import { ConversationList } from "../src/components/ConversationList.tsx"
import { HeroSection } from "../src/components/HeroSection.tsx"
import { MessageBubble } from "../src/components/MessageBubble.tsx"
import { ReadReceipt } from "../src/components/ReadReceipt.tsx"
import { TypingLine } from "../src/components/TypingLine.tsx"
import { MeContext } from "../src/hooks/useMe.ts"
import { LoginPage } from "../src/pages/LoginPage.tsx"
import { connection } from "../src/stores/connection.ts"
import { presence } from "../src/stores/presence.ts"
import { typing } from "../src/stores/typing.ts"
import { conversationOf, message, user } from "./examples.ts"

const [alice, bob, carol] = [user("alice"), user("bob"), user("carol")]
const ready: State = { name: "ready", userId: "alice", socketId: "s1" }
let answers: Record<string, unknown>

beforeEach(() => {
  answers = {}
  vi.stubGlobal("fetch", async (path: string) => {
    const answer = answers[path.split("?")[0] ?? ""]
    return answer === undefined ? Response.json({}, { status: 404 }) : Response.json(answer)
  })
})
afterEach(() => {
  connection.reset()
  presence.keepOnly(new Set())
  typing.clear()
  vi.restoreAllMocks()
})

function show(children: ReactNode) {
  const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } })
  return render(
    <QueryClientProvider client={queries}>
      <MeContext value={alice}>{children}</MeContext>
    </QueryClientProvider>,
  )
}

describe("HeroSection", () => {
  beforeEach(() => {
    connection.entered(ready)
    connection.answered([{ kind: "user", id: "bob" }])
  })

  test("shows who it is", () => {
    show(<HeroSection user={bob} />)
    expect(screen.getByRole("heading", { name: "Bob" })).toBeTruthy()
    expect(screen.getByText("@bob")).toBeTruthy()
  })

  test("has a pill that changes live", () => {
    const { container } = show(<HeroSection user={bob} />)
    const pill = () => container.querySelector(".pill")?.textContent
    expect(pill()).toBe("")
    act(() => presence.batch([{ userId: "bob", status: "online" }]))
    expect(pill()).toBe("Online now")
    act(() => presence.update("bob", { status: "away" }))
    expect(pill()).toBe("Away")
    const lastSeenAt = new Date(Date.now() - 5.5 * 60_000).toISOString()
    act(() => presence.update("bob", { status: "offline", lastSeenAt }))
    expect(pill()).toBe("Last seen 5 min ago")
  })

  test("updates the minutes", () => {
    vi.useFakeTimers()
    const lastSeenAt = new Date(Date.now() - 5 * 60_000).toISOString()
    presence.update("bob", { status: "offline", lastSeenAt })
    show(<HeroSection user={bob} />)
    act(() => void vi.advanceTimersByTime(60_000))
    expect(screen.getByText("Last seen 6 min ago")).toBeTruthy()
    vi.useRealTimers()
  })

  test("asks REST when an offline user was last seen", async () => {
    const lastSeenAt = new Date(Date.now() - 3.5 * 60 * 60_000).toISOString()
    answers["/api/presence"] = [{ userId: "bob", status: "offline", lastSeenAt }]
    presence.batch([{ userId: "bob", status: "offline" }])
    show(<HeroSection user={bob} />)
    expect(await screen.findByText("Last seen 3 h ago")).toBeTruthy()
  })
})

describe("ConnectionBanner", () => {
  test("is empty while connected", () => {
    connection.entered(ready)
    show(<ConnectionBanner />)
    expect(screen.getByRole("status").textContent).toBe("")
  })

  test("offers to reconnect at once if the delay is long", async () => {
    const retry = vi.spyOn(realtime, "retry").mockReturnValue()
    connection.entered({ name: "waiting", delay: 15_000 })
    show(<ConnectionBanner />)
    expect(screen.getByRole("status").textContent).toContain("Connecting…")
    await userEvent.click(screen.getByRole("button", { name: "Reconnect now" }))
    expect(retry).toHaveBeenCalledOnce()
  })

  test("shows why the client has stopped", () => {
    connection.entered({ name: "stopped", why: { code: 4400, reason: "malformed event" } })
    show(<ConnectionBanner />)
    expect(screen.getByRole("status").textContent).toContain("malformed event")
  })
})

describe("ConversationList", () => {
  const list = (...conversations: Conversation[]) =>
    show(<ConversationList conversations={conversations} />)

  test("shows the last message, the unread count and the presence", () => {
    presence.batch([{ userId: "bob", status: "online" }])
    const lastMessage = message("See you", { senderId: "bob" })
    list(conversationOf([alice, bob], { lastMessage, unreadCount: 3 }))
    const row = screen.getByRole("link")
    expect(row.textContent).toContain("online")
    expect(row.textContent).toContain("See you")
    expect(row.textContent).toContain("3 unread")
  })

  test("shows that counting stops at a hundred", () => {
    list(conversationOf([alice, bob], { unreadCount: 100 }))
    expect(screen.getByRole("link").textContent).toContain("99+ unread")
  })

  test("names the sender in a group", () => {
    const lastMessage = message("Hello", { senderId: "carol" })
    list(conversationOf([alice, bob, carol], { lastMessage }))
    expect(screen.getByText("Carol: Hello")).toBeTruthy()
  })

  test("shows who is typing in place of the last message", () => {
    list(conversationOf([alice, bob], { lastMessage: message("Hello") }))
    act(() => typing.receive("c1", "bob", true))
    expect(screen.getByText("Bob is typing…")).toBeTruthy()
    expect(screen.queryByText("You: Hello")).toBeNull()
  })
})

describe("the thread", () => {
  test("shows text as text", () => {
    const attack = message("<img src=x onerror=alert(1)>", { senderId: "bob" })
    const conversation = conversationOf([alice, bob])
    const { container } = show(
      <MessageBubble message={attack} conversation={conversation} isNewGroup />,
    )
    expect(container.querySelector("img")).toBeNull()
    expect(screen.getByText("<img src=x onerror=alert(1)>")).toBeTruthy()
  })

  test.each([
    [[], "Sent"],
    [["bob"], "Read by Bob"],
    [["bob", "carol"], "Read by everyone"],
  ])("shows who has read: %s", (readers, expected) => {
    const mine = message("Hello")
    const conversation = conversationOf([alice, bob, carol])
    for (const member of conversation.members) {
      if (readers.includes(member.user.id)) member.lastReadMessageId = mine.id
    }
    show(<ReadReceipt message={mine} conversation={conversation} />)
    expect(screen.getByText(expected)).toBeTruthy()
  })

  test.each([
    [["bob"], "Bob is typing…"],
    [["bob", "carol"], "Bob and Carol are typing…"],
  ])("shows who is typing, also to screen readers: %s", (ids, expected) => {
    for (const id of ids) typing.receive("c1", id, true)
    show(<TypingLine conversation={conversationOf([alice, bob, carol])} />)
    expect(screen.getByRole("status").textContent).toBe(expected)
  })
})

describe("Composer", () => {
  function compose() {
    const sent: string[] = []
    const signals: boolean[] = []
    vi.spyOn(realtime, "sendTyping").mockImplementation(
      (_, isTyping) => void signals.push(isTyping),
    )
    const view = show(<Composer conversationId="c1" send={(body) => sent.push(body)} />)
    return { sent, signals, view, field: screen.getByRole("textbox", { name: "Message" }) }
  }

  test("sends with Enter, and signals that the typing has ended", async () => {
    const { sent, signals, field } = compose()
    await userEvent.type(field, " Hello {Enter}")
    expect(sent).toEqual(["Hello"])
    expect(signals).toEqual([true, false])
  })

  test("does not send an empty message", async () => {
    const { sent, field } = compose()
    await userEvent.type(field, "  {Enter}")
    expect(sent).toEqual([])
  })

  test("signals that the typing has ended when the page is left", async () => {
    const { signals, field, view } = compose()
    await userEvent.type(field, "Hel")
    view.unmount()
    expect(signals).toEqual([true, false])
  })
})

test("LoginPage shows what was wrong", async () => {
  vi.stubGlobal("fetch", async () => Response.json({ detail: "Wrong." }, { status: 401 }))
  show(<LoginPage />)
  await userEvent.type(screen.getByLabelText("Username"), "alice")
  await userEvent.type(screen.getByLabelText("Password"), "guess")
  await userEvent.click(screen.getByRole("button", { name: "Log in" }))
  await waitFor(() => expect(screen.getByRole("alert").textContent).toBe("Wrong."))
})
