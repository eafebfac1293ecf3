"""The results: every run of every server in every workload, stored as JSON for the next report to compare with."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self


@dataclass
class Outcome:
    """The runs of one server in one workload, in order, and the reason if there are none or fewer."""

    runs: list[dict[str, float]] = field(default_factory=list)
    failure: str = ""
    is_final: bool = False
    """Whether further runs would fail as well."""

    took: float = 0.0
    """Seconds that all its runs took together, set-up included."""

    def values(self, column: str) -> list[float]:
        """Return the values of one column, one per run that has it."""
        return [run[column] for run in self.runs if column in run]

    def median(self, column: str) -> float | None:
        """Return the median of a column, or None without values."""
        values = self.values(column)
        return statistics.median(values) if values else None


@dataclass
class Section:
    """One workload: its title and columns, and the outcomes by server name, in the order of the report."""

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
    """Their titles, by name."""

    versions: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    """Servers that could not take part, with the reason."""

    took: float = 0.0
    """Seconds of everything except installing."""

    checks: dict[str, float] = field(default_factory=dict)
    """Frames a second that the load generator itself can read."""

    sections: dict[str, Section] = field(default_factory=dict)

    def section_of(self, letter: str) -> list[Section]:
        """Return the sections of one letter in the list of workloads."""
        return [section for section in self.sections.values() if section.letter == letter]

    def save(self, file: Path) -> None:
        """Write everything as JSON."""
        file.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, file: Path) -> Self | None:
        """Read the results that `save` has written; return None if there is no file."""
        if not file.exists():
            return None
        raw: dict[str, Any] = json.loads(file.read_text())
        sections = {
            key: Section(**{**section, "outcomes": {n: Outcome(**o) for n, o in section["outcomes"].items()}})
            for key, section in raw.pop("sections").items()
        }
        return cls(**raw, sections=sections)


def ratios(ours: Outcome, theirs: Outcome, column: str) -> list[float]:
    """Return one ratio per pair of runs: those of one round happened one after the other."""
    pairs = zip(ours.values(column), theirs.values(column), strict=False)
    return [one / other for one, other in pairs if other]
