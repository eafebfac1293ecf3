"""The goals of the benchmark: ratios within one run, and a few figures."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from benchmarks.results import Outcome, Results, Section, ratios

OURS: Final = "hubbub"
PYTHON: Final = ("fastapi", "channels-uvicorn", "channels-daphne", "chanx", "python-socketio")
PEERS: Final = ("uws", "ws", "centrifugo", "socket.io", *PYTHON)


class Verdict(NamedTuple):
    """One goal, the measured value, and whether it is met; None if it could not be measured."""

    what: str
    goal: str
    found: float | None
    values: Sequence[float]
    met: bool | None


class Goal(NamedTuple):
    """The most that a column may be: Hubbub's own figure, or divided by another server's."""

    letter: str
    column: str
    maximum: float
    what: str
    other: str = ""
    unit: str = ""


GOALS: Final = (
    Goal("a", "cpu", 1.2, "CPU per delivery", "floor"),
    Goal("a", "cpu", 1.1, "CPU per delivery", "uws"),
    Goal("b", "cpu", 0.12, "CPU per delivery", "floor"),
    Goal("b2", "cpu", 0.35, "CPU per delivery", "floor"),
    Goal("b2", "p99", 15.0, "p99 latency", unit=" ms"),
    Goal("c", "cpu", 0.5, "CPU per delivery", "socket.io"),
    Goal("d", "cpu", 0.5, "CPU per delivery", "socket.io"),
    Goal("e", "cpu", 2.0, "CPU per connect", "ws-bare"),
    Goal("e", "memory", 5.5, "memory per socket", unit=" KB"),
    Goal("e", "memory", 1.0, "memory per socket (stretch: 0.9)", "ws-bare"),
    Goal("f", "core", 2.0, "of a core", unit=" %"),
)
MIN_RATIO_TO_BEST_PEER: Final = 3.0
"""The least that saturation may be, divided by the best peer's."""

MAX_RATIO_TO_PYTHON: Final = 0.5
"""The most that the CPU of any workload may be, divided by any Python peer's."""


def verdicts(results: Results) -> Iterator[Verdict]:
    """Compare a run of the benchmark with the goals."""
    for section in results.section_of("b3"):
        yield _best_peer(section, "deliveries", MIN_RATIO_TO_BEST_PEER)
    for goal in GOALS:
        yield from (_judge(section, goal) for section in results.section_of(goal.letter))
    for section in results.sections.values():
        if "cpu" in section.columns and section.letter != "b3":
            goal = Goal(section.letter, "cpu", MAX_RATIO_TO_PYTHON, f"CPU per {section.unit}")
            yield from (_judge(section, goal._replace(other=peer)) for peer in PYTHON if peer in section.outcomes)


def _judge(section: Section, goal: Goal) -> Verdict:
    ours = section.outcomes.get(OURS, Outcome())
    values = ours.values(goal.column)
    what = f"({section.letter}) {section.title}: {goal.what}"
    if goal.other:
        values = ratios(ours, section.outcomes.get(goal.other, Outcome()), goal.column)
        what += f" ÷ {goal.other}"
    found = statistics.median(values) if values else None
    return Verdict(
        what, f"≤ {goal.maximum:g}{goal.unit}", found, values, None if found is None else found <= goal.maximum
    )


def _best_peer(section: Section, column: str, minimum: float) -> Verdict:
    medians = {name: section.outcomes.get(name, Outcome()).median(column) or 0.0 for name in PEERS}
    best = max(PEERS, key=lambda name: medians[name])
    values = ratios(section.outcomes.get(OURS, Outcome()), section.outcomes.get(best, Outcome()), column)
    found = statistics.median(values) if values else None
    what = f"({section.letter}) {section.title}: ÷ the best peer, {best}"
    return Verdict(what, f"≥ {minimum:g}", found, values, None if found is None else found >= minimum)
