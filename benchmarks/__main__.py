"""Compare Hubbub with its peers: `make bench`, or `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import machine, report
from benchmarks.contenders import CONTENDERS_OF_QUICK_MODE, available
from benchmarks.goals import verdicts
from benchmarks.install import install
from benchmarks.layout import Crowd
from benchmarks.process import BUILD, HERE, run_as_script
from benchmarks.results import Results
from benchmarks.servers import Floor, Publication
from benchmarks.stages import FULL, QUICK, Stage, redis_server, stages


def main() -> None:
    """Measure all servers, and write the report."""
    options = _options()
    console = Console()
    scale = QUICK if options.quick else FULL
    scale = replace(scale, runs=options.runs or scale.runs)
    if scale.sockets > machine.max_sockets():
        possible = machine.max_sockets() // 100 * 100
        console.print(f"This machine allows {possible:,} sockets a process, not {scale.sockets:,}.")
        scale = replace(scale, sockets=possible, gathered=min(scale.gathered, possible))
    missing = install()
    contenders, absent = available()
    if options.servers:
        contenders = [one for one in contenders if one.name in options.servers]
    elif options.quick:
        left_out = [one for one in contenders if one not in CONTENDERS_OF_QUICK_MODE]
        absent |= {one.title: "the quick mode leaves it out" for one in left_out}
        contenders = [one for one in contenders if one not in left_out]
    results = Results(
        when=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        mode="quick" if options.quick else "full",
        machine=machine.describe(),
        servers={contender.name: contender.title for contender in contenders},
        versions={contender.name: contender.version() for contender in contenders},
        absent={**missing, **absent},
    )
    folder = options.output or (BUILD / "report" if options.quick else HERE / "report")
    before, started_at = Results.load(folder / "report.json"), time.monotonic()
    with redis_server() as redis:
        try:
            _measure(results, stages(scale, redis, contenders), options.only, scale.runs, console)
        except SystemExit:
            results.took = time.monotonic() - started_at
            unfinished = report.write(results, BUILD / "report-unfinished", None)
            console.print(f"\nStopped. The report so far: {unfinished}")
            raise
    results.took = time.monotonic() - started_at
    page = report.write(results, folder, before)
    for verdict in verdicts(results):
        found = "not measured" if verdict.found is None else report.number(verdict.found)
        colour = {True: "green", False: "red", None: "yellow"}[verdict.met]
        console.print(f"[{colour}]{found:>12}[/]  {verdict.goal:<10} {verdict.what}", highlight=False)
    console.print(f"\n{page}")


def _measure(
    results: Results,
    planned: Sequence[Stage],
    only: Sequence[str],
    runs: int,
    console: Console,
) -> None:
    for stage in planned:
        stage.workloads = [work for work in stage.workloads if not only or is_selected(work.key, work.letter, only)]
    with ExitStack() as stack:
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        progress = stack.enter_context(Progress(*columns, console=console))
        task = progress.add_task("", total=sum(stage.steps(runs) for stage in planned) + 1)

        def step(description: str) -> None:
            progress.update(task, advance=1, description=description)

        step("The load generator itself")
        results.checks = load_generator_speed()
        for stage in planned:
            if stage.workloads:
                stage.run(runs, results, step)


def is_selected(key: str, letter: str, only: Sequence[str]) -> bool:
    """Return whether `--only` names a workload, by its letter or its name."""
    return letter in only or key in only or key.rpartition("-")[0] in only


def load_generator_speed() -> dict[str, float]:
    """Return the frames that the load generator reads per second of its CPU; bare C sends, and nothing may be lost."""
    checks = {}
    with Floor(Crowd(1000)) as floor:
        floor.connect(1000)
        for name, count, burst in (("single", 50, 1), ("joined", 2000, 100)):
            publication = Publication(count, 0.02, 1000, burst=burst)
            floor.client.expect(publication.deliveries, floor.protocol.event)
            floor.send(publication, joined=True)
            report_of_client = floor.client.wait_for_expected()
            checks[name] = publication.deliveries / report_of_client["cpu_seconds"]
    return checks


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="under two minutes: fewer servers, two short runs")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORKLOAD", help="by letter or name: a b2 rooms ...")
    parser.add_argument("--servers", nargs="+", default=[], metavar="NAME", help="hubbub floor uws ws ws-bare ...")
    parser.add_argument("--runs", type=int, help="instead of 5, or 2 in quick mode")
    parser.add_argument("--output", type=Path, help="instead of benchmarks/report, or build/report in quick mode")
    return parser.parse_args()


if __name__ == "__main__":
    run_as_script(main)
