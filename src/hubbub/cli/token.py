"""`hubbub token`: print a token for development."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from hubbub.auth.jwt import DEVELOPMENT_SECRET, mint_token
from hubbub.cli.errors import exit_on_error
from hubbub.cli.help import examples

EXAMPLES: Final = examples(
    ("for JWTAuthenticator(DEVELOPMENT_SECRET, ...)", "hubbub token alice"),
    ("valid for half an hour", "hubbub token alice --hours 0.5"),
    ("in a request", 'curl -H "Authorization: Bearer $(hubbub token alice)" 127.0.0.1:8000/api/me'),
)


def token(
    user_id: Annotated[str, typer.Argument(metavar="USER_ID", help="The user that the token is for, e.g. alice.")],
    secret: Annotated[
        str,
        typer.Option(
            envvar="HUBBUB_SECRET",
            metavar="KEY",
            help="The HS256 key. Set the variable instead: other users can see the options of a process.",
            show_default="the development secret",
        ),
    ] = DEVELOPMENT_SECRET,
    hours: Annotated[float, typer.Option(metavar="HOURS", min=0.0, help="How long the token is valid.")] = 12.0,
) -> None:
    """Print a development token: a signed JWT for USER_ID.

    JWTAuthenticator accepts it in the cookie hubbub_session, or as Authorization: Bearer.
    """
    with exit_on_error():
        typer.echo(mint_token(user_id, key=secret, lifetime=hours * 3600))
