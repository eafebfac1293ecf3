import type { Outgoing, Sending } from "../hooks/useSending.ts"

type Props = { message: Outgoing; sending: Sending }

/** A message that is being sent, or that failed. */
export function OutgoingMessage({ message, sending }: Props) {
  return (
    <div className="outgoing" data-mine data-failed={message.hasFailed || undefined}>
      <p className="bubble" dir="auto">
        <span className="visually-hidden">You: </span>
        {message.body}
      </p>
      {message.hasFailed ? (
        <p className="receipt" role="alert">
          Not sent: {message.problem}
          <button type="button" onClick={() => sending.retry(message)}>
            Try again
          </button>
          <button type="button" onClick={() => sending.discard(message)}>
            Discard
          </button>
        </p>
      ) : (
        <p className="receipt">Sending…</p>
      )}
    </div>
  )
}
