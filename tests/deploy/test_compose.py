"""compose.yaml: two nodes behind Caddy with their services, and no secret in the file."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml  # type: ignore[import-untyped]

from hubbub.testing import Address
from hubbub_messenger.settings import Settings
from tests.processes import HUBBUB, Running, command
from tests.support import Client
from tests.valkey import free_ports, run_valkey

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "compose.yaml").read_text()
SERVICES: Any = yaml.safe_load(TEXT)["services"]
NODES = ("node1", "node2")
EXAMPLE = (ROOT / ".env.example").read_text()
CADDY = Path(sys.executable).with_name("caddy")


@pytest.mark.parametrize("name", NODES)
def test_a_node_gets_only_variables_that_the_messenger_knows(name: str) -> None:
    known = {f"HUBBUB_{field.upper()}" for field in Settings.model_fields}

    assert {key for key in SERVICES[name]["environment"] if key.startswith("HUBBUB_")} <= known


def test_both_nodes_get_the_same_variables() -> None:
    first, second = (SERVICES[name] for name in NODES)

    assert first["environment"] == second["environment"]


def test_every_variable_is_in_the_example_and_every_secret_in_it_is_empty() -> None:
    used = set(re.findall(r"\$\{?([A-Z_]+)", TEXT))
    example = dict(re.findall(r"^([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE))

    assert used == example.keys()
    for name, value in example.items():
        is_secret = re.search("SECRET|TOKEN|PASSWORD", name) is not None
        assert is_secret == (value == ""), name
        if is_secret:
            assert f"${{{name}:?" in TEXT, f"compose must not start without {name}"


def test_everything_has_a_health_check_and_waits_for_what_it_needs() -> None:
    for name, service in SERVICES.items():
        assert "healthcheck" in service or name in NODES, name  # the image has the nodes' health check
        for condition in service.get("depends_on", {}).values():
            assert condition == {"condition": "service_healthy"}
    assert set(SERVICES["caddy"]["depends_on"]) == set(NODES)
    assert [set(SERVICES[name]["depends_on"]) for name in NODES] == [{"postgres", "valkey"}] * 2


def test_only_the_proxy_can_be_reached_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["caddy"]
    assert SERVICES["caddy"]["networks"] == ["front"]
    assert yaml.safe_load(TEXT)["networks"]["back"] == {"internal": True}


def test_the_proxy_has_two_descriptors_for_each_of_a_nodes() -> None:
    limits = {name: SERVICES[name]["ulimits"]["nofile"] for name in (*NODES, "caddy")}

    assert limits["caddy"] >= sum(limits[name] for name in NODES)


def test_the_proxy_has_exactly_the_nodes_as_upstreams() -> None:
    (nodes,) = re.findall(r"\{\$HUBBUB_NODES:([^}]*)\}", (ROOT / "deploy" / "Caddyfile").read_text())

    assert nodes.split() == [f"{name}:8000" for name in NODES]


async def test_caddy_serves_two_nodes_and_continues_when_one_stops(tmp_path: Path) -> None:
    http, admin, *ports = free_ports(4)
    config = tmp_path / "Caddyfile"
    config.write_text(f"{{\n\tadmin 127.0.0.1:{admin}\n}}\n" + (ROOT / "deploy" / "Caddyfile").read_text())
    run = (HUBBUB, "run", "hubbub_messenger.app:app", "--drain", "0.2")
    with run_valkey() as valkey:
        variables = {
            "HUBBUB_ENVIRONMENT": "development",
            "HUBBUB_REDIS_URL": f"redis://127.0.0.1:{valkey.port}",
            "HUBBUB_SITE": f"http://127.0.0.1:{http}",
            "HUBBUB_NODES": " ".join(f"127.0.0.1:{port}" for port in ports),
            "XDG_DATA_HOME": str(tmp_path),
            "XDG_CONFIG_HOME": str(tmp_path),
        }
        caddy = (str(CADDY), "run", "--config", str(config), "--adapter", "caddyfile")
        async with (
            command(tmp_path, *run, PORT=str(ports[0]), **variables) as first,
            command(tmp_path, *run, PORT=str(ports[1]), **variables),
        ):
            process = await asyncio.create_subprocess_exec(
                *caddy, env={**os.environ, **variables}, stderr=asyncio.subprocess.PIPE
            )
            try:
                await _serving(process)
                await _check_signals(Address("127.0.0.1", http), first)
            finally:
                process.terminate()
                await process.wait()


async def _serving(caddy: asyncio.subprocess.Process) -> None:
    """Read what Caddy logs until it listens."""
    assert caddy.stderr is not None
    while b"serving initial configuration" not in (line := await caddy.stderr.readline()):
        assert line, "Caddy exited before it listened"


async def _check_signals(site: Address, first: Running) -> None:
    async with httpx.AsyncClient(base_url=site.http, timeout=20) as rest:
        assert (await rest.get("/metrics")).status_code == 404
        login = await rest.post("/api/session", json={"username": "alice", "password": "alice"})
        token = f"Bearer {login.json()['token']}"
        async with Client.open(site, token, "user:bob") as alice:
            assert alice.socket.close_code is None
        first.process.terminate()
        for _ in range(20):
            assert (await rest.get("/api/me", headers={"Authorization": token})).status_code == 200
        await first.ended()
        assert (await rest.get("/api/me", headers={"Authorization": token})).status_code == 200
