"""The main job on every supported server, each run by its own command: the same tests over every transport."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from websockets.exceptions import InvalidStatus

from hubbub import MessageNew, PresenceBatch, PresenceUpdate, Topic, Typing
from hubbub.contract.events import Error
from hubbub.testing import Address, Client
from tests.processes import Running, command

pytestmark = pytest.mark.asyncio(loop_scope="module")

APP = "tests.transports.served:app"
ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Server:
    """A server for an app, and where it differs within what ASGI allows."""

    name: str
    arguments: tuple[str, ...]
    up: str = "running on http://"
    sends_reasons: bool = True
    code_for_binary: int = 1003
    codes_at_the_end: tuple[int, ...] = (1012,)

    def __str__(self) -> str:
        return self.name


SERVERS = [
    Server("hubbub-run", ("hubbub", "run", APP, "--port", "PORT")),
    Server("uvicorn-with-hubbubs-class", ("uvicorn", APP, "--ws", "hubbub:WebSocketProtocol", "--port", "PORT")),
    Server("uvicorn", ("uvicorn", APP, "--port", "PORT")),
    Server("uvicorn-wsproto", ("uvicorn", APP, "--ws", "wsproto", "--port", "PORT")),
    Server("uvicorn-without-lifespan", ("uvicorn", APP, "--lifespan", "off", "--port", "PORT")),
    Server(
        "hypercorn",
        ("hypercorn", APP, "--bind", "127.0.0.1:PORT", "--graceful-timeout", "1"),
        up="Running on http://",
    ),
    # On shutdown it sends no close frame: it closes TCP, or waits until clients disconnect.
    Server(
        "granian",
        ("granian", "--interface", "asgi", APP, "--port", "PORT"),
        up="Started worker-1",
        codes_at_the_end=(),
    ),
    # An app can only close with 1000 and 3000 to 4999, and without a reason. On shutdown it does not wait.
    Server(
        "daphne",
        ("daphne", "-b", "127.0.0.1", "-p", "PORT", APP),
        up="Listening on TCP address 127.0.0.1:",
        sends_reasons=False,
        code_for_binary=4400,
        codes_at_the_end=(1000, 1006),
    ),
]


@contextlib.asynccontextmanager
async def started(server: Server) -> AsyncIterator[Running]:
    """Run a server, and stop it as a supervisor does: with a signal to the process that was started."""
    port = str(free_port())
    name, *arguments = (argument.replace("PORT", port) for argument in server.arguments)
    async with command(ROOT, str(BIN / name), *arguments, up=server.up) as running:
        running.address = replace(running.address, credentials=lambda user: {"Authorization": user})
        await wait_until_accepting(running.address)
        try:
            yield running
        finally:
            if running.process.returncode is None:
                running.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(20):
                await running.ended()


async def wait_until_accepting(address: Address) -> None:
    """Wait until the server accepts connections: Granian's workers say that they have started before they do."""
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection(address.host, address.port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=SERVERS, ids=str)
async def server(request: pytest.FixtureRequest) -> Server:
    chosen: Server = request.param
    return chosen


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(server: Server) -> AsyncIterator[Address]:
    async with started(server) as running:
        yield running.address


@pytest_asyncio.fixture(loop_scope="module")
async def alice(address: Address) -> AsyncIterator[Client]:
    async with address.connect("alice") as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def bob(address: Address) -> AsyncIterator[Client]:
    async with address.connect("bob") as client:
        yield client


async def post(address: Address, conversation_id: str, *message_ids: str) -> None:
    async with httpx.AsyncClient(base_url=address.http) as rest:
        for message_id in message_ids:
            parameters = {"conversation_id": conversation_id, "message_id": message_id}
            (await rest.post("/messages", params=parameters)).raise_for_status()


async def test_a_rest_write_becomes_a_signal_for_subscribers_and_for_the_sender(
    address: Address, alice: Client, bob: Client
) -> None:
    async with address.connect("carol") as carol:
        await bob.subscribe("conversation:c1")
        await carol.subscribe("conversation:c2")

        await post(address, "c1", "m1")

        expected = MessageNew("c1", "m1", "alice", "2026-01-01T00:00:00Z")
        assert await bob.expect(MessageNew) == expected
        assert await alice.expect(MessageNew) == expected
        await carol.expect_silence(MessageNew)


async def test_many_signals_arrive_in_order(address: Address, bob: Client) -> None:
    await bob.subscribe("conversation:c1")
    numbers = [str(number) for number in range(50)]

    await post(address, "c1", *numbers)

    assert [(await bob.expect(MessageNew)).message_id for _ in numbers] == numbers


async def test_events_of_a_refused_topic_are_not_received(address: Address, bob: Client) -> None:
    answer = await bob.subscribe("conversation:secret", "conversation:c1")
    assert answer.refused == (Topic("conversation", "secret"),)
    assert (await bob.expect(Error)).code == "topic_forbidden"

    await post(address, "secret", "m1")

    await bob.expect_silence(MessageNew)


async def test_typing_is_relayed_under_the_senders_own_name(alice: Client, bob: Client) -> None:
    for client in (alice, bob):
        await client.subscribe("conversation:c1")

    await alice.send(Typing("c1", "bob", True))

    assert await bob.expect(Typing) == Typing("c1", "alice", True)
    await alice.expect_silence(Typing)


async def test_presence_updates_arrive_when_other_users_connect_and_leave(address: Address, bob: Client) -> None:
    await bob.subscribe("user:dave")
    assert (await bob.expect(PresenceBatch)).users[0].status == "offline"

    async with address.connect("dave"):
        await bob.expect(PresenceUpdate, user_id="dave", status="online")

    await bob.expect(PresenceUpdate, user_id="dave", status="offline")


async def test_a_client_without_credentials_is_closed_with_4401(server: Server, address: Address) -> None:
    async with address.connect() as nobody:
        assert await nobody.expect_closed(4401) == ("unauthorized" if server.sends_reasons else "")


async def test_an_idle_user_who_is_logged_out_is_closed_with_4403(address: Address, bob: Client) -> None:
    async with httpx.AsyncClient(base_url=address.http) as rest:
        await rest.post("/disconnect", params={"user_id": "bob"})

    await bob.expect_closed(4403)


async def test_garbage_closes_the_socket_with_4400(address: Address, bob: Client) -> None:
    await bob.socket.send("[]")

    await bob.expect_closed(4400)


async def test_a_binary_message_closes_the_socket(server: Server, bob: Client) -> None:
    await bob.socket.send(b"{}")

    await bob.expect_closed(server.code_for_binary)


async def test_a_foreign_page_is_refused_with_403(address: Address) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with address.connect("bob", headers={"Origin": "https://evil.example"}):
            pass

    assert refused.value.response.status_code == 403


async def test_a_lost_connection_leaves_nothing_behind(address: Address) -> None:
    async with address.connect("bob") as bob, httpx.AsyncClient(base_url=address.http) as rest:
        assert (await rest.get("/sockets")).json() == 1
        bob.socket.transport.abort()
        async with asyncio.timeout(10):
            while (await rest.get("/sockets")).json():
                pass


@pytest.mark.parametrize("server", [server for server in SERVERS if server.codes_at_the_end], ids=str)
async def test_on_shutdown_sockets_get_a_close_code(server: Server) -> None:
    async with started(server) as running, running.address.connect("alice") as alice:
        running.process.send_signal(signal.SIGTERM)

        await alice.expect_closed()

        assert alice.socket.close_code in server.codes_at_the_end
        await running.ended()
        assert "/src/hubbub/" not in running.log  # no traceback of Hubbub; some servers log one of their own at exit
