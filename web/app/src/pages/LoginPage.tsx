import { useMutation } from "@tanstack/react-query"
import { type FormEvent, useRef } from "react"
import { logIn } from "../api/session.ts"
import { Logo } from "../components/Logo.tsx"
import "./LoginPage.css"

/** Return the demo users that the backend lists in the page, in development only. Their passwords are their names. */
function demoUsers(): string[] {
  const meta = document.querySelector<HTMLMetaElement>('meta[name="demo-users"]')
  return meta?.content.split(" ").filter(Boolean) ?? []
}

/** The login form. */
export function LoginPage() {
  const username = useRef<HTMLInputElement>(null)
  const { mutate, error, isPending } = useMutation({
    mutationFn: logIn,
    onError: () => username.current?.focus(),
  })
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    mutate({ username: String(form.get("username")), password: String(form.get("password")) })
  }
  const demos = demoUsers()
  return (
    <main className="login">
      <form onSubmit={submit}>
        <h1>
          <Logo /> Hubbub
        </h1>
        <label className="field">
          Username
          <input
            ref={username}
            name="username"
            required
            maxLength={64}
            autoComplete="username"
            autoCapitalize="none"
            spellCheck={false}
          />
        </label>
        <label className="field">
          Password
          <input name="password" type="password" required autoComplete="current-password" />
        </label>
        {error && (
          <p className="error" role="alert">
            {error.message}
          </p>
        )}
        <button type="submit" className="button" disabled={isPending}>
          Log in
        </button>
        {demos.length > 0 && (
          <section aria-labelledby="demo">
            <h2 id="demo">Or log in as a test user</h2>
            <div className="demos">
              {demos.map((name) => (
                <button
                  key={name}
                  type="button"
                  className="button quiet"
                  disabled={isPending}
                  onClick={() => mutate({ username: name, password: name })}
                >
                  {name}
                </button>
              ))}
            </div>
          </section>
        )}
      </form>
    </main>
  )
}
