"""Write the main figures of the stored report into the README: `python -m benchmarks.readme`."""

from __future__ import annotations

import re
from typing import Final

from benchmarks.process import HERE
from benchmarks.report import number
from benchmarks.results import Results

README: Final = HERE.parent / "README.md"
REPORT: Final = HERE / "report" / "report.json"
SERVERS: Final = ("hubbub", "uws", "centrifugo", "socket.io", "fastapi", "channels-uvicorn", "python-socketio")
COLUMNS: Final = (
    ("broadcast-1000", "cpu", "one event to 1,000: CPU per delivery, µs"),
    ("bursts", "cpu", "20 events in one turn: the same, µs"),
    ("saturation", "deliveries", "most deliveries/s, p99 ≤ 200 ms"),
    ("connecting", "cpu", "connect with a JWT: CPU, µs"),
    ("connecting", "memory", "memory per socket, KB"),
)
BLOCK: Final = re.compile(r"(?<=<!-- benchmark -->\n).*(?=<!-- /benchmark -->)", re.DOTALL)


def table(results: Results) -> str:
    """Return the table that goes between the two comments in the README."""
    lines = [f"| | {' | '.join(title for _, _, title in COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for server in (name for name in SERVERS if name in results.servers):
        title = results.servers[server]
        found = [results.sections[key].outcomes[server].median(column) for key, column, _ in COLUMNS]
        cells = ["" if figure is None else number(figure) for figure in found]
        lines.append(f"| {f'**{title}**' if server == SERVERS[0] else title} | {' | '.join(cells)} |")
    return "\n".join(
        [
            *lines,
            "",
            "![Most deliveries a second to 1,000 sockets](benchmarks/report/saturation.svg)",
            "",
            "One process, one core, medians of five runs of `make bench`. [The report](benchmarks/report/report.md)",
            "has all figures and the missed goals. How it is measured: [docs/benchmarks.md](docs/benchmarks.md).",
            "",
        ]
    )


def main() -> None:
    """Write the table into the README."""
    results = Results.load(REPORT)
    if results is None:
        raise SystemExit("there is no stored report yet: run `make bench` first")
    README.write_text(BLOCK.sub(lambda _: table(results), README.read_text()))


if __name__ == "__main__":
    main()
