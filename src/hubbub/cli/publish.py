"""`hubbub publish`: publish one event to the sockets of every node."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from hubbub.brokers.base import Broker, Publication
from hubbub.bus.publication import prepare
from hubbub.cli.errors import exit_on_error
from hubbub.cli.help import APP_DIR_HELP, APP_HELP, examples
from hubbub.cli.loading import find_gateway, load_attribute
from hubbub.contract.envelope import Envelope
from hubbub.contract.registry import Contract, ServerEvent
from hubbub.engines import make_broker
from hubbub.errors import ConfigurationError, ContractError
from hubbub.metrics.stats import Stats
from hubbub.outcome import Outcome
from hubbub.publisher import BUILT_IN

EXAMPLES: Final = examples(
    ("an addressed event", """hubbub publish server.messenger.conversations_changed '{}' --user alice"""),
    (
        "an event of your own",
        """hubbub publish server.orders.shipped '{"orderId": "o1", "buyerId": "alice"}' --app main:app""",
    ),
)


def publish(
    type: Annotated[str, typer.Argument(metavar="TYPE", help="The event's name, e.g. server.messenger.message_new.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="The event's data in JSON, camelCase, e.g. '{}'.")],
    redis_url: Annotated[
        str | None,
        typer.Option(
            envvar="HUBBUB_REDIS_URL",
            metavar="URL",
            help="The Redis that the gateways share, e.g. redis://127.0.0.1:6379.",
            show_default=False,
        ),
    ] = None,
    broker: Annotated[
        str | None,
        typer.Option(
            metavar="FACTORY",
            help="A function that returns the gateways' broker, as module:attribute, in place of --redis-url.",
            show_default=False,
        ),
    ] = None,
    app: Annotated[
        str | None,
        typer.Option(metavar="APP", help=f"{APP_HELP} Required for events of your own.", show_default=False),
    ] = None,
    user: Annotated[
        list[str] | None,
        typer.Option(
            metavar="USER_ID", help="A user that an addressed event is for. May be repeated.", show_default=False
        ),
    ] = None,
    prefix: Annotated[str, typer.Option(metavar="NAME", help="The gateways' redis_prefix.")] = "hubbub",
    app_dir: Annotated[Path, typer.Option(metavar="FOLDER", help=APP_DIR_HELP)] = Path(),
) -> None:
    r"""Publish one event to the sockets of every node, from a job or by hand.

    Prints the outcome (accepted, dropped or unknown). Exits with 1 unless the broker accepted the event.

    Over Redis it needs the extra: pip install 'hubbub\[redis]'
    """
    with exit_on_error():
        contract = BUILT_IN if app is None else find_gateway(load_attribute(app, app_dir)).contract
        publication = prepare(contract, parse_event(contract, type, data), user)
        outcome = asyncio.run(_publish(find_broker(broker, app_dir, redis_url, prefix), publication))
    typer.echo(outcome.value)
    if outcome is not Outcome.ACCEPTED:
        raise typer.Exit(1)


def parse_event(contract: Contract, type: str, data: str) -> Envelope[ServerEvent]:
    """Return an event in its envelope.

    Args:
        contract: The contract that the event belongs to.
        type: The event's name.
        data: Its data in JSON.

    Raises:
        ContractError: If the contract has no such event, or the data does not fit it.
    """
    spec = contract.get(type)
    if spec is None or not issubclass(spec.payload, ServerEvent):
        known = ", ".join(name for name, spec in contract.items() if spec.to_client and spec.audience)
        raise ContractError(f"no event {type!r} to publish: there are {known}. For an event of your own, use --app")
    try:
        return Envelope.of(msgspec.json.decode(data, type=spec.payload))
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ContractError(f"DATA does not fit {type}: {error}") from None


def find_broker(factory: str | None, app_dir: Path, redis_url: str | None, prefix: str) -> Broker:
    """Return the broker that the command line asks for. A factory goes before the URL, which the environment may set.

    Raises:
        ConfigurationError: Neither is given, or what the factory names cannot be called.
    """
    if factory is not None:
        make = load_attribute(factory, app_dir)
        if not callable(make):
            raise ConfigurationError(f"expected a function that returns a broker at {factory}, got {make!r}")
        broker: Broker = make()
        return broker
    if redis_url is None:
        raise ConfigurationError("give --redis-url (or set HUBBUB_REDIS_URL), or --broker")
    return make_broker(None, redis_url, prefix, Stats(), replays=False)


async def _publish(broker: Broker, publication: Publication) -> Outcome:
    await broker.start(lambda publication, matched: None, lambda interests: None)
    try:
        return await broker.publish_and_wait(publication)
    finally:
        await broker.stop()
