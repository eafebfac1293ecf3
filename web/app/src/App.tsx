import { Route, Switch } from "wouter"
import { Notice } from "./components/Notice.tsx"
import { Shell } from "./components/Shell.tsx"
import { MeContext } from "./hooks/useMe.ts"
import { useSession } from "./hooks/useSession.ts"
import { ConversationPage } from "./pages/ConversationPage.tsx"
import { LoginPage } from "./pages/LoginPage.tsx"
import { ProfilePage } from "./pages/ProfilePage.tsx"
import { WelcomePage } from "./pages/WelcomePage.tsx"

/** The page of the current address. Without a session it is the login page; a login then leads to that address. */
export function App() {
  const { me, error, retry } = useSession()
  if (me === null) return <LoginPage />
  if (me === undefined) {
    return error ? (
      <main>
        <Notice title="Hubbub is not reachable" action={{ label: "Try again", run: retry }}>
          {error.message}
        </Notice>
      </main>
    ) : null
  }
  return (
    <MeContext value={me}>
      <Shell>
        <Switch>
          <Route path="/" component={WelcomePage} />
          <Route path="/c/:id">{({ id }) => <ConversationPage key={id} id={id} />}</Route>
          <Route path="/u/:id">{({ id }) => <ProfilePage key={id} id={id} />}</Route>
          <Route>
            <Notice title="Page not found">There is no page at this address.</Notice>
          </Route>
        </Switch>
      </Shell>
    </MeContext>
  )
}
