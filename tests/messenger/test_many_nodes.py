"""The messenger on two nodes with a common database and Redis: it does not matter to which node a user connects."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

from hubbub import mint_token
from tests.processes import HUBBUB, Running, command
from tests.valkey import run_valkey

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Nodes(NamedTuple):
    """Two processes of the messenger, and their clients."""

    first: Running
    second: Running
    stack: AsyncExitStack

    def rest(self, node: Running, user: str) -> httpx.AsyncClient:
        client = httpx.AsyncClient(base_url=node.address.http, headers={"Authorization": f"Bearer {self.token(user)}"})
        self.stack.push_async_callback(client.aclose)
        return client

    async def socket(self, node: Running, user: str, *topics: dict[str, str]) -> ClientConnection:
        headers = {"Authorization": f"Bearer {self.token(user)}"}
        socket = await self.stack.enter_async_context(connect(f"{node.address.ws}/ws", additional_headers=headers))
        await socket.send(json.dumps({"type": "client.system.subscribe", "data": {"topics": topics}, "ts": 0}))
        await until(socket, "server.system.subscribed")
        return socket

    def token(self, user: str) -> str:
        """Return a token of a user. All tokens of a user belong to the same session."""
        return mint_token(user, claims={"jti": f"session-of-{user}"})


async def until(socket: ClientConnection, name: str, **data: str) -> Any:
    """Return the payload of the next event of that name that contains these values."""
    async for text in socket:
        envelope = json.loads(text)
        if envelope["type"] == name and data.items() <= envelope["data"].items():
            return envelope["data"]
    raise AssertionError(f"closed with {socket.close_code} before {name}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nodes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nodes]:
    folder = tmp_path_factory.mktemp("nodes")
    arguments = (HUBBUB, "run", "hubbub_messenger.app:app", "--port", "0", "--drain", "0.5")
    async with AsyncExitStack() as stack:
        valkey = stack.enter_context(run_valkey())
        variables = {
            "HUBBUB_ENVIRONMENT": "development",
            "HUBBUB_DATABASE_URL": f"sqlite:///{folder}/shared.db",
            "HUBBUB_REDIS_URL": f"redis://127.0.0.1:{valkey.port}",
        }
        first = await stack.enter_async_context(command(folder, *arguments, **variables))
        second = await stack.enter_async_context(command(folder, *arguments, **variables))
        yield Nodes(first, second, await stack.enter_async_context(AsyncExitStack()))


async def conversation_of(alice: httpx.AsyncClient) -> str:
    answer = await alice.post("/api/conversations", json={"memberIds": ["bob"]})
    id: str = answer.json()["id"]
    return id


async def test_a_message_sent_on_one_node_is_received_on_the_other(nodes: Nodes) -> None:
    alice = nodes.rest(nodes.first, "alice")
    conversation = await conversation_of(alice)
    topic = {"kind": "conversation", "id": conversation}
    bob = await nodes.socket(nodes.second, "bob", topic)

    message = (await alice.post(f"/api/conversations/{conversation}/messages", json={"body": "hello"})).json()

    assert (await until(bob, "server.messenger.message_new"))["messageId"] == message["id"]


async def test_a_user_online_on_one_node_is_online_on_all(nodes: Nodes) -> None:
    bob = await nodes.socket(nodes.second, "bob", {"kind": "user", "id": "alice"})
    alice = await nodes.socket(nodes.first, "alice")

    assert (await until(bob, "server.presence.update", userId="alice"))["status"] == "online"
    answer = await nodes.rest(nodes.second, "bob").get("/api/presence", params={"userId": "alice"})
    assert answer.json() == [{"userId": "alice", "status": "online"}]

    await alice.close()
    gone = await until(bob, "server.presence.update", userId="alice")
    assert gone["status"] == "offline"
    answer = await nodes.rest(nodes.first, "bob").get("/api/presence", params={"userId": "alice"})
    assert answer.json()[0]["lastSeenAt"] == gone["lastSeenAt"]


async def test_logging_out_on_one_node_closes_the_socket_on_the_other(nodes: Nodes) -> None:
    carol = await nodes.socket(nodes.second, "carol")

    assert (await nodes.rest(nodes.first, "carol").delete("/api/session")).status_code == 204

    with suppress(ConnectionClosedError):
        async for _ in carol:
            pass
    assert carol.close_code == 4403


async def test_leaving_on_one_node_stops_the_signals_on_the_other(nodes: Nodes) -> None:
    alice, bob = nodes.rest(nodes.first, "alice"), nodes.rest(nodes.first, "bob")
    conversation = await conversation_of(alice)
    socket = await nodes.socket(nodes.second, "bob", {"kind": "conversation", "id": conversation})

    await bob.delete(f"/api/conversations/{conversation}/members/me")
    await alice.post(f"/api/conversations/{conversation}/messages", json={"body": "is he gone?"})

    assert (await until(socket, "server.system.subscribed"))["topics"] == []
    await socket.send(json.dumps({"type": "client.system.subscribe", "data": {"topics": []}, "ts": 0, "id": "end"}))
    received = [json.loads(await socket.recv())["type"]]
    while received[-1] != "server.system.subscribed":
        received.append(json.loads(await socket.recv())["type"])
    assert "server.messenger.message_new" not in received
