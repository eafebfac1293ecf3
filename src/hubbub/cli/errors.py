"""How commands report Hubbub's own errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from hubbub.errors import HubbubError


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Print a HubbubError as one line and exit with 1. The message has the remedy; a traceback would hide it."""
    try:
        yield
    except HubbubError as error:
        typer.secho(f"Error: {error}", fg="red", err=True)
        raise typer.Exit(1) from None
