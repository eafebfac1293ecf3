"""`hubbub run`: serve an app."""

from __future__ import annotations

import copy
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import uvicorn
from uvicorn.config import LOGGING_CONFIG
from uvicorn.supervisors import ChangeReload

from hubbub.cli.errors import exit_on_error
from hubbub.cli.help import APP_DIR_HELP, PORT_HELP, examples
from hubbub.cli.loading import find_gateway, load_attribute
from hubbub.errors import ConfigurationError
from hubbub.server.server import INTERRUPT_SECONDS, TERMINATE_SECONDS, Server
from hubbub.server.workers import Workers

# Headings of the options in the help.
APP: Final = "The app"
LISTENING: Final = "Listening"
DEVELOPMENT: Final = "Development"
LOGGING: Final = "Logging"
SWITCHES: Final = "On by default"
PROXY: Final = "Behind a proxy"
TLS: Final = "TLS"
PROCESSES: Final = "Processes"

EXAMPLES: Final = examples(
    ("on http://127.0.0.1:8000", "hubbub run main:app"),
    ("restart when a source file changes", "hubbub run main:app --reload"),
    ("make_app() returns the app; any free port", "hubbub run main:make_app --factory --port 0"),
    ("the package shop is in the folder src", "hubbub run shop.main:app --app-dir src"),
    ("four processes, one bus over Redis", "hubbub run main:app --host 0.0.0.0 --workers 4"),
    ("only for a proxy on this machine", "hubbub run main:app --uds /run/shop.sock --forwarded-allow-ips '*'"),
)


class LogLevel(StrEnum):
    """How much is logged."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    DEBUG = "debug"
    TRACE = "trace"


def run(
    application: Annotated[
        str, typer.Argument(metavar="APP", help="The ASGI app, as module:attribute, e.g. main:app.")
    ],
    factory: Annotated[
        bool, typer.Option("--factory", help="APP is a function that returns the app.", rich_help_panel=APP)
    ] = False,
    app_dir: Annotated[Path, typer.Option(metavar="FOLDER", help=APP_DIR_HELP, rich_help_panel=APP)] = Path(),
    env_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Environment variables for the app, one NAME=value per line, e.g. .env.",
            rich_help_panel=APP,
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="The address. 0.0.0.0 is every IPv4 address.", rich_help_panel=LISTENING),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(envvar="PORT", metavar="NUMBER", min=0, max=65535, help=PORT_HELP, rich_help_panel=LISTENING),
    ] = 8000,
    uds: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A Unix domain socket instead of address and port, e.g. /run/shop.sock.",
            rich_help_panel=LISTENING,
        ),
    ] = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="Restart when a source file changes.", rich_help_panel=DEVELOPMENT)
    ] = False,
    reload_dir: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER",
            help="What --reload watches instead of the current folder. May be repeated.",
            rich_help_panel=DEVELOPMENT,
        ),
    ] = None,
    log_level: Annotated[
        LogLevel,
        typer.Option(
            metavar="LEVEL",
            help="One of critical, error, warning, info, debug and trace. Frames and tokens are never logged.",
            case_sensitive=False,
            rich_help_panel=LOGGING,
        ),
    ] = LogLevel.INFO,
    access_log: Annotated[bool, typer.Option(help="Log each HTTP request.", rich_help_panel=SWITCHES)] = True,
    proxy_headers: Annotated[
        bool, typer.Option(help="Use X-Forwarded-* headers of trusted proxies.", rich_help_panel=SWITCHES)
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
        typer.Option(metavar="PATH", help="The path prefix that the proxy strips, e.g. /shop.", rich_help_panel=PROXY),
    ] = "",
    ssl_certfile: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, help="The certificate with its chain, in PEM.", rich_help_panel=TLS),
    ] = None,
    ssl_keyfile: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, help="The certificate's private key, in PEM.", rich_help_panel=TLS),
    ] = None,
    ssl_keyfile_password: Annotated[
        str | None, typer.Option(metavar="PASSWORD", help="The password of the private key.", rich_help_panel=TLS)
    ] = None,
    ssl_ca_certs: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", exists=True, help="The CAs that sign client certificates, in PEM.", rich_help_panel=TLS
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            envvar="WEB_CONCURRENCY",
            metavar="NUMBER",
            min=1,
            help="Processes that share the port, e.g. one per core. More than one requires Redis.",
            rich_help_panel=PROCESSES,
        ),
    ] = 1,
    drain: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="The time over which sockets are closed after SIGTERM, so that clients do not all reconnect at once.",
            rich_help_panel=PROCESSES,
        ),
    ] = TERMINATE_SECONDS,
) -> None:
    """Serve an ASGI app with Hubbub's WebSocket transport, on uvicorn.

    Ctrl-C stops it within about a second. SIGTERM first closes its sockets over --drain seconds. A second signal stops
    it at once.
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
    # A reload sends SIGTERM, and a person waits for it.
    server = Server(config, terminate_seconds=INTERRUPT_SECONDS if reload else drain)
    try:
        with exit_on_error():
            if workers > 1:
                _check_workers(application, app_dir, workers, factory=factory, reload=reload)
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


def _check_workers(application: str, app_dir: Path, workers: int, *, factory: bool, reload: bool) -> None:
    """Raise ConfigurationError if events would not reach all workers, or with `--reload`."""
    if reload:
        raise ConfigurationError("--reload and --workers cannot be combined: develop with one process")
    target = load_attribute(application, app_dir)
    try:
        gateway = find_gateway(target() if factory else target)
    except ConfigurationError:
        return  # without a gateway, workers share nothing
    if not gateway.is_shared:
        raise ConfigurationError(
            f"{workers} workers are {workers} nodes, and without Redis an event reaches only the sockets of the node "
            "that published it: give the gateway redis_url=... (the messenger: set HUBBUB_REDIS_URL), "
            "or run one worker"
        )


def _log_config(level: LogLevel) -> dict[str, Any]:
    """Return uvicorn's logging configuration, with Hubbub's own loggers added."""
    config: dict[str, Any] = copy.deepcopy(LOGGING_CONFIG)
    name_of_level = "DEBUG" if level is LogLevel.TRACE else level.value.upper()
    for name in ("hubbub", "hubbub_messenger"):
        config["loggers"][name] = {"handlers": ["default"], "level": name_of_level, "propagate": False}
    return config
