"""The command line `hubbub`, assembled from its commands."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from hubbub.cli import contract, demo, publish, run, token
from hubbub.cli.help import SETTINGS, examples

app = typer.Typer(
    name="hubbub",
    help="A real-time event bus scoped to authenticated users, for Python REST backends.",
    epilog=examples(
        ("serve your app, with its WebSocket", "hubbub run main:app"),
        ("try the messenger in a browser", "hubbub demo"),
        ("show all options of a command", "hubbub COMMAND --help"),
        ("complete commands and options with the Tab key", "hubbub --install-completion"),
    ),
    context_settings=SETTINGS,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


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
    """Accept the options that stand before a command."""


app.command(epilog=run.EXAMPLES)(run.run)
app.command(epilog=demo.EXAMPLES)(demo.demo)
app.command(epilog=token.EXAMPLES)(token.token)
app.command(epilog=publish.EXAMPLES)(publish.publish)
app.add_typer(contract.app, name="contract")
