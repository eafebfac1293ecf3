"""`hubbub demo`: serve the messenger without any configuration."""

from __future__ import annotations

import os
import tempfile
from typing import Annotated, Final

import typer

from hubbub.cli.help import PORT_HELP, examples
from hubbub.cli.run import run

MESSENGER: Final = "hubbub_messenger.app:app"

EXAMPLES: Final = examples(
    ("on http://127.0.0.1:8000", "hubbub demo"),
    ("on http://127.0.0.1:9000", "hubbub demo --port 9000"),
)


def demo(
    host: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="The address. The passwords are public, so do not serve other people."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT", metavar="NUMBER", min=0, max=65535, help=PORT_HELP)] = 8000,
) -> None:
    r"""Serve the messenger, the reference app, without configuration. Its data is deleted when it stops.

    The users are alice, bob, carol and dave, and each name is also the password. Open it in two browsers.

    Needs the extra: pip install 'hubbub\[messenger]'
    """
    with tempfile.TemporaryDirectory(prefix="hubbub-demo-") as folder:
        os.environ.setdefault("HUBBUB_DATABASE_URL", f"sqlite+aiosqlite:///{folder}/demo.db")
        os.environ["HUBBUB_ENVIRONMENT"] = "development"
        run(MESSENGER, host=host, port=port)
