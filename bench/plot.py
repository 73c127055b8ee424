"""The comparison as a picture: bars of wall time by case, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

_WIDTH, _LEFT, _BAR = 820, 290, 16
#: The first words of the peers' bars, and the bars that are the least time that a tool over SSH needs. All others are
#: provision's.
_PEERS = ("ansible", "fabric", "pyinfra")
_FLOOR = ("login + true", "login + reload", "docker's own restart", "package transactions", "python -c pass")
#: Colours with a contrast of at least 3 to 1 (text: 4.5) on the light and on the dark background. A browser takes the
#: scheme of the page around the picture (CSS Color Adjustment 1, 2.4).
_STYLE = """\
<style>
.page { fill: #fff; } text { fill: #1c1e21; }
.provision { fill: #1a7f5a; } .peer { fill: #c06a25; } .floor { fill: #7d828b; }
@media (prefers-color-scheme: dark) {
.page { fill: #1e2129; } text { fill: #e2e4e9; }
.provision { fill: #3fb98a; } .peer { fill: #e09a5f; } .floor { fill: #9aa0aa; }
}
</style>
"""


def kind(name: str) -> str:
    """Whose bar it is: ``provision``, ``peer`` or ``floor``."""
    if name in _FLOOR:
        return "floor"
    return "peer" if name.partition(",")[0].split()[0] in _PEERS else "provision"


def svg(rows: Sequence[tuple[str, str, float]]) -> str:
    """``rows`` are ``(case, contender, seconds)``."""
    bars = sorted(rows, key=lambda bar: bar[0][0])  # c is measured last
    lowest = min(value for _, _, value in bars) / 2
    highest = max(value for _, _, value in bars) * 1.2
    room = _WIDTH - _LEFT - 80

    def long(value: float) -> float:
        return room * (math.log10(value) - math.log10(lowest)) / (math.log10(highest) - math.log10(lowest))

    parts, y, last = [], 30, ""
    for case, name, value in bars:
        if case != last:
            y += 14
            parts.append(f'<text x="8" y="{y + 12}" font-weight="600">{escape(case)}</text>')
            last = case
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 12}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect x="{_LEFT}" y="{y}" width="{long(value):.1f}" height="{_BAR - 3}" class="{kind(name)}"/>')
        parts.append(f'<text x="{_LEFT + long(value) + 5:.1f}" y="{y + 12}">{_time(value)}</text>')
        y += _BAR
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{y + 20}" viewBox="0 0 {_WIDTH} {y + 20}"'
        ' font-family="system-ui, sans-serif" font-size="12" role="img">'
        "<title>Wall time of whole processes, medians, on a logarithmic scale</title>"
        f'{_STYLE}<rect width="100%" height="100%" class="page"/>'
        f'<text x="8" y="20">Wall time, medians, logarithmic scale (make bench-full)</text>'
    )
    return head + "\n".join(parts) + "</svg>\n"


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{seconds * 1000:.0f} ms"
