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
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import uvicorn
from uvicorn.config import LOGGING_CONFIG
from uvicorn.supervisors import ChangeReload

from hubbub.auth.jwt import DEVELOPMENT_SECRET, mint_token
from hubbub.cli.contract import app as contract
from hubbub.cli.contract import gateway_of, load
from hubbub.cli.help import (
    APP_DIR_HELP,
    DEVELOPMENT,
    IMPORTING,
    LIFETIME,
    LISTENING,
    LOGGING,
    PROXY,
    SETTINGS,
    SWITCHES,
    TLS,
    examples,
)
from hubbub.cli.publish import publish
from hubbub.errors import ConfigurationError, HubbubError
from hubbub.server.server import INTERRUPT_SECONDS, TERMINATE_SECONDS, Server
from hubbub.server.workers import Workers

MESSENGER: Final = "hubbub_messenger.app:app"

app = typer.Typer(
    name="hubbub",
    help="A real-time event bus scoped to authenticated users, for Python REST backends.",
    epilog=examples(
        ("serve your app, with its WebSocket", "hubbub run main:app"),
        ("try the messenger in a browser", "hubbub demo"),
        ("everything about one command", "hubbub COMMAND --help"),
        ("let the Tab key complete all of this in your shell", "hubbub --install-completion"),
    ),
    context_settings=SETTINGS,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


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


@app.command(
    epilog=examples(
        ("on http://127.0.0.1:8000", "hubbub run main:app"),
        ("start again when a source file changes", "hubbub run main:app --reload"),
        ("make_app() gives the app; any free port", "hubbub run main:make_app --factory --port 0"),
        ("the package shop is in the folder src", "hubbub run shop.main:app --app-dir src"),
        ("four processes, one bus over Redis", "hubbub run main:app --host 0.0.0.0 --workers 4"),
        ("for a proxy on this machine alone", "hubbub run main:app --uds /run/shop.sock --forwarded-allow-ips '*'"),
    )
)
def run(
    application: Annotated[
        str, typer.Argument(metavar="APP", help="Where the ASGI app is, as module:attribute, e.g. main:app.")
    ],
    factory: Annotated[
        bool,
        typer.Option("--factory", help="APP is a function that makes the app.", rich_help_panel=IMPORTING),
    ] = False,
    app_dir: Annotated[Path, typer.Option(metavar="FOLDER", help=APP_DIR_HELP, rich_help_panel=IMPORTING)] = Path(),
    env_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Environment variables for the app, one NAME=value a line, e.g. .env.",
            rich_help_panel=IMPORTING,
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="The address; 0.0.0.0 is every one of IPv4.", rich_help_panel=LISTENING),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            envvar="PORT",
            metavar="NUMBER",
            min=0,
            max=65535,
            help="The port; 0 takes a free one, which the log names.",
            rich_help_panel=LISTENING,
        ),
    ] = 8000,
    uds: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A Unix domain socket in place of address and port, e.g. /run/shop.sock.",
            rich_help_panel=LISTENING,
        ),
    ] = None,
    reload: Annotated[
        bool,
        typer.Option("--reload", help="Start again when a source file changes.", rich_help_panel=DEVELOPMENT),
    ] = False,
    reload_dir: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER",
            help="What --reload watches, in place of the current folder; may be repeated.",
            rich_help_panel=DEVELOPMENT,
        ),
    ] = None,
    log_level: Annotated[
        LogLevel,
        typer.Option(
            metavar="LEVEL",
            help="How much: critical, error, warning, info, debug or trace. Never frames or tokens.",
            case_sensitive=False,
            rich_help_panel=LOGGING,
        ),
    ] = LogLevel.INFO,
    access_log: Annotated[bool, typer.Option(help="Log each HTTP request.", rich_help_panel=SWITCHES)] = True,
    proxy_headers: Annotated[
        bool, typer.Option(help="Believe X-Forwarded-* of trusted proxies.", rich_help_panel=SWITCHES)
    ] = True,
    forwarded_allow_ips: Annotated[
        str | None,
        typer.Option(
            envvar="FORWARDED_ALLOW_IPS",
            metavar="ADDRESSES",
            help="The trusted proxies, comma-separated, e.g. 10.0.0.0/8; '*' trusts all.",
            show_default="127.0.0.1,::1",
            rich_help_panel=PROXY,
        ),
    ] = None,
    root_path: Annotated[
        str,
        typer.Option(metavar="PATH", help="The prefix that the proxy strips, e.g. /shop.", rich_help_panel=PROXY),
    ] = "",
    ssl_certfile: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, help="The certificate, with its chain, in PEM.", rich_help_panel=TLS),
    ] = None,
    ssl_keyfile: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, help="The certificate's key, in PEM.", rich_help_panel=TLS),
    ] = None,
    ssl_keyfile_password: Annotated[
        str | None, typer.Option(metavar="PASSWORD", help="What decrypts the key.", rich_help_panel=TLS)
    ] = None,
    ssl_ca_certs: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, help="Who signs certificates of clients.", rich_help_panel=TLS),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            envvar="WEB_CONCURRENCY",
            metavar="NUMBER",
            min=1,
            help="Processes that share the port, e.g. one per core; more than one need Redis.",
            rich_help_panel=LIFETIME,
        ),
    ] = 1,
    drain: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="The time over which sockets are closed after SIGTERM, so that they do not all come back at once.",
            rich_help_panel=LIFETIME,
        ),
    ] = TERMINATE_SECONDS,
) -> None:
    """Serve an ASGI app with Hubbub's WebSocket transport, on uvicorn.

    Ctrl-C ends it within about a second; SIGTERM drains its sockets first; a second signal ends it at once.
    """
    sys.path.insert(0, str(app_dir.resolve()))
    config = uvicorn.Config(
        application,
        ws="hubbub:WebSocketProtocol",
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
                has_started = not server.failed
    finally:
        if uds is not None and os.path.exists(uds):
            os.remove(uds)
    if not has_started:
        raise typer.Exit(1)


@app.command(
    epilog=examples(
        ("http://127.0.0.1:8000", "hubbub demo"),
        ("http://127.0.0.1:9000", "hubbub demo --port 9000"),
    )
)
def demo(
    host: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="The address. Anybody knows these passwords: serve nobody else."),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            envvar="PORT", metavar="NUMBER", min=0, max=65535, help="The port; 0 takes a free one, which the log names."
        ),
    ] = 8000,
) -> None:
    r"""Serve the messenger, the reference app, for your browser: no configuration, and nothing is kept.

    Users alice, bob, carol and dave; each one's password is the name. Open it in two browsers.

    Needs the extra: pip install 'hubbub\[messenger]'
    """
    with tempfile.TemporaryDirectory(prefix="hubbub-demo-") as folder:
        os.environ.setdefault("HUBBUB_DATABASE_URL", f"sqlite+aiosqlite:///{folder}/demo.db")
        os.environ["HUBBUB_ENVIRONMENT"] = "development"
        run(MESSENGER, host=host, port=port)


@app.command(
    epilog=examples(
        ("for JWTAuthenticator(DEVELOPMENT_SECRET, ...)", "hubbub token alice"),
        ("expired in half an hour", "hubbub token alice --hours 0.5"),
        ("used at once", 'curl -H "Authorization: Bearer $(hubbub token alice)" 127.0.0.1:8000/api/me'),
    )
)
def token(
    user_id: Annotated[str, typer.Argument(metavar="USER_ID", help="The user it stands for, e.g. alice.")],
    secret: Annotated[
        str,
        typer.Option(
            envvar="HUBBUB_SECRET",
            metavar="KEY",
            help="The HS256 key; better in the environment, which no list of processes shows.",
            show_default="the development secret",
        ),
    ] = DEVELOPMENT_SECRET,
    hours: Annotated[float, typer.Option(metavar="HOURS", min=0.0, help="How long it is valid.")] = 12.0,
) -> None:
    """Print a development token: a signed JWT that stands for USER_ID.

    JWTAuthenticator takes it from the cookie hubbub_session, or from Authorization: Bearer.
    """
    with _told_plainly():
        typer.echo(mint_token(user_id, key=secret, lifetime=hours * 3600))


app.command(
    epilog=examples(
        ("an addressed event", """hubbub publish server.messenger.conversations_changed '{}' --user alice"""),
        (
            "an event of your own",
            """hubbub publish server.orders.shipped '{"orderId": "o1", "buyerId": "alice"}' --app main:app""",
        ),
    )
)(publish)
app.add_typer(contract, name="contract")


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
