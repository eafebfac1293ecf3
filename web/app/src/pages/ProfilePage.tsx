import { useQuery } from "@tanstack/react-query"
import { userQuery } from "../api/queries.ts"
import { RestError } from "../api/rest.ts"
import { BackLink } from "../components/BackLink.tsx"
import { HeroSection } from "../components/HeroSection.tsx"
import { Notice } from "../components/Notice.tsx"
import { useTopics } from "../hooks/useTopics.ts"
import "./ProfilePage.css"

/** A user's profile, with their presence. */
export function ProfilePage({ id }: { id: string }) {
  useTopics("open", [{ kind: "user", id }])
  const { data: user, error } = useQuery(userQuery(id))
  if (error && !user) {
    const isUnknown = error instanceof RestError && error.status < 500
    if (isUnknown) return <Notice title="User not found">There is no user at this address.</Notice>
    return <Notice title="The profile could not be loaded">{error.message}</Notice>
  }
  return (
    <article className="profile">
      <BackLink />
      {user && <HeroSection user={user} />}
    </article>
  )
}
