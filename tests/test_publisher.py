"""Publishing without a gateway: from jobs, from scripts, from the command line."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hubbub import (
    ConfigurationError,
    Contract,
    ContractError,
    ConversationsChanged,
    MessageNew,
    Outcome,
    PresenceBatch,
    Publisher,
    ServerEvent,
    event,
    init_notifier,
    notify,
)
from hubbub.clock import SystemClock
from hubbub.testing import Address
from tests.cluster.nodes import ClientWithoutPresence
from tests.proxy import Proxy
from tests.support import make_gateway, running
from tests.valkey import run_valkey

HUBBUB = str(Path(sys.executable).parent / "hubbub")
DATA = {"conversationId": "c1", "messageId": "m1", "senderId": "bob", "createdAt": "2026-01-01T00:00:00Z"}
MESSAGE = MessageNew("c1", "m1", "bob", "2026-01-01T00:00:00Z")


@pytest.fixture(scope="module")
def valkey_port() -> Iterator[int]:
    with run_valkey() as server:
        assert server.port is not None
        yield server.port


@pytest.fixture
def url(valkey_port: int) -> str:
    return f"redis://127.0.0.1:{valkey_port}"


@pytest.fixture
def prefix() -> str:
    return f"test-{secrets.token_hex(4)}"


@pytest.fixture
async def address(url: str, prefix: str) -> AsyncIterator[Address]:
    gateway = make_gateway(redis_url=url, redis_prefix=prefix, clock=SystemClock())
    async with running(gateway) as address:
        yield address


async def test_a_job_publishes_to_the_sockets_of_a_node(address: Address, url: str, prefix: str) -> None:
    async with ClientWithoutPresence.open(address, "alice", "conversation:c1") as alice:
        with Publisher(url, prefix=prefix) as publisher:
            publisher.notify(MESSAGE)

            assert await alice.expect("server.messenger.message_new") == DATA


async def test_the_last_publication_is_sent_before_close(address: Address, url: str, prefix: str) -> None:
    async with ClientWithoutPresence.open(address, "alice", "conversation:c1") as alice:

        def job() -> None:
            with Publisher(url, prefix=prefix) as publisher:
                for number in range(500):
                    publisher.notify(MessageNew("c1", str(number), "bob", "2026-01-01T00:00:00Z"))

        await asyncio.to_thread(job)

        heard = [(await alice.expect("server.messenger.message_new"))["messageId"] for _ in range(500)]
        assert heard == [str(number) for number in range(500)]


async def test_async_code_gets_the_outcome(address: Address, url: str, prefix: str) -> None:
    async with (
        ClientWithoutPresence.open(address, "alice", "conversation:c1") as alice,
        Publisher(url, prefix=prefix) as publisher,
    ):
        assert await publisher.publish(MESSAGE) is Outcome.ACCEPTED
        assert await publisher.publish(ConversationsChanged(), users=["alice"]) is Outcome.ACCEPTED

        assert await alice.expect("server.messenger.message_new") == DATA
        await alice.expect("server.messenger.conversations_changed")


async def test_a_publisher_can_be_the_notifier_of_a_process(address: Address, url: str, prefix: str) -> None:
    async with ClientWithoutPresence.open(address, "alice", "conversation:c1") as alice:
        with Publisher(url, prefix=prefix) as publisher:
            init_notifier(publisher.notify)
            try:
                notify(MESSAGE)
            finally:
                init_notifier(None)

            assert await alice.expect("server.messenger.message_new") == DATA


async def test_a_forked_child_gets_its_own_connection(address: Address, url: str, prefix: str) -> None:
    script = f"""
import os, sys
from hubbub import MessageNew, Publisher
publisher = Publisher({url!r}, prefix={prefix!r})
publisher.notify(MessageNew("c1", "parent", "bob", "t"))
publisher.close()
publisher.notify(MessageNew("c1", "parent again", "bob", "t"))
child = os.fork()
if not child:
    publisher.notify(MessageNew("c1", "child", "bob", "t"))
    publisher.close()
    os._exit(0)
os.waitpid(child, 0)
"""
    async with ClientWithoutPresence.open(address, "alice", "conversation:c1") as alice:
        process = await asyncio.create_subprocess_exec(sys.executable, "-W", "ignore", "-c", script)
        assert await process.wait() == 0

        heard = {(await alice.expect("server.messenger.message_new"))["messageId"] for _ in range(3)}
        assert heard == {"parent", "parent again", "child"}


async def test_an_unreachable_redis_does_not_stop_a_job_and_leads_to_a_resync(
    address: Address, valkey_port: int, prefix: str
) -> None:
    async with Proxy.to(valkey_port) as proxy, ClientWithoutPresence.open(address, "alice", "conversation:c1") as alice:
        await proxy.cut()
        async with Publisher(proxy.url, prefix=prefix) as publisher:
            assert await publisher.publish(MESSAGE) is Outcome.DROPPED
            publisher.notify(MESSAGE)
            await proxy.restore()

            assert (await alice.expect("server.system.resync"))["topics"] == [{"kind": "conversation", "id": "c1"}]
            assert publisher.stats.errors["redis_dropped"] == 2


@event("server.orders.placed", topics={"order": "order_id"})
class OrderPlaced(ServerEvent, frozen=True):
    """An order was placed."""

    order_id: str


def test_an_event_must_be_in_the_contract(url: str) -> None:
    with Publisher(url) as publisher, pytest.raises(ContractError, match="gateway's contract to a Publisher"):
        publisher.notify(OrderPlaced("o1"))


def test_an_event_without_an_audience_is_refused(url: str) -> None:
    with Publisher(url) as publisher, pytest.raises(ContractError, match="has no audience"):
        publisher.notify(PresenceBatch(()))


def test_an_addressed_event_needs_users(url: str) -> None:
    with Publisher(url) as publisher, pytest.raises(ContractError, match="users="):
        publisher.notify(ConversationsChanged())


async def test_a_custom_contract_is_accepted(url: str) -> None:
    async with Publisher(url, contract=Contract([OrderPlaced])) as publisher:
        assert await publisher.publish(OrderPlaced("o1")) is Outcome.ACCEPTED


def test_an_invalid_url_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="redis_url"):
        Publisher("http://nowhere")


# --- hubbub publish ---------------------------------------------------------------------------------------------------


async def hubbub(*arguments: str, cwd: Path | None = None, **variables: str) -> tuple[int, str]:
    """Run the command. Return its exit code and its output."""
    environment = {**os.environ, **variables}
    process = await asyncio.create_subprocess_exec(
        HUBBUB, *arguments, stdout=PIPE, stderr=STDOUT, env=environment, cwd=cwd
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_the_command_publishes(address: Address, url: str, prefix: str) -> None:
    async with ClientWithoutPresence.open(address, "alice", "conversation:c1") as alice:
        arguments = ("publish", "server.messenger.message_new", json.dumps(DATA), "--prefix", prefix)
        ended = await hubbub(*arguments, HUBBUB_REDIS_URL=url)

        assert ended == (0, "accepted\n")
        assert await alice.expect("server.messenger.message_new") == DATA


async def test_the_command_addresses_users(address: Address, url: str, prefix: str) -> None:
    async with ClientWithoutPresence.open(address, "alice") as alice:
        options = ("--user", "alice", "--user", "bob", "--prefix", prefix, "--redis-url", url)
        ended = await hubbub("publish", "server.messenger.conversations_changed", "{}", *options)

        assert ended == (0, "accepted\n")
        await alice.expect("server.messenger.conversations_changed")


async def test_the_command_finds_the_contract_of_an_app(tmp_path: Path, url: str) -> None:
    (tmp_path / "orders.py").write_text(
        "from hubbub import *\n"
        "@event('server.orders.placed', topics={'order': 'order_id'})\n"
        "class OrderPlaced(ServerEvent, frozen=True):\n"
        "    order_id: str\n"
        "class Orders(Domain):\n"
        "    events = [OrderPlaced]\n"
        "gateway = Gateway(authenticate=lambda handshake: None, domains=[Orders()])\n"
    )
    options = ("--app", "orders:gateway", "--redis-url", url)

    ended = await hubbub("publish", "server.orders.placed", '{"orderId": "o1"}', *options, cwd=tmp_path)

    assert ended == (0, "accepted\n")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("server.orders.placed", "{}"), "there are server.messenger.message_new"),
        (("server.messenger.message_new", "{"), "DATA does not fit server.messenger.message_new"),
        (("server.messenger.message_new", '{"conversationId": 1}'), "DATA does not fit server.messenger.message_new"),
        (("client.system.subscribe", '{"topics": []}'), "no event 'client.system.subscribe' to publish"),
        (("server.messenger.conversations_changed", "{}"), "users="),
    ],
)
async def test_an_invalid_event_is_refused_with_the_reason(url: str, arguments: tuple[str, ...], reason: str) -> None:
    code, output = await hubbub("publish", *arguments, "--redis-url", url)

    assert code == 1
    assert reason in output
    assert "Traceback" not in output


async def test_an_unreachable_server_is_named_with_the_remedy() -> None:
    async with Proxy.to(1) as proxy:
        pass
    code, output = await hubbub("publish", "server.messenger.message_new", json.dumps(DATA), "--redis-url", proxy.url)

    assert code == 1
    assert "Start it" in output
    assert "Traceback" not in output
