import { useQuery } from "@tanstack/react-query"
import { userQuery } from "../api/queries.ts"
import { RestError } from "../api/rest.ts"
import { BackLink } from "../components/BackLink.tsx"
import { HeroSection } from "../components/HeroSection.tsx"
import { Notice } from "../components/Notice.tsx"
import { useTopics } from "../hooks/useTopics.ts"
import "./ProfilePage.css"

/** Shows somebody, and whether they are there. */
export function ProfilePage({ id }: { id: string }) {
  useTopics("open", [{ kind: "user", id }])
  const { data: user, error } = useQuery(userQuery(id))
  if (error && !user) {
    const isUnknown = error instanceof RestError && error.status < 500
    return <Notice title="There is nobody here">{isUnknown ? "" : error.message}</Notice>
  }
  return (
    <article className="profile">
      <BackLink />
      {user && <HeroSection user={user} />}
    </article>
  )
}
