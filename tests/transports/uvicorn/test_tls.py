"""The same transport over TLS, which adds a layer with its own buffers."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.client import ClientConnection, connect

from hubbub import Gateway, Handshake, Identity, MessageNew, notify
from tests.support import Client, authenticate, make_gateway, running


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a key and a self-signed certificate, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def schemes() -> list[str]:
    return []


@pytest.fixture
def gateway(schemes: list[str]) -> Gateway:
    def look(handshake: Handshake) -> Identity | None:
        schemes.append(handshake.scheme)
        return authenticate(handshake)

    return make_gateway(authenticate=look)


@pytest.fixture
async def alice(gateway: Gateway, certificate: Path) -> AsyncIterator[ClientConnection]:
    trusting = ssl.create_default_context(cafile=certificate)
    async with running(gateway, ssl_keyfile=certificate, ssl_certfile=certificate) as server:
        url = f"wss://localhost:{server.port}/ws"
        async with connect(url, additional_headers={"Authorization": "alice"}, ssl=trusting) as socket:
            yield socket


async def test_signals_work_over_tls(alice: ClientConnection, schemes: list[str]) -> None:
    client = Client(alice)
    await client.expect("server.system.ready")
    await client.subscribe("conversation:c1")
    for number in range(100):
        notify(MessageNew("c1", str(number), "bob", "x" * 1000))

    received = [(await client.expect("server.messenger.message_new"))["messageId"] for _ in range(100)]
    assert received == [str(number) for number in range(100)]
    assert schemes == ["wss"]


@pytest.mark.parametrize(("message", "code"), [(b"binary", 1003), ("garbage", 4400), ("x" * 70_000, 1009)])
async def test_a_fault_over_tls_closes_with_its_code(alice: ClientConnection, message: str | bytes, code: int) -> None:
    await alice.send(message)

    assert (await Client(alice).closed())[0] == code
