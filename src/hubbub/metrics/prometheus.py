"""The metrics of a node for Prometheus. Needs `prometheus-client`: the extra `hubbub[metrics]`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from hubbub.close_codes import ABNORMAL_CLOSURE, CLOSE_CODES, NO_STATUS_RECEIVED
from hubbub.contract.registry import Contract
from hubbub.errors import ConfigurationError
from hubbub.metrics.histogram import Histogram
from hubbub.metrics.stats import Load, Stats

if TYPE_CHECKING:
    from prometheus_client import Metric
    from prometheus_client.registry import Collector
else:  # a registry only calls the methods, and importing hubbub must not import the client
    Collector = object

INSTALL_HINT: Final = "metrics need the Prometheus client: pip install 'hubbub[metrics]'"


class MetricsSource(Protocol):
    """The part of a gateway that the collector reads."""

    stats: Stats
    """What has happened on this node."""

    contract: Contract
    """Every event that this gateway speaks."""

    @property
    def load(self) -> Load:
        """Return what the node holds now."""

    @property
    def ready(self) -> bool:
        """Return whether the node accepts sockets and its events reach every node."""

    @property
    def is_shared(self) -> bool:
        """Return whether this is one node of many."""


class MetricSpec(NamedTuple):
    """How one number of a node is published."""

    name: str
    help: str
    label: str | None = None
    """What the keys of the number are, if there is one number for each key."""


# The names follow prometheus.io/docs/practices/naming.
COUNTERS: Final[Mapping[str, MetricSpec]] = {
    "connects": MetricSpec("hubbub_connects", "Sockets that were opened and registered."),
    "refusals": MetricSpec("hubbub_refusals", "Refused handshakes, by reason.", "reason"),
    "closes": MetricSpec("hubbub_closes", "Registered sockets that were closed, by close code.", "code"),
    "events_in": MetricSpec("hubbub_events_received", "Events from clients, by type.", "type"),
    "events_out": MetricSpec("hubbub_events_published", "Events published on this node, by type.", "type"),
    "deliveries": MetricSpec("hubbub_deliveries", "Copies of published events that were delivered to sockets."),
    "over_rate": MetricSpec("hubbub_over_rate", "Sockets closed for sending too much, by what they sent.", "kind"),
    "errors": MetricSpec(
        "hubbub_errors", "Error events sent to clients, and failed hooks and timers, by code.", "code"
    ),
}
"""By field of `Stats`. Every field is here or in HISTOGRAMS; a test checks it."""

HISTOGRAMS: Final[Mapping[str, MetricSpec]] = {
    "flush_sockets": MetricSpec("hubbub_flush_sockets", "How many sockets one flush wrote to."),
    "flush_seconds": MetricSpec(
        "hubbub_flush_seconds", "Duration of flushes to more than 16 sockets, system calls included."
    ),
    "loop_lag_seconds": MetricSpec("hubbub_loop_lag_seconds", "Time by which the event loop ran a timer late."),
    "handler_seconds": MetricSpec("hubbub_handler_seconds", "Duration of handlers and hooks, by name.", "handler"),
}
"""By field of `Stats`."""

GAUGES: Final[Mapping[str, MetricSpec]] = {
    "sockets": MetricSpec("hubbub_sockets", "Registered sockets."),
    "users": MetricSpec("hubbub_users", "Users with at least one registered socket."),
    "topics": MetricSpec("hubbub_topics", "Topics with at least one subscriber."),
    "tasks": MetricSpec("hubbub_tasks", "Handlers, hooks and handshakes in progress that wait for something."),
}
"""By field of `Load`: all of them."""

READY: Final = MetricSpec("hubbub_ready", "1 while the node accepts sockets and its events reach every node.")

SERVER_ERRORS: Final = ("internal", "timeout", "on_last_seen", "heartbeat", "presence", "commands", "command_lost")
"""Error codes that are the server's own fault. An alert watches them, so they are exported as zeros from the start."""

ALERTED_REDIS_ERRORS: Final = (
    *("presence_store", "presence_fenced", "presence_invalid"),
    *("redis_dropped", "redis_lost", "redis_refused", "redis_deliver"),
)
"""Those REDIS_ERRORS where an operator can do something. An alert watches them."""

REDIS_ERRORS: Final = (
    *ALERTED_REDIS_ERRORS,
    *("presence_bad", "presence_healed", "presence_old", "presence_unread", "bad_command"),
    *("redis_too_big", "redis_no_magic", "redis_unknown_version", "redis_wrong_length", "redis_bad_header"),
    *("redis_wrong_channel", "redis_duplicate"),
)
"""Error codes that only nodes with a Redis have. docs/many-nodes.md and docs/presence.md explain each."""

SERVER_REFUSALS: Final = ("authenticate failed", "authenticate timeout")
"""Reasons of refused handshakes that are the server's own fault."""

# Close codes of a normal end, in addition to those that Hubbub sends.
_PEER_CLOSE_CODES: Final = (1000, 1001, NO_STATUS_RECEIVED, ABNORMAL_CLOSURE)


class GatewayCollector(Collector):
    """A Prometheus collector that reads a gateway's numbers when it is scraped. It costs nothing between two scrapes.

    Register it where your other metrics are: `REGISTRY.register(GatewayCollector(gateway))`. Register one per process
    and registry, because the metrics have no label that tells two gateways apart. No label has a value that a client
    can choose.

    Args:
        gateway: The `Gateway` to read.

    Raises:
        ConfigurationError: If `prometheus-client` is not installed.
    """

    def __init__(self, gateway: MetricsSource) -> None:
        try:
            from prometheus_client import metrics_core
        except ImportError:
            raise ConfigurationError(INSTALL_HINT) from None
        self._metrics_core = metrics_core
        self._gateway = gateway
        # rate() does not see the first count of a series that starts with it, so known series start at zero.
        contract = gateway.contract.items()
        self._zeros: dict[str, dict[str, int]] = {
            "refusals": _zeros(*SERVER_REFUSALS),
            "closes": _zeros(*CLOSE_CODES, *_PEER_CLOSE_CODES),
            "events_in": _zeros(*(name for name, spec in contract if spec.from_client)),
            "events_out": _zeros(*(name for name, spec in contract if spec.audience)),
            "errors": _zeros(*SERVER_ERRORS, *(REDIS_ERRORS if gateway.is_shared else ())),
        }

    def describe(self) -> Iterable[Metric]:
        """Yield the metrics. Prometheus calls this when the collector is registered, to learn their names."""
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        """Yield every metric with its value now. Safe to call from any thread."""
        core, stats, load = self._metrics_core, self._gateway.stats, self._gateway.load
        for field, spec in COUNTERS.items():
            value: Any = getattr(stats, field)
            if spec.label is None:
                yield core.CounterMetricFamily(spec.name, spec.help, value)
                continue
            family = core.CounterMetricFamily(spec.name, spec.help, labels=[spec.label])
            # dict() copies atomically: the event loop may count in another thread.
            counts = {str(key): count for key, count in dict(value).items()}
            for key, count in sorted((self._zeros.get(field, {}) | counts).items()):
                family.add_metric([key], count)
            yield family
        for field, spec in HISTOGRAMS.items():
            value = getattr(stats, field)
            labels = [] if spec.label is None else [spec.label]
            family = core.HistogramMetricFamily(spec.name, spec.help, labels=labels)
            for key, histogram in sorted(dict(value).items()) if labels else [(None, value)]:
                family.add_metric([] if key is None else [key], _buckets(histogram), histogram.total)
            yield family
        for field, spec in GAUGES.items():
            yield core.GaugeMetricFamily(spec.name, spec.help, getattr(load, field))
        yield core.GaugeMetricFamily(READY.name, READY.help, self._gateway.ready)


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    bounds = [*(str(float(bound)) for bound in histogram.bounds), "+Inf"]
    return list(zip(bounds, accumulate(histogram.counts), strict=True))


def _zeros(*keys: object) -> dict[str, int]:
    return dict.fromkeys(map(str, keys), 0)
