"""The systemd unit, without systemd: its command works, and its settings fit a node."""

from __future__ import annotations

import configparser
import secrets
import shlex
import signal
from pathlib import Path

import pytest

from tests.processes import HUBBUB, command
from tests.valkey import free_ports

UNIT = Path(__file__).parents[2] / "deploy" / "hubbub@.service"


@pytest.fixture
def service() -> configparser.SectionProxy:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(UNIT)
    return unit["Service"]


async def test_the_command_serves_and_exits_with_0(service: configparser.SectionProxy, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    program, *arguments = shlex.split(service["ExecStart"].replace("%i", str(port)))
    assert program.endswith("/bin/hubbub")
    async with command(tmp_path, HUBBUB, *arguments, HUBBUB_SECRET=secrets.token_hex(32)) as server:
        assert server.address.port == port
        server.process.send_signal(signal.SIGTERM)
        assert (await server.ended())[0] == 0


def test_the_first_signal_goes_only_to_the_parent_of_the_workers(service: configparser.SectionProxy) -> None:
    """With a signal from systemd, the parent's signal would be a worker's second one and stop it at once."""
    assert service["KillMode"] == "mixed"
    assert "KillSignal" not in service


def test_a_node_is_restarted_and_has_descriptors_for_its_sockets(service: configparser.SectionProxy) -> None:
    assert service["Restart"] == "always"
    assert int(service["LimitNOFILE"]) >= 65536


def test_no_secret_is_in_it_because_everybody_can_read_units(service: configparser.SectionProxy) -> None:
    assert "Environment" not in service
    assert service["EnvironmentFile"] == "/etc/hubbub/env"
