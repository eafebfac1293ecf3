import { type FormEvent, type KeyboardEvent, useEffect, useRef, useState } from "react"
import { realtime } from "../api/realtime.ts"
import { TypingSignal } from "../api/typingSignal.ts"
import { Icon } from "./Icon.tsx"
import "./Composer.css"

type Props = { conversationId: string; send: (body: string) => void }

/** The field for a new message. Enter sends, Shift+Enter begins a new line. */
export function Composer({ conversationId, send }: Props) {
  const [text, setText] = useState("")
  const field = useRef<HTMLTextAreaElement>(null)
  const [signal] = useState(
    () => new TypingSignal((isTyping) => realtime.sendTyping(conversationId, isTyping)),
  )
  useEffect(() => () => signal.stop(), [signal])
  useEffect(() => {
    // On a phone the keyboard would cover half of the messages.
    if (matchMedia("(pointer: fine)").matches) field.current?.focus()
  }, [])

  const change = (value: string) => {
    setText(value)
    if (value.trim()) signal.typed()
    else signal.stop()
  }
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const body = text.trim()
    if (!body) return
    setText("")
    signal.stop()
    send(body)
    field.current?.focus()
  }
  const pressed = (event: KeyboardEvent) => {
    const isSend = event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing
    if (isSend) submit(event)
  }
  return (
    <form className="composer" onSubmit={submit}>
      <textarea
        ref={field}
        rows={1}
        value={text}
        maxLength={4000}
        placeholder="Message"
        aria-label="Message"
        dir="auto"
        enterKeyHint="send"
        onChange={(event) => change(event.target.value)}
        onKeyDown={pressed}
      />
      <button type="submit" className="icon-button" aria-label="Send" disabled={!text.trim()}>
        <Icon name="send" />
      </button>
    </form>
  )
}
