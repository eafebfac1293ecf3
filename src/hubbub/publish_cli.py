"""The command line: ``hubbub publish``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from hubbub.brokers.base import Outcome, Publication
from hubbub.brokers.channels import DEFAULT_PREFIX
from hubbub.contract.envelope import Envelope
from hubbub.contract.registry import Contract, ServerEvent
from hubbub.contract_cli import gateway_of, load
from hubbub.errors import ContractError, HubbubError
from hubbub.publications import prepare
from hubbub.publisher import BUILT_IN
from hubbub.stats import Stats


def publish(
    type: Annotated[str, typer.Argument(metavar="TYPE", help="The event, e.g. server.messenger.message_new.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="What it carries, in JSON.")],
    redis_url: Annotated[
        str, typer.Option(envvar="HUBBUB_REDIS_URL", help="The Redis that the gateways share.", show_default=False)
    ],
    app: Annotated[
        str | None,
        typer.Option(metavar="APP", help="A Gateway, or its ASGI app, as module:attribute; Hubbub's events if none."),
    ] = None,
    user: Annotated[
        list[str] | None, typer.Option(help="Whom an addressed event is for; may be repeated.", show_default=False)
    ] = None,
    prefix: Annotated[str, typer.Option(help="What names in Redis begin with.")] = DEFAULT_PREFIX,
    app_dir: Annotated[Path, typer.Option(help="The folder to import APP from.")] = Path(),
) -> None:
    """Publish one event to the sockets of every node, over Redis.

    Prints what became of it, and exits with 1 unless Redis has taken it.
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
    from hubbub.brokers.redis import RedisBroker  # an optional dependency

    broker = RedisBroker(redis_url, stats=Stats(), prefix=prefix)
    await broker.start(lambda publication, via: None, lambda interests: None)
    try:
        return await broker.publish_and_wait(publication)
    finally:
        await broker.stop()
