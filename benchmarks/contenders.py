"""Everybody who takes part: Hubbub, the floor, and the peers, each the best idiomatic server we know how to write."""

from __future__ import annotations

import shutil
import subprocess
from typing import ClassVar, Final

from benchmarks.install import ENVIRONMENT, NODE_MODULES, PEERS, installed_version, python_versions
from benchmarks.process import Program, free_port
from benchmarks.servers import Floor, Hubbub, Server
from benchmarks.speech import Centrifugo as CentrifugoSpeech
from benchmarks.speech import Chanx, Silence, SocketIO, Speech

SLOW: Final = 10_000
"""Sockets of those who take over a millisecond to connect one."""


class Node(Server):
    """A server on Node: ``peers/<folder>/server.js``."""

    folder: ClassVar[str]
    package: ClassVar[str]
    arguments: ClassVar[tuple[str, ...]] = ()

    def start(self) -> Program:
        """Makes the server's program."""
        script = PEERS / self.folder / "server.js"
        return self.program("node", "--expose-gc", script, str(self.port), *self.arguments)

    @classmethod
    def version(cls) -> str:
        """Tells what is measured, with its version."""
        node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
        return f"{cls.package} {installed_version(cls.package)}, Node {node}"


class Uws(Node):
    """uWebSockets.js: native publish and subscribe."""

    name, title = "uws", "uWebSockets.js"
    folder, package = "uws", "@trufflesuite/uws-js-unofficial"


class Ws(Node):
    """Node's ``ws`` with authentication and rooms."""

    name, title = "ws", "ws"
    folder = package = "ws"


class WsBare(Ws):
    """Node's ``ws`` that asks nobody who they are, and knows no rooms."""

    name, title = "ws-bare", "ws, no authentication"
    arguments = ("bare",)
    speech = Silence()
    has_topics = False


class SocketIONode(Node):
    """Socket.IO on Node."""

    name, title = "socket.io", "Socket.IO"
    folder, package = "socket_io", "socket.io"
    speech = SocketIO()
    has_redis = True


class Uvicorn(Server):
    """A server on Python and uvicorn: ``peers/<folder>/server.py``."""

    folder: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    speech: ClassVar[Speech] = Speech()

    def start(self) -> Program:
        """Makes the server's program: uvicorn with its fastest parts, its pings as often as the others', and quiet."""
        options = ("--loop", "uvloop", "--http", "httptools", "--ws", "websockets-sansio", "--ws-ping-interval", "25")
        where = ("--app-dir", PEERS / self.folder, "--port", str(self.http_port), "--log-level", "warning")
        return self.program(ENVIRONMENT / "bin" / "uvicorn", "server:app", *where, *options, **self.told())

    def told(self) -> dict[str, str]:
        """Gives what this server is told beside what all are."""
        return {}

    @classmethod
    def version(cls) -> str:
        """Tells what is measured, with its version."""
        return python_versions(*cls.packages)


class PythonSocketIO(Uvicorn):
    """python-socketio."""

    name, title = "python-socketio", "python-socketio"
    folder, packages = "python_socketio", ("python-socketio", "uvicorn")
    most_sockets = SLOW
    speech = SocketIO()
    has_redis = True


class ChannelsUvicorn(Uvicorn):
    """Django Channels on uvicorn."""

    name, title = "channels-uvicorn", "Channels (uvicorn)"
    folder, packages = "channels", ("channels", "channels-redis", "django", "uvicorn")
    has_redis = needs_redis = True
    most_sockets = SLOW


class ChannelsDaphne(Server):
    """Django Channels on Daphne."""

    name, title = "channels-daphne", "Channels (Daphne)"
    has_redis = needs_redis = True
    most_sockets = SLOW

    def start(self) -> Program:
        """Makes the server's program."""
        daphne = (ENVIRONMENT / "bin" / "python", "-m", "daphne", "-b", "127.0.0.1", "-p", str(self.port))
        command = (f"PYTHONPATH={PEERS / 'channels'}", *daphne, "-v", "0", "--ping-interval", "25", "server:app")
        return self.program(*command)

    @classmethod
    def version(cls) -> str:
        """Tells what is measured, with its version."""
        return python_versions("channels", "channels-redis", "django", "daphne")


class FastAPINaive(Uvicorn):
    """FastAPI with a loop over its sockets."""

    name, title = "fastapi", "FastAPI, naive loop"
    folder, packages = "fastapi_naive", ("fastapi", "uvicorn", "websockets")


class ChanxServer(Uvicorn):
    """chanx on FastAPI."""

    name, title = "chanx", "chanx (FastAPI)"
    folder, packages = "chanx", ("chanx", "fast-channels", "uvicorn")
    speech = Chanx()
    has_redis = needs_redis = True
    most_sockets = SLOW


class Centrifugo(Uvicorn):
    """Centrifugo, and a FastAPI backend that publishes by its HTTP API: both together are what is measured."""

    name, title = "centrifugo", "Centrifugo and FastAPI"
    folder, packages = "centrifugo", ("cent", "fastapi", "uvicorn")
    speech = CentrifugoSpeech()
    has_redis = True

    def start(self) -> Program:
        """Makes the backend's program, which starts Centrifugo."""
        self.http_port = free_port()
        return super().start()

    def told(self) -> dict[str, str]:
        """Tells the backend where Centrifugo listens."""
        return {"PORT": str(self.port)}

    @classmethod
    def version(cls) -> str:
        """Tells what is measured, with its version."""
        said = subprocess.run([cls.name, "version"], capture_output=True, text=True, check=True).stdout.strip()
        return f"{said}; {super().version()}"


EVERYBODY: Final[tuple[type[Server], ...]] = (
    Floor,
    Uws,
    Hubbub,
    Ws,
    WsBare,
    Centrifugo,
    SocketIONode,
    FastAPINaive,
    ChannelsUvicorn,
    ChannelsDaphne,
    ChanxServer,
    PythonSocketIO,
)


IN_A_HURRY: Final = (Floor, Uws, Hubbub, WsBare, SocketIONode, FastAPINaive)
"""Whom the quick mode measures: those whom the goals name, and of the Python peers the quickest."""


def present() -> tuple[list[type[Server]], dict[str, str]]:
    """Gives who can take part here, and by name why the others cannot."""
    able: list[type[Server]] = []
    absent: dict[str, str] = {}
    for contender in EVERYBODY:
        if issubclass(contender, Node) and not (NODE_MODULES / contender.package).exists():
            absent[contender.title] = f"{contender.package} is not installed in {NODE_MODULES.name}"
        elif issubclass(contender, (Uvicorn, ChannelsDaphne)) and not (ENVIRONMENT / "bin" / "uvicorn").exists():
            absent[contender.title] = "the peers' Python environment is not installed"
        elif contender is Centrifugo and shutil.which(contender.name) is None:
            absent[contender.title] = "no centrifugo on the PATH (its binary is in no package registry)"
        else:
            able.append(contender)
    return able, absent
