"""The metrics that a node exports to Prometheus."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

import hubbub
from hubbub import CLOSE_CODES, Gateway, GatewayCollector, MessageNew
from hubbub.brokers.codec import Fault
from hubbub.clock import SystemClock
from hubbub.connections.timers import PeriodicTimers
from hubbub.metrics.histogram import Histogram
from hubbub.metrics.prometheus import (
    ALERTED_REDIS_ERRORS,
    COUNTERS,
    GAUGES,
    HISTOGRAMS,
    READY,
    REDIS_ERRORS,
    SERVER_ERRORS,
    SERVER_REFUSALS,
)
from hubbub.metrics.stats import Load, Stats
from tests.support import Client, make_gateway, running
from tests.websocket import RawSocket, frame, upgrade

ROOT = Path(__file__).parents[2]


class Metrics:
    """The metrics of one gateway, as a scraper reads them."""

    def __init__(self, gateway: Gateway) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(GatewayCollector(gateway))

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    @property
    def text(self) -> str:
        return generate_latest(self.registry).decode()


def test_every_field_of_stats_is_published() -> None:
    """A new field needs an entry in hubbub.metrics.prometheus, COUNTERS or HISTOGRAMS, and one in docs/metrics.md."""
    assert set(COUNTERS) | set(HISTOGRAMS) == {field.name for field in fields(Stats)}


def test_every_field_of_load_is_published() -> None:
    assert set(GAUGES) == {field.name for field in fields(Load)}


def test_each_counter_with_keys_has_a_label_and_no_other_has_one() -> None:
    stats = Stats()
    for field, spec in COUNTERS.items():
        assert (spec.label is None) == isinstance(getattr(stats, field), int), field


def test_names_and_help_follow_the_conventions_of_prometheus() -> None:
    metrics = Metrics(make_gateway())
    families = {family.name: family for family in text_string_to_metric_families(metrics.text)}

    assert families
    for name, family in families.items():
        assert re.fullmatch(r"hubbub_[a-z_]+", name)
        assert family.type in {"counter", "gauge", "histogram"}
        assert re.fullmatch(r".+[^.]\.|1 while .+\.", family.documentation), name
        suffixes = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_count", "_sum"]}[family.type]
        assert {sample.name for sample in family.samples} <= {name + suffix for suffix in suffixes}, name


def test_every_metric_is_in_the_documentation() -> None:
    documented = set(re.findall(r"^\| `(hubbub_\w+)", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE))
    counters = {spec.name + "_total" for spec in COUNTERS.values()}
    others = {spec.name for spec in (*HISTOGRAMS.values(), *GAUGES.values(), READY)}

    assert documented == counters | others


def test_the_alert_for_server_errors_watches_every_series_that_starts_at_zero_for_it() -> None:
    alerts = (ROOT / "docs/metrics.md").read_text()

    assert f'hubbub_errors_total{{code=~"{"|".join(SERVER_ERRORS)}"}}' in alerts
    assert f'hubbub_refusals_total{{reason=~"{"|".join(SERVER_REFUSALS)}"}}' in alerts


def test_the_redis_alert_watches_the_errors_that_an_operator_can_fix() -> None:
    alerts = (ROOT / "docs/metrics.md").read_text()

    assert f'hubbub_errors_total{{code=~"{"|".join(ALERTED_REDIS_ERRORS)}"}}' in alerts


def test_every_redis_error_that_the_code_counts_is_listed() -> None:
    counted = {f"redis_{fault}" for fault in Fault}
    for file in (ROOT / "src/hubbub").rglob("*.py"):
        counted.update(re.findall(r"""(?:errors\[|\.\w+\()"((?:presence|redis)_\w+|bad_command)\"""", file.read_text()))

    assert counted == set(REDIS_ERRORS)


def test_redis_errors_start_at_zero_on_a_node_with_redis_and_are_absent_without() -> None:
    shared = Metrics(make_gateway(redis_url="redis://127.0.0.1"))
    alone = Metrics(make_gateway())

    for code in REDIS_ERRORS:
        assert shared("hubbub_errors_total", code=code) == 0
        assert alone("hubbub_errors_total", code=code) is None


def test_known_series_start_at_zero() -> None:
    metrics = Metrics(make_gateway())

    for code in (*CLOSE_CODES, 1000, 1006):
        assert metrics("hubbub_closes_total", code=str(code)) == 0
    assert metrics("hubbub_events_received_total", type="client.system.subscribe") == 0
    assert metrics("hubbub_events_published_total", type="server.messenger.message_new") == 0
    assert metrics("hubbub_errors_total", code="internal") == 0


def test_a_gateway_that_does_not_run_is_not_ready_and_has_no_load() -> None:
    metrics = Metrics(make_gateway())

    assert metrics("hubbub_ready") == 0
    assert [metrics(spec.name) for spec in GAUGES.values()] == [0, 0, 0, 0]


async def test_a_scrape_shows_the_load_and_the_counters() -> None:
    gateway = make_gateway()
    metrics = Metrics(gateway)
    async with running(gateway) as address:
        async with Client.open(address, "alice", "conversation:c1") as alice, Client.open(address, "alice") as other:
            hubbub.notify(MessageNew("c1", "m1", "alice", "2026-01-01T00:00:00Z"))
            await alice.expect("server.messenger.message_new")
            await other.expect("server.messenger.message_new")

            assert metrics("hubbub_ready") == 1
            assert metrics("hubbub_sockets") == 2
            assert metrics("hubbub_users") == 1
            assert metrics("hubbub_topics") == 1
            assert metrics("hubbub_connects_total") == 2
            assert metrics("hubbub_events_received_total", type="client.system.subscribe") == 1
            assert metrics("hubbub_events_published_total", type="server.messenger.message_new") == 1
            assert metrics("hubbub_deliveries_total") == 2

            await other.send("client.test.nobody_knows", {})
            await other.expect("server.system.error")
            assert metrics("hubbub_errors_total", code="unknown_type") == 1

        async with RawSocket.open(address, "bob") as bob:
            await bob.write(frame(2, b"binary"))
            assert await bob.close_code() == 1003
        assert metrics("hubbub_closes_total", code="1003") == 1
        assert metrics("hubbub_sockets") == 0

        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(upgrade(address, "Authorization: bob", "Origin: https://evil.example"))
        assert (await reader.readline()).startswith(b"HTTP/1.1 403 ")
        writer.close()
        assert metrics("hubbub_refusals_total", reason="origin") == 1


async def test_a_task_is_counted_while_it_waits() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def authorize(ctx: Any, topics: Any) -> Any:
        begun.set()
        await go_on.wait()
        return topics

    gateway = make_gateway(authorize=authorize)
    metrics = Metrics(gateway)
    async with running(gateway) as address, Client.open(address, "alice") as alice:
        await alice.request_topics("conversation:c1")
        await begun.wait()
        assert metrics("hubbub_tasks") == 1
        go_on.set()
        await alice.expect("server.system.subscribed")


async def test_no_label_has_a_value_that_a_client_chose() -> None:
    gateway = make_gateway()
    metrics = Metrics(gateway)
    async with running(gateway, FastAPI()) as address:
        async with Client.open(address, "mallory", "conversation:mallory") as mallory:
            await mallory.send("client.mallory.invents", {}, id="mallory")
            await mallory.expect("server.system.error")
        async with RawSocket.open(address, "mallory") as raw:
            await raw.write(frame(8, (4999).to_bytes(2) + b"mallory"))
            await raw.close_code()
    assert metrics("hubbub_closes_total", code="1006") == 1
    assert "mallory" not in metrics.text
    assert "4999" not in metrics.text


def test_without_the_client_library_the_error_names_the_remedy() -> None:
    code = """
import sys
sys.modules["prometheus_client"] = None
import hubbub
try:
    hubbub.GatewayCollector(hubbub.Gateway(authenticate=lambda handshake: None))
except hubbub.ConfigurationError as error:
    print(error)
"""
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout

    assert "pip install 'hubbub[metrics]'" in output


def test_importing_hubbub_does_not_import_the_client_library() -> None:
    code = "import sys, hubbub; print('prometheus_client' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout

    assert output.strip() == "False"


async def test_histograms_show_the_size_of_flushes_and_the_duration_of_handlers() -> None:
    gateway = make_gateway()
    metrics = Metrics(gateway)
    async with (
        running(gateway) as address,
        Client.open(address, "alice", "conversation:c1") as alice,
        Client.open(address, "bob", "conversation:c1") as bob,
    ):
        before = metrics("hubbub_flush_sockets_sum")
        assert before is not None
        hubbub.notify(MessageNew("c1", "m1", "alice", "2026-01-01T00:00:00Z"))
        await alice.expect("server.messenger.message_new")
        await bob.expect("server.messenger.message_new")
        while metrics("hubbub_flush_sockets_sum") == before:
            await asyncio.sleep(0)

        assert metrics("hubbub_flush_sockets_sum") == before + 2
        assert metrics("hubbub_flush_seconds_count") == 0  # two sockets are too few to be measured
        assert metrics("hubbub_handler_seconds_count", handler="client.system.subscribe") == 2
        assert metrics("hubbub_handler_seconds_bucket", handler="client.system.subscribe", le="10.0") == 2


def test_a_histogram_counts_a_value_in_the_first_bucket_whose_bound_it_does_not_exceed() -> None:
    histogram = Histogram((1, 4))
    for value in (0.5, 1, 2, 4, 5):
        histogram.observe(value)

    assert (histogram.counts, histogram.total) == ([2, 2, 1], 12.5)


async def test_a_blocked_loop_shows_lag() -> None:
    stats = Stats()
    timers = PeriodicTimers(SystemClock(), stats)
    ticked = asyncio.Event()
    timers.every(0.001, "test", ticked.set)
    time.sleep(0.03)  # noqa: ASYNC251 - what is measured
    await ticked.wait()
    timers.stop()

    assert stats.loop_lag_seconds.total >= 0.028
