"""FastAPI, with one token for REST and the socket: `hubbub run fastapi_app:app`."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Annotated

import jwt
from fastapi import Body, Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from hubbub import Context, Domain, Gateway, JWTAuthenticator, ServerEvent, Topic, event, mint_token, notify

SECRET = "from your settings, thirty-two bytes at least"
TEAMS = {"red": {"alice", "bob"}, "blue": {"carol"}}
notes: defaultdict[str, list[str]] = defaultdict(list)  # your database


@event("server.notes.added", topics={"team": "team_id"})
class NoteAdded(ServerEvent, frozen=True):
    """A team has a new note: fetch its notes again."""

    team_id: str


class Notes(Domain):
    events = (NoteAdded,)


async def authorize(ctx: Context, topics: Sequence[Topic]) -> Iterable[Topic]:
    """Allow members to hear their own teams."""
    return [topic for topic in topics if ctx.user_id in TEAMS.get(topic.id, ())]


app = FastAPI()
gateway = Gateway(authenticate=JWTAuthenticator(SECRET, algorithms=["HS256"]), authorize=authorize, domains=[Notes()])
gateway.attach(app)


def signed_in(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
    try:
        return str(jwt.decode(credentials.credentials, SECRET, ["HS256"])["sub"])
    except jwt.InvalidTokenError:
        raise HTTPException(401) from None


@app.post("/session")
def sign_in(user: Annotated[str, Body(embed=True)]) -> dict[str, str]:
    return {"token": mint_token(user, key=SECRET)}  # check the password first


@app.post("/teams/{team_id}/notes", status_code=201)
def add_note(team_id: str, text: Annotated[str, Body(embed=True)], user: Annotated[str, Depends(signed_in)]) -> None:
    if user not in TEAMS.get(team_id, ()):
        raise HTTPException(403)
    notes[team_id].append(text)  # store it first: REST stays authoritative
    notify(NoteAdded(team_id))  # then notify
