"""What was found: every run of every server in every workload; kept as JSON for the next report to compare with."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self


@dataclass
class Outcome:
    """The runs of one server in one workload, in order; and why there are none, or fewer, where that is so."""

    runs: list[dict[str, float]] = field(default_factory=list)
    failure: str = ""
    is_final: bool = False
    """Whether it is known that no run will be any better."""

    took: float = 0.0
    """Seconds, of all its runs together, with what came before and after each."""

    def values(self, column: str) -> list[float]:
        """Gives what the runs found in one column."""
        return [run[column] for run in self.runs if column in run]

    def median(self, column: str) -> float | None:
        """Gives the median of a column, None where nothing was found."""
        values = self.values(column)
        return statistics.median(values) if values else None


@dataclass
class Section:
    """One workload: its words, and the outcomes by server name, in the order of the report."""

    letter: str
    title: str
    unit: str
    columns: list[str]
    outcomes: dict[str, Outcome] = field(default_factory=dict)


@dataclass
class Results:
    """One run of the benchmark."""

    when: str
    mode: str
    machine: dict[str, str]
    servers: dict[str, str] = field(default_factory=dict)
    """Titles by name."""

    versions: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    """Who could not take part, and why."""

    took: float = 0.0
    """Seconds, of everything but installing."""

    checks: dict[str, float] = field(default_factory=dict)
    """What was measured of the load generator itself."""

    sections: dict[str, Section] = field(default_factory=dict)

    def section_of(self, letter: str) -> list[Section]:
        """Gives the sections of one letter of the list of workloads."""
        return [section for section in self.sections.values() if section.letter == letter]

    def save(self, file: Path) -> None:
        """Writes everything as JSON."""
        file.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, file: Path) -> Self | None:
        """Reads what ``save`` has written; gives None where there is nothing."""
        if not file.exists():
            return None
        raw: dict[str, Any] = json.loads(file.read_text())
        sections = {
            key: Section(**{**section, "outcomes": {n: Outcome(**o) for n, o in section["outcomes"].items()}})
            for key, section in raw.pop("sections").items()
        }
        return cls(**raw, sections=sections)


def ratios(ours: Outcome, theirs: Outcome, column: str) -> list[float]:
    """Gives one ratio per pair of runs: those of one round happened side by side."""
    pairs = zip(ours.values(column), theirs.values(column), strict=False)
    return [one / other for one, other in pairs if other]
