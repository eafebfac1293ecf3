import { Route, Switch } from "wouter"
import { Notice } from "./components/Notice.tsx"
import { Shell } from "./components/Shell.tsx"
import { MeContext } from "./hooks/useMe.ts"
import { useSession } from "./hooks/useSession.ts"
import { ConversationPage } from "./pages/ConversationPage.tsx"
import { LoginPage } from "./pages/LoginPage.tsx"
import { ProfilePage } from "./pages/ProfilePage.tsx"
import { WelcomePage } from "./pages/WelcomePage.tsx"

/** Shows the login to strangers, in place: who logs in is where they wanted to be. */
export function App() {
  const { me, error, retry } = useSession()
  if (me === null) return <LoginPage />
  if (me === undefined) {
    return error ? (
      <main>
        <Notice title="Hubbub cannot be reached" action={{ label: "Try again", run: retry }}>
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
            <Notice title="There is nothing here">The address leads nowhere.</Notice>
          </Route>
        </Switch>
      </Shell>
    </MeContext>
  )
}
