"""docs/deploying.md: its statements about Kubernetes and the command line are true."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from hubbub_messenger.routes import health
from tests.deploy.test_image import STOP_SECONDS, only
from tests.processes import HUBBUB

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "deploying.md").read_text()


@pytest.fixture(scope="module")
def pod() -> Any:
    manifests = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)]
    (deployment,) = [manifest for manifest in manifests if manifest["kind"] == "Deployment"]
    return deployment["spec"]["template"]["spec"]


def test_kubernetes_waits_longer_than_its_prestop_sleep_and_the_drain(pod: Any) -> None:
    (container,) = pod["containers"]
    program, seconds = container["lifecycle"]["preStop"]["exec"]["command"]

    assert program == "sleep"
    assert pod["terminationGracePeriodSeconds"] > int(seconds) + STOP_SECONDS


def test_kubernetes_restarts_dead_nodes_and_sends_traffic_to_ready_ones(pod: Any) -> None:
    (container,) = pod["containers"]
    paths = {
        probe: container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }

    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    assert set(paths.values()) <= {getattr(route, "path", None) for route in health.router.routes}
    assert {container[probe]["httpGet"]["port"] for probe in paths} == {int(only("EXPOSE"))}


def test_the_options_that_the_guide_names_are_those_of_hubbub_run() -> None:
    known = subprocess.run([HUBBUB, "run", "--help"], capture_output=True, check=True, text=True).stdout
    named = {option for line in re.findall(r"hubbub run [^`\n]*", GUIDE) for option in re.findall(r"--[a-z-]+", line)}

    assert named >= {"--drain", "--workers", "--host"}
    for option in named | {"--log-level", "--no-access-log"}:
        assert option.replace("--no-", "--") in known.replace("--no-", "--")


def test_the_files_that_the_guide_links_to_exist() -> None:
    for link in re.findall(r"\]\(([^)#:]+)", GUIDE):
        assert (ROOT / "docs" / link).exists(), link
