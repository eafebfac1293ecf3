"""The report: a page of Markdown with tables and plots, made from the results alone."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.goals import OURS, Verdict, verdicts
from benchmarks.plots import bars
from benchmarks.results import Outcome, Results, Section, ratios

HEADINGS: Final = {
    "cpu": "CPU, µs per {unit}",
    "subscribe": "CPU, µs per subscribe",
    "p50": "p50, ms",
    "p99": "p99, ms",
    "p999": "p99.9, ms",
    "rate": "events/s",
    "deliveries": "deliveries/s",
    "core": "% of a core",
    "memory": "memory, MB",
    "seconds": "seconds",
    "sockets": "sockets",
    "client": "load generator busy",
}
MIN_CHANGE: Final = 0.1
"""The smallest change since the last report that is listed."""


def write(results: Results, folder: Path, before: Results | None) -> Path:
    """Write `report.md`, a plot per workload and `report.json`; return the path of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "report.md"
    page.write_text("\n".join(_page(results, folder, before)) + "\n")
    results.save(folder / "report.json")
    return page


def _page(results: Results, folder: Path, before: Results | None) -> Iterator[str]:
    yield "# Hubbub and its peers, measured side by side\n"
    yield f"{results.when}, {results.mode} mode, `make bench`.\n"
    yield "How it is measured, and what to take from it: [docs/benchmarks.md](../../docs/benchmarks.md).\n"
    yield "Machine: " + ", ".join(f"{name} {value}" for name, value in results.machine.items()) + ".\n"
    yield "Each figure: the median of the runs, and their extremes in brackets. The servers took turns.\n"
    yield "## What it must show\n"
    yield from _verdicts(list(verdicts(results)))
    for key, section in results.sections.items():
        yield f"\n## ({section.letter}) {section.title}\n"
        plotted = main_column(section)
        rows = [
            (results.servers[name], outcome.values(plotted), name == OURS)
            for name, outcome in section.outcomes.items()
            if outcome.values(plotted)
        ]
        if rows:
            (folder / f"{key}.svg").write_text(bars(heading(section, plotted), rows))
            yield f"![{heading(section, plotted)}]({key}.svg)\n"
        yield from _table(results, section)
    if before is not None:
        yield from _comparison(results, before)
    yield "\n## Who took part\n"
    yield from (f"- {results.servers[name]}: {version}" for name, version in results.versions.items())
    yield from (f"- **not measured**: {title}: {reason}" for title, reason in results.absent.items())
    yield "\n## How long it took\n"
    seconds = (
        f"({section.letter}) {sum(outcome.took for outcome in section.outcomes.values()):.0f}"
        for section in results.sections.values()
    )
    yield f"{results.took / 60:.1f} minutes; in seconds, of all servers together: {', '.join(seconds)}."
    yield "The rest is starting and connecting them.\n"
    yield "\n## The load generator\n"
    yield from _load_generator(results)


def main_column(section: Section) -> str:
    """Return the column that is plotted and compared."""
    return next(name for name in ("deliveries", "core", "cpu") if name in section.columns)


def heading(section: Section, column: str) -> str:
    """Return the heading of a column."""
    if column == "memory" and section.letter == "e":
        return "memory, KB per socket"
    return HEADINGS[column].format(unit=section.unit)


def number(value: float) -> str:
    """Write a figure with three significant digits."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _verdicts(found: Sequence[Verdict]) -> Iterator[str]:
    yield "| | goal | found | |"
    yield "|---|---|---|---|"
    for verdict in found:
        value = "not measured" if verdict.found is None else _spread(verdict.found, verdict.values)
        status = {True: "met", False: "**missed**", None: ""}[verdict.met]
        yield f"| {verdict.what} | {verdict.goal} | {value} | {status} |"


def _spread(median: float, values: Sequence[float]) -> str:
    return f"{number(median)} ({number(min(values))} to {number(max(values))})"


def _table(results: Results, section: Section) -> Iterator[str]:
    columns = [name for name in section.columns if name != "client"]
    plotted = main_column(section)
    ours = section.outcomes.get(OURS, Outcome())
    yield "| server | " + " | ".join(heading(section, column) for column in columns) + " | ÷ Hubbub |"
    yield "|---|" + "---|" * (len(columns) + 1)
    for name, outcome in section.outcomes.items():
        cells = [_cell(outcome, column) for column in columns]
        to_ours = ratios(outcome, ours, plotted)
        cells.append("" if name == OURS or not to_ours else number(statistics.median(to_ours)))
        title = f"**{results.servers[name]}**" if name == OURS else results.servers[name]
        yield f"| {title} | " + " | ".join(cells) + " |"
    max_runs = max((len(outcome.runs) for outcome in section.outcomes.values()), default=0)
    for name, outcome in section.outcomes.items():
        if outcome.failure:
            runs = f"{len(outcome.runs)} runs counted" if outcome.runs else "not measured"
            yield f"\n{results.servers[name]}: {runs}; {outcome.failure[:300]}"
        elif len(outcome.runs) < max_runs:
            yield f"\n{results.servers[name]}: {len(outcome.runs)} runs, as these took {outcome.took:.0f} s"


def _cell(outcome: Outcome, column: str) -> str:
    values = outcome.values(column)
    return _spread(statistics.median(values), values) if values else "-"


def _comparison(results: Results, before: Results) -> Iterator[str]:
    yield f"\n## Since the last report ({before.when}, {before.mode} mode)\n"
    changes = list(_changes(results, before))
    if not changes:
        yield f"No figure of Hubbub has moved by {MIN_CHANGE:.0%} and out of its spread."
        return
    yield "Figures of Hubbub that have moved out of their spread; bare C is the machine's own change.\n"
    yield "| workload | figure | then | now | change | of bare C |"
    yield "|---|---|---|---|---|---|"
    yield from changes


def _changes(results: Results, before: Results) -> Iterator[str]:
    for key, section in results.sections.items():
        old = before.sections.get(key)
        if old is None or OURS not in section.outcomes or OURS not in old.outcomes:
            continue
        for column in section.columns:
            then, now = old.outcomes[OURS].values(column), section.outcomes[OURS].values(column)
            if not then or not now or column in ("client", "rate", "sockets") or not statistics.median(then):
                continue
            change = statistics.median(now) / statistics.median(then) - 1
            if abs(change) < MIN_CHANGE or (min(now) <= max(then) and max(now) >= min(then)):
                continue
            floors = [run.outcomes.get("floor", Outcome()).median(column) for run in (old, section)]
            floor = f"{floors[1] / floors[0] - 1:+.0%}" if floors[0] and floors[1] else ""
            cells = (number(statistics.median(then)), number(statistics.median(now)), f"{change:+.0%}", floor)
            yield f"| ({section.letter}) {section.title} | {heading(section, column)} | " + " | ".join(cells) + " |"


def _load_generator(results: Results) -> Iterator[str]:
    checks = results.checks
    if checks:
        yield (
            f"One core of it reads {checks['joined'] / 1e6:.1f} million frames a second where they come joined, "
            f"{checks['single'] / 1e3:,.0f} thousand where each comes by itself (sent by bare C, nothing lost).\n"
        )
    busy = [
        (max(values), f"{results.servers[name]} in ({section.letter})")
        for section in results.sections.values()
        for name, outcome in section.outcomes.items()
        if (values := outcome.values("client"))
    ]
    if busy:
        highest, run = max(busy)
        yield f"The busiest it was during a run: {highest:.0%} of its core, with {run}."
        over = sorted({run for load, run in busy if load > 0.9})
        if over:
            yield "\nOver 90 %, so that these figures say as much of it as of the server: " + ", ".join(over) + "."
