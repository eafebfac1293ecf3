import { Notice } from "../components/Notice.tsx"
import { useMe } from "../hooks/useMe.ts"

/** What is beside the list until something is open. */
export function WelcomePage() {
  const { displayName } = useMe()
  return <Notice title={`Hello, ${displayName}`}>Choose a conversation, or start a new one.</Notice>
}
