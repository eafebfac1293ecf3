"""Starlette, with your own session cookies: `hubbub run starlette_app:app`."""

import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hubbub import Context, Domain, Gateway, Handshake, Identity, ServerEvent, Topic, event, notify

TEAMS = {"red": {"alice", "bob"}, "blue": {"carol"}}
notes: defaultdict[str, list[str]] = defaultdict(list)  # your database
sessions: dict[str, str] = {}  # your table of sessions: the user of each


@event("server.notes.added", topics={"team": "team_id"})
class NoteAdded(ServerEvent, frozen=True):
    """A team has a new note: fetch its notes again."""

    team_id: str


class Notes(Domain):
    events = (NoteAdded,)


def authenticate(handshake: Handshake) -> Identity | None:
    """Look the user up by the browser's cookie. This function may also be async."""
    user = sessions.get(handshake.cookie("session") or "")
    return None if user is None else Identity(user)


async def authorize(ctx: Context, topics: Sequence[Topic]) -> Iterable[Topic]:
    """Allow members to hear their own teams."""
    return [topic for topic in topics if ctx.user_id in TEAMS.get(topic.id, ())]


async def sign_in(request: Request) -> Response:
    session, response = secrets.token_urlsafe(), Response()
    sessions[session] = (await request.json())["user"]  # check the password first
    response.set_cookie("session", session, httponly=True, samesite="lax")
    return response


async def add_note(request: Request) -> Response:
    user, team_id = sessions.get(request.cookies.get("session", "")), request.path_params["team_id"]
    if user not in TEAMS.get(team_id, ()):
        return Response(status_code=401 if user is None else 403)
    notes[team_id].append((await request.json())["text"])  # store it first: REST stays authoritative
    notify(NoteAdded(team_id))  # then notify
    return Response(status_code=201)


routes = [Route("/session", sign_in, methods=["POST"]), Route("/teams/{team_id}/notes", add_note, methods=["POST"])]
app = Starlette(routes=routes)
gateway = Gateway(authenticate=authenticate, authorize=authorize, domains=[Notes()])
gateway.attach(app)
