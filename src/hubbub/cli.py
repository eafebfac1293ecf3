"""The command line: ``hubbub run``, ``demo``, ``contract``, ``publish`` and ``token``."""

from __future__ import annotations

import copy
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import uvicorn
from uvicorn.config import LOGGING_CONFIG
from uvicorn.supervisors import ChangeReload

from hubbub.contract_cli import app as contract
from hubbub.contract_cli import gateway_of, load
from hubbub.errors import ConfigurationError, HubbubError
from hubbub.jwt import DEVELOPMENT_SECRET, mint_token
from hubbub.publish_cli import publish
from hubbub.server import INTERRUPT_SECONDS, TERMINATE_SECONDS, Server
from hubbub.workers import Workers

MESSENGER: Final = "hubbub_messenger.app:app"

app = typer.Typer(
    name="hubbub",
    help="A real-time event bus scoped to authenticated users, for Python REST backends.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(contract, name="contract")
app.command()(publish)


class LogLevel(StrEnum):
    """How much is logged."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    DEBUG = "debug"
    TRACE = "trace"


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hubbub {version('hubbub')}")
        raise typer.Exit


@app.callback()
def main(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Holds the options that stand before a command."""


@app.command()
def run(
    application: Annotated[
        str, typer.Argument(metavar="APP", help="Where the ASGI app is, as module:attribute, e.g. main:app.")
    ],
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT", min=0, max=65535, help="The port; 0 for any free one.")] = 8000,
    uds: Annotated[str | None, typer.Option(help="A Unix domain socket to listen on instead.")] = None,
    workers: Annotated[
        int, typer.Option(envvar="WEB_CONCURRENCY", min=1, help="Processes that share the port; they need Redis.")
    ] = 1,
    reload: Annotated[bool, typer.Option("--reload", help="Restart when source files change (development).")] = False,
    reload_dir: Annotated[list[Path] | None, typer.Option(help="A folder to watch; may be repeated.")] = None,
    factory: Annotated[bool, typer.Option("--factory", help="APP is a function that makes the app.")] = False,
    app_dir: Annotated[Path, typer.Option(help="The folder to import APP from.")] = Path(),
    root_path: Annotated[str, typer.Option(help="The path prefix that a proxy strips.")] = "",
    log_level: Annotated[LogLevel, typer.Option(help="How much is logged.", case_sensitive=False)] = LogLevel.INFO,
    access_log: Annotated[bool, typer.Option(help="Log each HTTP request.")] = True,
    env_file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A file of environment variables.")
    ] = None,
    proxy_headers: Annotated[bool, typer.Option(help="Believe X-Forwarded-* of trusted proxies.")] = True,
    forwarded_allow_ips: Annotated[
        str | None,
        typer.Option(envvar="FORWARDED_ALLOW_IPS", help="Trusted proxies, comma-separated; default 127.0.0.1,::1."),
    ] = None,
    ssl_keyfile: Annotated[Path | None, typer.Option(exists=True, help="The TLS key.")] = None,
    ssl_keyfile_password: Annotated[str | None, typer.Option(help="The password of the TLS key.")] = None,
    ssl_certfile: Annotated[Path | None, typer.Option(exists=True, help="The TLS certificate.")] = None,
    ssl_ca_certs: Annotated[Path | None, typer.Option(exists=True, help="CA certificates for client checks.")] = None,
    drain: Annotated[
        float, typer.Option(min=0, help="Seconds over which sockets are closed after SIGTERM.")
    ] = TERMINATE_SECONDS,
) -> None:
    """Serve an ASGI app with Hubbub's WebSocket transport (on uvicorn).

    Ctrl-C ends it within about a second; SIGTERM drains its sockets first; a second signal ends it at once.
    """
    sys.path.insert(0, str(app_dir.resolve()))
    config = uvicorn.Config(
        application,
        ws="hubbub.transports.uvicorn:WebSocketProtocol",
        lifespan="on",
        host=host,
        port=port,
        uds=uds,
        reload=reload,
        reload_dirs=[str(folder) for folder in reload_dir or ()] or None,
        factory=factory,
        root_path=root_path,
        log_config=_log_config(log_level),
        log_level=log_level.value,
        access_log=access_log,
        env_file=env_file,
        proxy_headers=proxy_headers,
        forwarded_allow_ips=forwarded_allow_ips,
        ssl_keyfile=ssl_keyfile,
        ssl_keyfile_password=ssl_keyfile_password,
        ssl_certfile=ssl_certfile,
        ssl_ca_certs=None if ssl_ca_certs is None else str(ssl_ca_certs),
        server_header=False,
    )
    # A reload is a SIGTERM that a person waits for.
    server = Server(config, terminate_seconds=INTERRUPT_SECONDS if reload else drain)
    try:
        with _told_plainly():
            if workers > 1:
                _need_redis(application, app_dir, workers, factory=factory, reload=reload)
                has_started = Workers(config, workers, terminate_seconds=drain).run()
            elif config.should_reload:
                ChangeReload(config, target=server.run, sockets=[config.bind_socket()]).run()
                has_started = True
            else:
                server.run()
                has_started = server.started
    finally:
        if uds is not None and os.path.exists(uds):
            os.remove(uds)
    if not has_started:
        raise typer.Exit(1)


@app.command()
def demo(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT", min=0, max=65535, help="The port; 0 for any free one.")] = 8000,
) -> None:
    """Serve the messenger, the reference app, in your browser: no configuration, and nothing is kept.

    Users alice, bob, carol and dave; each one's password is the name. Open it in two browsers. Needs
    `pip install 'hubbub[messenger]'`.
    """
    if find_spec("fastapi") is None or find_spec("sqlalchemy") is None:
        typer.secho("Error: the messenger needs more packages: pip install 'hubbub[messenger]'", fg="red", err=True)
        raise typer.Exit(1)
    with tempfile.TemporaryDirectory(prefix="hubbub-demo-") as folder:
        os.environ.setdefault("HUBBUB_DATABASE_URL", f"sqlite+aiosqlite:///{folder}/demo.db")
        os.environ["HUBBUB_ENVIRONMENT"] = "development"
        run(MESSENGER, host=host, port=port)


@app.command()
def token(
    user_id: Annotated[str, typer.Argument(help="The user the token is for.")],
    secret: Annotated[
        str, typer.Option(envvar="HUBBUB_SECRET", help="The HS256 key.", show_default="the development secret")
    ] = DEVELOPMENT_SECRET,
    hours: Annotated[float, typer.Option(min=0.0, help="How long it is valid.")] = 12.0,
) -> None:
    """Print a development token: a signed JWT that stands for USER_ID.

    Try it: `curl -H "Authorization: Bearer $(hubbub token alice)" http://127.0.0.1:8000/api/me`
    """
    with _told_plainly():
        typer.echo(mint_token(user_id, key=secret, lifetime=hours * 3600))


@contextmanager
def _told_plainly() -> Iterator[None]:
    """Shows Hubbub's own errors as one line: they name the remedy, and a traceback would hide it."""
    try:
        yield
    except HubbubError as error:
        typer.secho(f"Error: {error}", fg="red", err=True)
        raise typer.Exit(1) from None


def _need_redis(application: str, app_dir: Path, workers: int, *, factory: bool, reload: bool) -> None:
    """Raises ConfigurationError where so many processes would be as many buses that hear nothing of each other."""
    if reload:
        raise ConfigurationError("--reload and --workers do not go together: develop with one process")
    target = load(application, app_dir)
    try:
        gateway = gateway_of(target() if factory else target)
    except ConfigurationError:
        return  # an app without a gateway needs nothing of the kind
    if not gateway.is_shared:
        raise ConfigurationError(
            f"{workers} workers are {workers} nodes, and without Redis an event reaches only the sockets of the node "
            "that published it: give the gateway redis_url=... (the messenger: set HUBBUB_REDIS_URL), "
            "or run one worker"
        )


def _log_config(level: LogLevel) -> dict[str, Any]:
    """Gives uvicorn's logging, with Hubbub's own loggers beside it."""
    config: dict[str, Any] = copy.deepcopy(LOGGING_CONFIG)
    shown = "DEBUG" if level is LogLevel.TRACE else level.value.upper()
    for name in ("hubbub", "hubbub_messenger"):
        config["loggers"][name] = {"handlers": ["default"], "level": shown, "propagate": False}
    return config
