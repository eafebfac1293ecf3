import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query"
import { useLocation } from "wouter"
import { conversationsQuery } from "../api/queries.ts"
import { rest } from "../api/rest.ts"
import type { User } from "../api/shapes.ts"
import { useMe } from "../hooks/useMe.ts"
import { useMayFetch } from "../stores/connection.ts"
import { conversationWith } from "../text/names.ts"
import { inFull } from "../text/times.ts"
import { Avatar } from "./Avatar.tsx"
import { PresencePill } from "./PresencePill.tsx"
import "./HeroSection.css"

/** Introduces somebody: who it is, and whether they are here now. */
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
        <WriteTo user={user} />
      )}
      <p className="since">
        Here since <time dateTime={user.createdAt}>{inFull(user.createdAt)}</time>
      </p>
    </section>
  )
}

function WriteTo({ user }: { user: User }) {
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
  const write = () => {
    const existing = conversationWith(conversations ?? [], [user], me)
    if (existing) navigate(`/c/${existing.id}`)
    else mutate({ memberIds: [user.id] })
  }
  return (
    <button type="button" className="button" disabled={!conversations || isPending} onClick={write}>
      Write to {user.displayName}
    </button>
  )
}
