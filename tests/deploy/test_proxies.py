"""The configurations of docs/proxies.md, each over TLS before a node: they pass REST and sockets, and nothing else.

Caddy is a development dependency. nginx and HAProxy are not on PyPI: their tests run if they are installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import ssl
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from tests.docs.pages import blocks
from tests.processes import HUBBUB, command
from tests.valkey import free_ports

PAGE = "docs/proxies.md"
SITE = "app.example"


class ProxyFiles(NamedTuple):
    """Ports and files of a proxy in a test, which replace those on the page."""

    folder: Path
    port: int
    node: int
    certificate: Path
    key: Path
    both: Path

    def put(self, text: str, *changes: tuple[str, str]) -> Path:
        """Write the page's configuration with the test's ports and files. Each change must apply."""
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        file = self.folder / "proxy.conf"
        file.write_text(text)
        return file


def nginx(text: str, place: ProxyFiles) -> list[str]:
    file = place.put(
        text,
        ("listen 443 ssl", f"listen 127.0.0.1:{place.port} ssl"),
        ("127.0.0.1:8000", f"127.0.0.1:{place.node}"),
        (f"/etc/ssl/{SITE}.pem", str(place.certificate)),
        (f"/etc/ssl/{SITE}.key", str(place.key)),
    )
    return ["nginx", "-c", str(file), "-p", str(place.folder), "-g", f"daemon off; pid {place.folder}/nginx.pid;"]


def haproxy(text: str, place: ProxyFiles) -> list[str]:
    file = place.put(
        text,
        ("maxconn 32768", "maxconn 1000"),  # not every machine allows that many descriptors
        ("bind :443", f"bind 127.0.0.1:{place.port}"),
        ("127.0.0.1:8000", f"127.0.0.1:{place.node}"),
        ("127.0.0.1:8001", f"127.0.0.1:{place.node}"),  # both are one node
        (f"/etc/ssl/{SITE}.pem", str(place.both)),
    )
    return ["haproxy", "-db", "-f", str(file)]


def caddy(text: str, place: ProxyFiles) -> list[str]:
    file = place.put(
        "{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + text,
        (f"{SITE} {{", f"https://{SITE}:{place.port} {{\n\ttls {place.certificate} {place.key}"),
        ("127.0.0.1:8000", f"127.0.0.1:{place.node}"),
    )
    return [str(Path(sys.executable).with_name("caddy")), "run", "--config", str(file), "--adapter", "caddyfile"]


def certificate(folder: Path) -> tuple[Path, Path, Path]:
    """Make a certificate for the site, and return the files of the certificate, its key, and both together."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, SITE)])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
    signed = built.add_extension(x509.SubjectAlternativeName([x509.DNSName(SITE)]), False).sign(key, hashes.SHA256())
    files = folder / "site.pem", folder / "site.key", folder / "both.pem"
    files[0].write_bytes(signed.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    files[2].write_bytes(files[0].read_bytes() + files[1].read_bytes())
    return files


@contextlib.asynccontextmanager
async def running(arguments: list[str], port: int) -> AsyncIterator[None]:
    """Run a proxy until the end of the block. The block starts when the proxy listens."""
    process = await asyncio.create_subprocess_exec(*arguments, stdout=PIPE, stderr=STDOUT, env=dict(os.environ))
    try:
        async with asyncio.timeout(20):
            while True:
                assert process.returncode is None, (await process.communicate())[0].decode()
                with contextlib.suppress(ConnectionRefusedError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.02)  # nginx and HAProxy do not log when they are ready
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()


@pytest.mark.parametrize(
    ("language", "arrange"),
    [
        pytest.param(name, arrange, marks=pytest.mark.skipif(shutil.which(name) is None, reason=f"no {name} on PATH"))
        for name, arrange in (("nginx", nginx), ("haproxy", haproxy))
    ]
    + [("caddyfile", caddy)],
)
async def test_a_proxy_passes_requests_and_sockets_and_hides_metrics(
    language: str, arrange: Callable[[str, ProxyFiles], list[str]], tmp_path: Path
) -> None:
    (text,) = (block.text for block in blocks(PAGE) if block.language == language)
    (port,) = free_ports(1)
    trusted = certificate(tmp_path)
    context = ssl.create_default_context(cafile=str(trusted[0]))
    run = (HUBBUB, "run", "hubbub_messenger.app:app", "--port", "0", "--drain", "0.2")
    async with command(tmp_path, *run, HUBBUB_ENVIRONMENT="development") as node:
        place = ProxyFiles(tmp_path, port, node.address.port, *trusted)
        async with running(arrange(text, place), port):
            host = {"Host": f"{SITE}:{port}"}
            as_site = {"sni_hostname": SITE}
            site = f"https://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=site, headers=host, verify=context, timeout=20) as rest:

                async def ask(method: str, path: str, **content: object) -> httpx.Response:
                    return await rest.request(method, path, extensions=as_site, **content)  # type: ignore[arg-type]

                while (login := await ask("POST", "/api/session", json=ALICE)).status_code in (502, 503):
                    await asyncio.sleep(0.05)  # until its first health check
                assert login.status_code == 200, login.text
                assert "secure" in login.headers["set-cookie"].lower()  # the node knows that the browser has TLS
                cookie = {"Cookie": f"hubbub_session={login.json()['token']}"}

                def open(origin: str) -> connect:
                    url = f"wss://{SITE}:{port}/ws"
                    return connect(
                        url, host="127.0.0.1", port=port, ssl=context, additional_headers=cookie, origin=Origin(origin)
                    )

                async with open(f"https://{SITE}:{port}") as socket:
                    assert json.loads(await socket.recv())["type"] == "server.system.ready"
                with pytest.raises(InvalidStatus, match="403"):
                    await open("https://elsewhere.example").__aenter__()
                assert (await ask("GET", "/metrics")).status_code == 404


ALICE = {"username": "alice", "password": "alice"}
