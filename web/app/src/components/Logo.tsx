/** The decorative logo: the name is shown beside it. */
export function Logo() {
  return <img className="logo" src="/favicon.svg" alt="" width="28" height="28" />
}
