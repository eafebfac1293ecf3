import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/react-query"
import { type FormEvent, useDeferredValue, useEffect, useRef, useState } from "react"
import { useLocation } from "wouter"
import { peopleQuery } from "../api/queries.ts"
import { rest } from "../api/rest.ts"
import type { Conversation, User } from "../api/schemas.ts"
import { useMe } from "../hooks/useMe.ts"
import { conversationWith } from "../text/names.ts"
import { Avatar } from "./Avatar.tsx"
import { Icon } from "./Icon.tsx"
import "./NewConversation.css"

type Props = { conversations: readonly Conversation[]; onClose: () => void }

/** The dialog for a new conversation. If there is one with exactly these people, it is opened. */
export function NewConversation({ conversations, onClose }: Props) {
  const me = useMe()
  const queries = useQueryClient()
  const [, navigate] = useLocation()
  const dialog = useRef<HTMLDialogElement>(null)
  const field = useRef<HTMLInputElement>(null)
  const [search, setSearch] = useState("")
  const [title, setTitle] = useState("")
  const [chosen, setChosen] = useState<readonly User[]>([])
  const { data: found } = useQuery({
    ...peopleQuery(useDeferredValue(search.trim())),
    placeholderData: keepPreviousData,
  })
  useEffect(() => {
    dialog.current?.showModal()
    field.current?.focus()
  }, [])

  const open = ({ id }: Conversation) => {
    dialog.current?.close()
    navigate(`/c/${id}`)
  }
  const { mutate, error, isPending } = useMutation({
    mutationFn: rest.createConversation,
    onSuccess: (conversation) => {
      queries.invalidateQueries({ queryKey: ["conversations"] })
      open(conversation)
    },
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const name = title.trim()
    const existing = name ? undefined : conversationWith(conversations, chosen, me)
    if (existing) open(existing)
    else mutate({ memberIds: chosen.map(({ id }) => id), ...(name && { title: name }) })
  }
  const toggle = (user: User) => {
    const others = chosen.filter(({ id }) => id !== user.id)
    setChosen(others.length < chosen.length ? others : [...chosen, user])
  }

  const isChosen = (user: User) => chosen.some(({ id }) => id === user.id)
  const people = [
    ...chosen,
    ...(found ?? []).filter((user) => user.id !== me.id && !isChosen(user)),
  ]
  return (
    <dialog ref={dialog} className="new-conversation" aria-labelledby="new-title" onClose={onClose}>
      <form onSubmit={submit}>
        <header>
          <h2 id="new-title">New conversation</h2>
          <button
            type="button"
            className="icon-button"
            aria-label="Close"
            onClick={() => dialog.current?.close()}
          >
            <Icon name="close" />
          </button>
        </header>
        <label className="field">
          Find people
          <input
            ref={field}
            value={search}
            maxLength={64}
            autoComplete="off"
            onChange={(event) => setSearch(event.target.value)}
          />
        </label>
        <fieldset>
          <legend className="visually-hidden">People</legend>
          {people.map((user) => (
            <label key={user.id} className="person">
              <Avatar id={user.id} name={user.displayName} size="small" />
              <span>
                {user.displayName} <small>@{user.username}</small>
              </span>
              <input type="checkbox" checked={isChosen(user)} onChange={() => toggle(user)} />
            </label>
          ))}
          {found && people.length === 0 && <p className="hint">No users found.</p>}
        </fieldset>
        {chosen.length > 1 && (
          <label className="field">
            Title (optional)
            <input
              value={title}
              maxLength={128}
              onChange={(event) => setTitle(event.target.value)}
            />
          </label>
        )}
        {error && (
          <p className="error" role="alert">
            {error.message}
          </p>
        )}
        <button type="submit" className="button" disabled={chosen.length === 0 || isPending}>
          Start
        </button>
      </form>
    </dialog>
  )
}
