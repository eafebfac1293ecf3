"""The command line: ``hubbub publish``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from hubbub.brokers.base import Publication
from hubbub.bus.publication import prepare
from hubbub.cli.contract import gateway_of, load
from hubbub.cli.help import APP_DIR_HELP, APP_HELP
from hubbub.contract.envelope import Envelope
from hubbub.contract.registry import Contract, ServerEvent
from hubbub.engines import make_broker
from hubbub.errors import ContractError, HubbubError
from hubbub.metrics.stats import Stats
from hubbub.outcome import Outcome
from hubbub.publisher import BUILT_IN


def publish(
    type: Annotated[str, typer.Argument(metavar="TYPE", help="The event's name, e.g. server.messenger.message_new.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="What it carries, in JSON, camelCase, e.g. '{}'.")],
    redis_url: Annotated[
        str,
        typer.Option(
            envvar="HUBBUB_REDIS_URL",
            metavar="URL",
            help="The Redis that the gateways share, e.g. redis://127.0.0.1:6379.",
            show_default=False,
        ),
    ],
    app: Annotated[
        str | None,
        typer.Option(metavar="APP", help=f"{APP_HELP} Needed for events of your own.", show_default=False),
    ] = None,
    user: Annotated[
        list[str] | None,
        typer.Option(metavar="USER_ID", help="Whom an addressed event is for; may be repeated.", show_default=False),
    ] = None,
    prefix: Annotated[
        str, typer.Option(metavar="NAME", help="The gateways' redis_prefix, where they have one of their own.")
    ] = "hubbub",
    app_dir: Annotated[Path, typer.Option(metavar="FOLDER", help=APP_DIR_HELP)] = Path(),
) -> None:
    r"""Publish one event to the sockets of every node, over Redis: from a job, or by hand.

    Prints what became of it (accepted, dropped or unknown), and exits with 1 unless Redis has taken it.

    Needs the extra: pip install 'hubbub\[redis]'
    """
    try:
        contract = BUILT_IN if app is None else gateway_of(load(app, app_dir)).contract
        publication = prepare(contract, event_of(contract, type, data), user)
        outcome = asyncio.run(_publish(redis_url, prefix, publication))
    except HubbubError as error:
        typer.secho(f"Error: {error}", fg="red", err=True)
        raise typer.Exit(1) from None
    typer.echo(outcome.value)
    if outcome is not Outcome.ACCEPTED:
        raise typer.Exit(1)


def event_of(contract: Contract, type: str, data: str) -> Envelope[ServerEvent]:
    """Reads an event from its name and its data in JSON; raises ContractError where the contract has no such event."""
    spec = contract.get(type)
    if spec is None or not issubclass(spec.payload, ServerEvent):
        known = ", ".join(name for name, spec in contract.items() if spec.to_client and spec.audience)
        raise ContractError(f"no event {type!r} to publish; there are {known}. Others need --app")
    try:
        return Envelope.of(msgspec.json.decode(data, type=spec.payload))
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ContractError(f"DATA is no {type}: {error}") from None


async def _publish(redis_url: str, prefix: str, publication: Publication) -> Outcome:
    broker = make_broker(None, redis_url, prefix, Stats(), replays=False)
    await broker.start(lambda publication, matched: None, lambda interests: None)
    try:
        return await broker.publish_and_wait(publication)
    finally:
        await broker.stop()
