"""What a node counts and holds, for Prometheus. Needs ``prometheus-client``: the extra ``hubbub[metrics]``."""

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
else:  # a registry asks for the methods alone, and importing hubbub must not import the client
    Collector = object

REMEDY: Final = "metrics need the Prometheus client: pip install 'hubbub[metrics]'"


class Measured(Protocol):
    """What the collector reads of a gateway."""

    stats: Stats
    """What has happened on this node, counted."""

    contract: Contract
    """Every event it speaks."""

    @property
    def load(self) -> Load:
        """Return what the node holds at this moment."""

    @property
    def ready(self) -> bool:
        """Tell whether the node accepts sockets and its events reach everyone."""

    @property
    def is_shared(self) -> bool:
        """Tell whether this is one node of many."""


class CounterNames(NamedTuple):
    """How one field of Stats is published."""

    name: str
    help: str
    label: str | None = None
    """What the keys of the field are; None for a plain number."""


#: With HISTOGRAMS every field of Stats; a test holds that none is missing.
#: The names follow prometheus.io/docs/practices/naming.
COUNTERS: Final[Mapping[str, CounterNames]] = {
    "connects": CounterNames("hubbub_connects", "Sockets that were registered."),
    "refusals": CounterNames("hubbub_refusals", "Handshakes that were refused, by reason.", "reason"),
    "closes": CounterNames("hubbub_closes", "Registered sockets that are gone, by close code.", "code"),
    "events_in": CounterNames("hubbub_events_received", "Events from clients, by type.", "type"),
    "events_out": CounterNames("hubbub_events_published", "Events published on this node, by type.", "type"),
    "deliveries": CounterNames("hubbub_deliveries", "Copies of published events handed to sockets."),
    "over_rate": CounterNames("hubbub_over_rate", "Sockets closed for sending too much, by what of.", "kind"),
    "errors": CounterNames("hubbub_errors", "Error events sent, and failures of hooks and timers, by code.", "code"),
}

HISTOGRAMS: Final[Mapping[str, CounterNames]] = {
    "flush_sockets": CounterNames("hubbub_flush_sockets", "Sockets that one flush wrote to."),
    "flush_seconds": CounterNames("hubbub_flush_seconds", "Time of a flush to over 16 sockets, system calls included."),
    "loop_lag_seconds": CounterNames("hubbub_loop_lag_seconds", "How late the event loop made its ticks."),
    "handler_seconds": CounterNames("hubbub_handler_seconds", "Time that handlers and hooks took, by name.", "handler"),
}

#: Every field of Load.
GAUGES: Final[Mapping[str, tuple[str, str]]] = {
    "sockets": ("hubbub_sockets", "Registered sockets."),
    "users": ("hubbub_users", "Users with at least one registered socket."),
    "topics": ("hubbub_topics", "Topics with at least one subscriber."),
    "tasks": ("hubbub_tasks", "Handlers, hooks and handshakes that wait for something."),
}

#: Errors that are the server's own: alerts ask for these, so they exist as zeros before the first one happens.
FAULTS: Final = ("internal", "timeout", "on_last_seen", "heartbeat", "presence", "commands", "command_lost")
#: What goes wrong between nodes that share a Redis: the same, where there is one. docs/many-nodes.md and
#: docs/presence.md say what each is; ALARMING are those where an operator can do something.
ALARMING: Final = (
    *("presence_store", "presence_fenced", "presence_invalid"),
    *("redis_dropped", "redis_lost", "redis_refused", "redis_deliver"),
)
SHARED_FAULTS: Final = (
    *ALARMING,
    *("presence_bad", "presence_healed", "presence_old", "presence_unread", "bad_command"),
    *("redis_too_big", "redis_no_magic", "redis_unknown_version", "redis_wrong_length", "redis_bad_header"),
    *("redis_wrong_channel", "redis_duplicate"),
)
FAULTY_REFUSALS: Final = ("authenticate failed", "authenticate timeout")

#: Codes that end a socket as expected, beside those that Hubbub sends.
_PEERS_CODES: Final = (1000, 1001, NO_STATUS_RECEIVED, ABNORMAL_CLOSURE)


class GatewayCollector(Collector):
    """Reads a gateway's counters when it is scraped; between two scrapes it costs nothing.

    Register it where your other metrics are: ``REGISTRY.register(GatewayCollector(gateway))``. One per process and
    registry: the names carry nothing to tell two gateways apart. No label holds anything that a client has chosen.

    Raises ConfigurationError where ``prometheus-client`` is not installed.
    """

    def __init__(self, gateway: Measured) -> None:
        try:
            from prometheus_client import metrics_core
        except ImportError:
            raise ConfigurationError(REMEDY) from None
        self._metrics_core = metrics_core
        self._gateway = gateway
        # A series that begins with its first count has no rise for rate() to see, so what can be named begins at zero.
        contract = gateway.contract.items()
        self._zeros: dict[str, dict[str, int]] = {
            "refusals": _zeros(*FAULTY_REFUSALS),
            "closes": _zeros(*CLOSE_CODES, *_PEERS_CODES),
            "events_in": _zeros(*(name for name, spec in contract if spec.from_client)),
            "events_out": _zeros(*(name for name, spec in contract if spec.audience)),
            "errors": _zeros(*FAULTS, *(SHARED_FAULTS if gateway.is_shared else ())),
        }

    def describe(self) -> Iterable[Metric]:
        """Names the metrics without reading them; called when the collector is registered."""
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        """Gives every metric as it stands; safe from any thread."""
        core, stats, load = self._metrics_core, self._gateway.stats, self._gateway.load
        for field, names in COUNTERS.items():
            value: Any = getattr(stats, field)
            if names.label is None:
                yield core.CounterMetricFamily(names.name, names.help, value)
                continue
            family = core.CounterMetricFamily(names.name, names.help, labels=[names.label])
            # dict() copies in one step, whatever the event loop does meanwhile.
            counted = {str(key): count for key, count in dict(value).items()}
            for key, count in sorted((self._zeros.get(field, {}) | counted).items()):
                family.add_metric([key], count)
            yield family
        for field, names in HISTOGRAMS.items():
            value = getattr(stats, field)
            labels = [] if names.label is None else [names.label]
            classes = core.HistogramMetricFamily(names.name, names.help, labels=labels)
            for key, histogram in sorted(dict(value).items()) if labels else [(None, value)]:
                classes.add_metric([] if key is None else [key], _buckets(histogram), histogram.total)
            yield classes
        for field, (name, text) in GAUGES.items():
            yield core.GaugeMetricFamily(name, text, getattr(load, field))
        yield core.GaugeMetricFamily(
            "hubbub_ready", "1 while the node accepts sockets and its events reach everyone.", self._gateway.ready
        )


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    bounds = [*(str(float(bound)) for bound in histogram.bounds), "+Inf"]
    return list(zip(bounds, accumulate(histogram.counts), strict=True))


def _zeros(*keys: object) -> dict[str, int]:
    return dict.fromkeys(map(str, keys), 0)
