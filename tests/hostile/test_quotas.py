"""Limits of sockets per user and per node. Pending handshakes count."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest

from hubbub import Handshake, Identity, Limits
from hubbub.testing import Address
from tests.support import Client, authenticate, make_gateway, running, services_of
from tests.websocket import RawSocket, upgrade


async def response_to(address: Address, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return head


async def test_the_eleventh_socket_of_a_user_is_accepted_and_closed_with_4429(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "hubbub")
    gateway = make_gateway()
    async with running(gateway) as server, contextlib.AsyncExitStack() as opened, Client.open(server, "bob") as bob:
        first = await opened.enter_async_context(Client.open(server, "alice"))
        for _ in range(9):
            await opened.enter_async_context(Client.open(server, "alice"))
        async with RawSocket.open(server, "alice") as raw:
            opcode, payload = await raw.next_frame()

            assert (opcode, payload) == (8, (4429).to_bytes(2) + b"too many sockets of this user")
            assert (gateway.stats.connects, len(services_of(gateway).hub.listeners("alice"))) == (11, 10)
            assert gateway.stats.refusals == {"sockets per user": 1}
            assert len([record for record in caplog.records if "user alice has 10 sockets" in record.getMessage()]) == 1
        assert await bob.heard() == []

        await first.socket.close()
        while len(services_of(gateway).hub.listeners("alice")) == 10:
            await asyncio.sleep(0)
        async with Client.open(server, "alice") as again:
            assert await again.heard() == []


async def test_concurrent_handshakes_of_one_user_do_not_exceed_the_limit() -> None:
    called = asyncio.Semaphore(0)
    proceed = asyncio.Event()

    async def slow(handshake: Handshake) -> Identity | None:
        called.release()
        await proceed.wait()
        return authenticate(handshake)

    gateway = make_gateway(authenticate=slow, limits=Limits(sockets_per_user=3))
    async with running(gateway) as server, contextlib.AsyncExitStack() as opened:
        opening = [asyncio.create_task(opened.enter_async_context(RawSocket.open(server, "alice"))) for _ in range(8)]
        for _ in opening:
            await called.acquire()
        proceed.set()
        frames = [await raw.next_frame() for raw in await asyncio.gather(*opening)]

        assert sorted(opcode for opcode, _ in frames) == [1, 1, 1, 8, 8, 8, 8, 8]
        assert gateway.load.sockets == 3


async def test_a_full_node_answers_503_before_the_upgrade_until_a_socket_closes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "hubbub")
    gateway = make_gateway(limits=Limits(sockets_per_node=2))
    async with running(gateway) as server, Client.open(server, "bob") as bob:
        async with Client.open(server, "alice"):
            head = await response_to(server, upgrade(server, "Authorization: carol"))

            assert head.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nRetry-After: 5\r\n" in head
            assert gateway.stats.refusals == {"node full": 1}
            assert (
                len([record for record in caplog.records if "the node has 2 sockets, its limit" in record.getMessage()])
                == 1
            )
        assert await bob.heard() == []
        assert gateway.admission is not None
        while gateway.admission.open_count > 1:
            await asyncio.sleep(0)
        async with Client.open(server, "carol"):
            assert gateway.stats.connects == 3


async def test_handshakes_waiting_for_a_slow_authenticator_count_towards_the_node_limit() -> None:
    called = asyncio.Semaphore(0)
    never = asyncio.Event()

    async def slow(handshake: Handshake) -> Identity | None:
        called.release()
        await never.wait()
        return None

    gateway = make_gateway(authenticate=slow, limits=Limits(sockets_per_node=3))
    async with running(gateway) as server:
        waiting = []
        for _ in range(3):
            waiting.append(await asyncio.open_connection(server.host, server.port))
            waiting[-1][1].write(upgrade(server, "Authorization: alice"))
        for _ in waiting:
            await called.acquire()

        head = await response_to(server, upgrade(server, "Authorization: alice"))
        assert head.startswith(b"HTTP/1.1 503 ")
        assert gateway.load.tasks == 3

        for _, writer in waiting:
            writer.transport.abort()
        assert gateway.admission is not None
        while gateway.admission.open_count:
            await asyncio.sleep(0)
        never.set()


async def test_every_way_to_disconnect_frees_a_slot() -> None:
    gateway = make_gateway()
    async with running(gateway) as server:
        await response_to(server, upgrade(server, "Origin: https://evil.example"))
        await response_to(server, upgrade(server, version="8"))
        async with RawSocket.upgraded(server) as refused:
            assert await refused.close_code() == 4401
        async with RawSocket.open(server, "alice") as broken:
            broken.writer.transport.abort()
        async with Client.open(server, "alice") as alice:
            await alice.socket.close()
        assert gateway.admission is not None
        while gateway.admission.open_count:
            await asyncio.sleep(0)

        assert gateway.load.sockets == 0
