import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query"
import { useLocation } from "wouter"
import { conversationsQuery } from "../api/queries.ts"
import { rest } from "../api/rest.ts"
import type { User } from "../api/schemas.ts"
import { useMe } from "../hooks/useMe.ts"
import { useMayFetch } from "../stores/connection.ts"
import { conversationWith } from "../text/names.ts"
import { fullTime } from "../text/times.ts"
import { Avatar } from "./Avatar.tsx"
import { PresencePill } from "./PresencePill.tsx"
import "./HeroSection.css"

/** The top of a profile: who the user is, and whether they are online. */
export function HeroSection({ user }: { user: User }) {
  const me = useMe()
  return (
    <section className="hero">
      <Avatar id={user.id} name={user.displayName} size="large" />
      <h1>{user.displayName}</h1>
      <p className="handle">@{user.username}</p>
      <PresencePill userId={user.id} />
      {user.id === me.id ? (
        <p className="hint">This is how others see you.</p>
      ) : (
        <MessageButton user={user} />
      )}
      <p className="since">
        Member since <time dateTime={user.createdAt}>{fullTime(user.createdAt)}</time>
      </p>
    </section>
  )
}

function MessageButton({ user }: { user: User }) {
  const me = useMe()
  const queries = useQueryClient()
  const [, navigate] = useLocation()
  const { data: conversations } = useQuery({ ...conversationsQuery, enabled: useMayFetch() })
  const { mutate, isPending } = useMutation({
    mutationFn: rest.createConversation,
    onSuccess: ({ id }) => {
      queries.invalidateQueries({ queryKey: ["conversations"] })
      navigate(`/c/${id}`)
    },
  })
  const openConversation = () => {
    const existing = conversationWith(conversations ?? [], [user], me)
    if (existing) navigate(`/c/${existing.id}`)
    else mutate({ memberIds: [user.id] })
  }
  return (
    <button
      type="button"
      className="button"
      disabled={!conversations || isPending}
      onClick={openConversation}
    >
      Message {user.displayName}
    </button>
  )
}
