"""Bar charts as SVG, without a library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

WIDTH: Final = 760
ROW: Final = 30
LEFT: Final = 190
RIGHT: Final = 90
TOP: Final = 44
OURS: Final = "#d9480f"
THEIRS: Final = "#748ca6"

STYLE: Final = """
text { font: 13px system-ui, sans-serif; fill: #24292f; }
.title { font-weight: 600; }
.ours { font-weight: 600; }
.spread { stroke: #24292f; stroke-width: 1.5; }
.page { fill: #ffffff; }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3; } .spread { stroke: #e6edf3; } .page { fill: #0d1117; } }
"""


def bars(title: str, rows: Sequence[tuple[str, Sequence[float], bool]]) -> str:
    """Draw one bar per row of name, values and whether it is Hubbub. A bar is the median, its line the extremes."""
    height = TOP + ROW * len(rows) + 12
    longest = max(max(values) for _, values, _ in rows) or 1.0
    scale = (WIDTH - LEFT - RIGHT) / longest
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{height}" rx="6"/>',
        f'<text class="title" x="16" y="26">{escape(title)}</text>',
    ]
    for number, (name, values, is_ours) in enumerate(rows):
        ordered = sorted(values)
        median = ordered[len(ordered) // 2] if len(ordered) % 2 else sum(ordered[len(ordered) // 2 - 1 :][:2]) / 2
        middle = TOP + ROW * number + ROW / 2
        end = LEFT + median * scale
        low, high = LEFT + ordered[0] * scale, LEFT + ordered[-1] * scale
        emphasis = ' class="ours"' if is_ours else ""
        parts += [
            f'<text{emphasis} x="{LEFT - 10}" y="{middle + 4:.1f}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{LEFT}" y="{middle - 9:.1f}" width="{max(1.0, end - LEFT):.1f}" height="18" rx="2" '
            f'fill="{OURS if is_ours else THEIRS}"/>',
            f'<line class="spread" x1="{low:.1f}" x2="{high:.1f}" y1="{middle:.1f}" y2="{middle:.1f}"/>',
            f'<text{emphasis} x="{max(end, high) + 8:.1f}" y="{middle + 4:.1f}">{_short(median)}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _short(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:.2f} M"
    if value >= 1e4:
        return f"{value / 1e3:.0f} k"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
