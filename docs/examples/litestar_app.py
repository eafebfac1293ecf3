"""Litestar, with its own server-side sessions: `hubbub run litestar_app:app`."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec
from litestar import Litestar, Request, post
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.middleware.session.server_side import ServerSideSessionConfig
from litestar.stores.memory import MemoryStore

from hubbub import Context, Domain, Gateway, Handshake, Identity, ServerEvent, Topic, event, notify

TEAMS = {"red": {"alice", "bob"}, "blue": {"carol"}}
notes: defaultdict[str, list[str]] = defaultdict(list)  # your database
sessions = MemoryStore()  # with more than one process, use Litestar's RedisStore


@event("server.notes.added", topics={"team": "team_id"})
class NoteAdded(ServerEvent, frozen=True):
    """A team has a new note: fetch its notes again."""

    team_id: str


class Notes(Domain):
    events = (NoteAdded,)


async def authenticate(handshake: Handshake) -> Identity | None:
    """Look the user up by Litestar's session cookie."""
    data = await sessions.get(handshake.cookie("session") or "")
    user = None if data is None else msgspec.json.decode(data).get("user")
    return None if user is None else Identity(user)


async def authorize(ctx: Context, topics: Sequence[Topic]) -> Iterable[Topic]:
    """Allow members to hear their own teams."""
    return [topic for topic in topics if ctx.user_id in TEAMS.get(topic.id, ())]


@post("/session")
async def sign_in(data: dict[str, str], request: Request) -> None:
    request.set_session({"user": data["user"]})  # check the password first


@post("/teams/{team_id:str}/notes")
async def add_note(team_id: str, data: dict[str, str], request: Request) -> None:
    if "user" not in request.session:
        raise NotAuthorizedException
    if request.session["user"] not in TEAMS.get(team_id, ()):
        raise PermissionDeniedException
    notes[team_id].append(data["text"])  # store it first: REST stays authoritative
    notify(NoteAdded(team_id))  # then notify


litestar = Litestar(
    [sign_in, add_note], middleware=[ServerSideSessionConfig().middleware], stores={"sessions": sessions}
)
app = Gateway(authenticate=authenticate, authorize=authorize, domains=[Notes()]).attach(litestar)
