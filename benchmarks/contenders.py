"""All servers that are compared: Hubbub, the floor, and the peers, each the best idiomatic server we can write."""

from __future__ import annotations

import shutil
import subprocess
from typing import ClassVar, Final

from benchmarks import protocols
from benchmarks.install import ENVIRONMENT, NODE_MODULES, PEERS, installed_version, python_versions
from benchmarks.process import Program, free_port
from benchmarks.protocols import ClientProtocol, EventsOnly
from benchmarks.servers import Floor, Hubbub, Server

SOCKETS_OF_SLOW: Final = 10_000
"""Sockets of the servers that take over a millisecond to connect one."""


class Node(Server):
    """A server on Node: `peers/<folder>/server.js`."""

    folder: ClassVar[str]
    package: ClassVar[str]
    arguments: ClassVar[tuple[str, ...]] = ()

    def start(self) -> Program:
        """Return the server's program."""
        script = PEERS / self.folder / "server.js"
        return self.program("node", "--expose-gc", script, str(self.port), *self.arguments)

    @classmethod
    def version(cls) -> str:
        """Return what is measured, with its version."""
        node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
        return f"{cls.package} {installed_version(cls.package)}, Node {node}"


class Uws(Node):
    """uWebSockets.js: native publish and subscribe."""

    name, title = "uws", "uWebSockets.js"
    folder, package = "uws", "@trufflesuite/uws-js-unofficial"


class Ws(Node):
    """Node's `ws` with authentication and rooms."""

    name, title = "ws", "ws"
    folder = package = "ws"


class WsBare(Ws):
    """Node's `ws` without authentication and rooms."""

    name, title = "ws-bare", "ws, no authentication"
    arguments = ("bare",)
    protocol = EventsOnly()
    has_topics = False


class SocketIONode(Node):
    """Socket.IO on Node."""

    name, title = "socket.io", "Socket.IO"
    folder, package = "socket_io", "socket.io"
    protocol = protocols.SocketIO()
    has_redis = True


class Uvicorn(Server):
    """A server on Python and uvicorn: `peers/<folder>/server.py`."""

    folder: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    protocol: ClassVar[ClientProtocol] = ClientProtocol()

    def start(self) -> Program:
        """Return the server's program: uvicorn with its fastest parts, a ping every 25 s, and no access log."""
        options = ("--loop", "uvloop", "--http", "httptools", "--ws", "websockets-sansio", "--ws-ping-interval", "25")
        app = ("--app-dir", PEERS / self.folder, "--port", str(self.http_port), "--log-level", "warning")
        return self.program(ENVIRONMENT / "bin" / "uvicorn", "server:app", *app, *options, **self.settings())

    def settings(self) -> dict[str, str]:
        """Return the settings of this server beside those that all have."""
        return {}

    @classmethod
    def version(cls) -> str:
        """Return what is measured, with its version."""
        return python_versions(*cls.packages)


class PythonSocketIO(Uvicorn):
    """python-socketio."""

    name, title = "python-socketio", "python-socketio"
    folder, packages = "python_socketio", ("python-socketio", "uvicorn")
    max_sockets = SOCKETS_OF_SLOW
    protocol = protocols.SocketIO()
    has_redis = True


class ChannelsUvicorn(Uvicorn):
    """Django Channels on uvicorn."""

    name, title = "channels-uvicorn", "Channels (uvicorn)"
    folder, packages = "channels", ("channels", "channels-redis", "django", "uvicorn")
    has_redis = needs_redis = True
    max_sockets = SOCKETS_OF_SLOW


class ChannelsDaphne(Server):
    """Django Channels on Daphne."""

    name, title = "channels-daphne", "Channels (Daphne)"
    has_redis = needs_redis = True
    max_sockets = SOCKETS_OF_SLOW

    def start(self) -> Program:
        """Return the server's program."""
        daphne = (ENVIRONMENT / "bin" / "python", "-m", "daphne", "-b", "127.0.0.1", "-p", str(self.port))
        command = (f"PYTHONPATH={PEERS / 'channels'}", *daphne, "-v", "0", "--ping-interval", "25", "server:app")
        return self.program(*command)

    @classmethod
    def version(cls) -> str:
        """Return what is measured, with its version."""
        return python_versions("channels", "channels-redis", "django", "daphne")


class FastAPINaive(Uvicorn):
    """FastAPI with a loop over its sockets."""

    name, title = "fastapi", "FastAPI, naive loop"
    folder, packages = "fastapi_naive", ("fastapi", "uvicorn", "websockets")


class ChanxServer(Uvicorn):
    """chanx on FastAPI."""

    name, title = "chanx", "chanx (FastAPI)"
    folder, packages = "chanx", ("chanx", "fast-channels", "uvicorn")
    protocol = protocols.Chanx()
    has_redis = needs_redis = True
    max_sockets = SOCKETS_OF_SLOW


class Centrifugo(Uvicorn):
    """Centrifugo, and a FastAPI backend that publishes through its HTTP API; both are measured together."""

    name, title = "centrifugo", "Centrifugo and FastAPI"
    folder, packages = "centrifugo", ("cent", "fastapi", "uvicorn")
    protocol = protocols.Centrifugo()
    has_redis = True

    def start(self) -> Program:
        """Return the backend's program, which starts Centrifugo."""
        self.http_port = free_port()
        return super().start()

    def settings(self) -> dict[str, str]:
        """Return the port that the backend starts Centrifugo on."""
        return {"PORT": str(self.port)}

    @classmethod
    def version(cls) -> str:
        """Return what is measured, with its version."""
        own = subprocess.run([cls.name, "version"], capture_output=True, text=True, check=True).stdout.strip()
        return f"{own}; {super().version()}"


CONTENDERS: Final[tuple[type[Server], ...]] = (
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

CONTENDERS_OF_QUICK_MODE: Final = (Floor, Uws, Hubbub, WsBare, SocketIONode, FastAPINaive)
"""The servers that the goals name, and the fastest of the Python peers."""


def available() -> tuple[list[type[Server]], dict[str, str]]:
    """Return the servers that can run here, and by title the reason why the others cannot."""
    servers: list[type[Server]] = []
    absent: dict[str, str] = {}
    for contender in CONTENDERS:
        if issubclass(contender, Node) and not (NODE_MODULES / contender.package).exists():
            absent[contender.title] = f"{contender.package} is not installed in {NODE_MODULES.name}"
        elif issubclass(contender, (Uvicorn, ChannelsDaphne)) and not (ENVIRONMENT / "bin" / "uvicorn").exists():
            absent[contender.title] = "the peers' Python environment is not installed"
        elif contender is Centrifugo and shutil.which(contender.name) is None:
            absent[contender.title] = "no centrifugo on the PATH (its binary is in no package registry)"
        else:
            servers.append(contender)
    return servers, absent
