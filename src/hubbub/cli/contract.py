"""The commands `hubbub contract export` and `hubbub contract check`."""

from __future__ import annotations

import difflib
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from hubbub.cli.help import APP_DIR_HELP, APP_HELP, SETTINGS, examples
from hubbub.cli.loading import find_gateway, load_attribute
from hubbub.contract.export.compatibility import Change, changes
from hubbub.contract.export.json_schema import json_schema, schema_document
from hubbub.contract.export.typescript import typescript
from hubbub.errors import ConfigurationError, HubbubError

app = typer.Typer(
    name="contract",
    help="Types for clients and documents from the contract, and a check of its changes.",
    epilog=examples(
        ("types for a client", "hubbub contract export main:app --format typescript"),
        ("what a change would break", "hubbub contract check released.json main:app"),
    ),
    context_settings=SETTINGS,
    no_args_is_help=True,
)

AppDir = Annotated[Path, typer.Option(metavar="FOLDER", help=APP_DIR_HELP)]


class Format(StrEnum):
    """The formats that a contract can be exported in."""

    TYPESCRIPT = "typescript"
    JSON_SCHEMA = "json-schema"
    ASYNCAPI = "asyncapi"


@app.command(
    epilog=examples(
        ("types for a client", "hubbub contract export main:app --format typescript -o contracts.ts"),
        ("for CI: is it in step?", "hubbub contract export main:app --format typescript -o contracts.ts --check"),
        ("what `check` compares", "hubbub contract export main:app --format json-schema -o released.json"),
        ("a document to publish", "hubbub contract export main:app --format asyncapi --url wss://shop.example"),
    )
)
def export(
    application: Annotated[str, typer.Argument(metavar="APP", help=APP_HELP)],
    format: Annotated[
        Format, typer.Option(metavar="FORMAT", help="What to write: typescript, json-schema or asyncapi.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The file to write, e.g. contracts.ts; stdout without one."
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 1 if the file of --output is out of step.")
    ] = False,
    guards: Annotated[
        bool,
        typer.Option("--guards", help="TypeScript: also write isServerEvent and isClientEvent, checks at run time."),
    ] = False,
    url: Annotated[
        str, typer.Option(metavar="URL", help="AsyncAPI: the URL of the server. The gateway adds its path.")
    ] = "ws://127.0.0.1:8000",
    app_dir: AppDir = Path(),
) -> None:
    """Write the contract of a gateway: the events of its domains and no others, the same bytes every time."""
    text = _export(application, format, guards, url, app_dir)
    if check:
        _compare(text, output)
    elif output is None:
        sys.stdout.write(text)
    else:
        _write(text, output)


@app.command(
    name="check",
    epilog=examples(
        ("today's code against the last release", "hubbub contract check released.json main:app"),
        ("two releases", "hubbub contract check old.json new.json"),
    ),
)
def check_changes(
    old: Annotated[
        str, typer.Argument(metavar="OLD", help="The contract in use: a json-schema export, or module:attribute.")
    ],
    new: Annotated[
        str,
        typer.Argument(metavar="NEW", help="The contract to replace it: a json-schema export, or module:attribute."),
    ],
    app_dir: AppDir = Path(),
) -> None:
    """Say which changes break old clients or old servers, and which are safe; exit with 1 on a break, 2 on an error."""
    try:
        found = changes(_document(old, app_dir), _document(new, app_dir))
    except HubbubError as error:
        raise _failure(str(error)) from None
    for change in found:
        _print(change)
    breaking = sum(1 for change in found if change.breaks)
    typer.echo(f"{breaking} breaking, {len(found) - breaking} safe" if found else "no changes")
    raise typer.Exit(1 if breaking else 0)


def _export(application: str, format: Format, guards: bool, url: str, app_dir: Path) -> str:
    try:
        target = load_attribute(application, app_dir)
        gateway = find_gateway(target)
        if format is Format.TYPESCRIPT:
            return typescript(gateway.contract, guards=guards)
        if format is Format.JSON_SCHEMA:
            return json_schema(gateway.contract)
        title, version = str(getattr(target, "title", "Events")), str(getattr(target, "version", "1.0.0"))
        return gateway.asyncapi(_endpoint(url, gateway.path), title, version)
    except HubbubError as error:
        raise _failure(str(error)) from None


def _endpoint(url: str, path: str) -> str:
    """Return the URL of the endpoint on a server.

    Raises:
        ConfigurationError: `url` is not that of a WebSocket server.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"ws", "wss"} or not parts.netloc:
        raise ConfigurationError(f"expected a url such as wss://app.example, got {url!r}")
    return url.rstrip("/") + path


def _write(text: str, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _failure(f"{path} cannot be written: {error}") from None


def _document(source: str, app_dir: Path) -> dict[str, Any]:
    path = Path(source)
    if ":" in source and not path.is_file():
        return schema_document(find_gateway(load_attribute(source, app_dir)).contract)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{source} is not a readable JSON file: {error}") from None
    return document if isinstance(document, dict) else {}


def _compare(text: str, path: Path | None) -> None:
    if path is None:
        raise _failure("--check compares with a file: name it with --output")
    known = path.read_text(encoding="utf-8") if path.is_file() else ""
    if known == text:
        return
    lines = difflib.unified_diff(known.splitlines(True), text.splitlines(True), str(path), "the contract")
    sys.stdout.writelines(lines)
    typer.echo(f"{path} is out of step with the contract: run the same command without --check", err=True)
    raise typer.Exit(1)


def _print(change: Change) -> None:
    verdict = f"breaks {' and '.join(change.breaks)}" if change.breaks else "safe"
    typer.secho(f"{verdict}: ", fg="red" if change.breaks else "green", nl=False)
    typer.echo(f"{change.subject}: {change.text}")


def _failure(message: str) -> typer.Exit:
    typer.secho(message, fg="red", err=True)
    return typer.Exit(2)
