"""The Grafana board shows exactly the metrics that a running node exports."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.processes import HUBBUB, command
from tests.support import Client
from tests.websocket import RawSocket, frame

BOARD = Path(__file__).parents[2] / "docs" / "grafana.json"

# Families that are not on the board: the Python client adds them, and they are not about the bus.
NOT_ON_THE_BOARD = {
    "process_virtual_memory_bytes",
    "process_start_time_seconds",
    "python_info",
    "python_gc_objects_collected",
    "python_gc_objects_uncollectable",
    "python_gc_collections",
}
# What Prometheus adds to every series, and `le`, which histogram_quantile needs.
ADDED_LABELS = {"job", "instance", "le"}


class Exported(NamedTuple):
    """What a node exports: its metric families, and the labels of samples by name."""

    families: list[Metric]
    labels: dict[str, set[str]]


@pytest.fixture(scope="module")
def board() -> Any:
    return json.loads(BOARD.read_text())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("node")
    run = (HUBBUB, "run", "hubbub_messenger.app:app", "--port", "0")
    async with command(folder, *run, HUBBUB_ENVIRONMENT="development") as server, httpx.AsyncClient() as rest:
        login = {"username": "alice", "password": "alice"}
        token = (await rest.post(server.address.http + "/api/session", json=login)).json()["token"]
        # hubbub_over_rate has no series before its first count.
        async with RawSocket.open(server.address, f"Bearer {token}") as flood:
            await flood.write(frame(9, b"") * 200)
            assert await flood.close_code() == 4429
        async with Client.open(server.address, f"Bearer {token}", "user:bob"):
            text = (await rest.get(server.address.http + "/metrics")).text
    families = list(text_string_to_metric_families(text))
    labels: dict[str, set[str]] = {}
    for sample in (sample for family in families for sample in family.samples):
        labels.setdefault(sample.name, set()).update(sample.labels)
    return Exported(families, labels)


def panels(board: Any) -> list[Any]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def expressions(board: Any) -> Iterator[str]:
    for panel in panels(board):
        for target in panel["targets"]:
            yield target["expr"]


def names_in(expression: str) -> list[str]:
    return re.findall(r"\b((?:hubbub|process|python)_\w+)(?=\{)", expression)


def test_a_node_exports_every_metric_on_the_board(board: Any, exported: Exported) -> None:
    for expression in expressions(board):
        assert names_in(expression), expression
        assert set(names_in(expression)) <= exported.labels.keys(), expression


def test_every_metric_that_a_node_exports_is_on_the_board(board: Any, exported: Exported) -> None:
    shown = {name for expression in expressions(board) for name in names_in(expression)}

    for family in exported.families:
        is_shown = any(name.startswith(family.name) for name in shown)
        assert is_shown != (family.name in NOT_ON_THE_BOARD), family.name


def test_the_board_groups_by_labels_that_the_metrics_have(board: Any, exported: Exported) -> None:
    for panel in panels(board):
        for target in panel["targets"]:
            groups = ",".join(re.findall(r"by \(([^)]*)\)", target["expr"]))
            named = {label.strip() for label in groups.split(",") if label}
            named |= set(re.findall(r"[{,](\w+)=?[=~!]", target["expr"]))
            named |= set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            has = set[str]().union(*(exported.labels[name] for name in names_in(target["expr"])))
            assert named <= has | ADDED_LABELS, target["expr"]


def test_the_data_source_is_chosen_when_the_board_is_imported(board: Any) -> None:
    (source,) = [one for one in board["templating"]["list"] if one["type"] == "datasource"]
    chosen = {"type": "prometheus", "uid": f"${{{source['name']}}}"}

    assert source["query"] == "prometheus"
    for panel in panels(board):
        assert panel["datasource"] == chosen
        assert [target["datasource"] for target in panel["targets"]] == [chosen] * len(panel["targets"])
    assert set(re.findall(r'"uid": ("[^"]*"|null)', BOARD.read_text())) == {'"${datasource}"', "null"}
    assert (board["id"], board["uid"]) == (None, None)


def test_every_variable_that_is_used_is_declared(board: Any) -> None:
    declared = {one["name"] for one in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", " ".join(expressions(board))))

    assert used <= declared | {"__rate_interval"}


def test_the_board_has_a_schema_that_grafana_10_and_later_read(board: Any) -> None:
    assert 36 <= board["schemaVersion"] <= 39
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for first, second in combinations([panel["gridPos"] for panel in board["panels"]], 2):
        is_beside = first["x"] + first["w"] <= second["x"] or second["x"] + second["w"] <= first["x"]
        is_below = first["y"] + first["h"] <= second["y"] or second["y"] + second["h"] <= first["y"]
        assert is_beside or is_below
