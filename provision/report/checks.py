"""The results of a verification as a table: a row per check, a column per host."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from provision.report.shown import Shown
from provision.report.style import Style, plain


def matrix(checks: list[Shown], hosts: list[str], width: int, style: Style = plain) -> Iterator[str]:
    """Checks of one test (for example one for each file) share a row: ``ok``, ``2/3`` passed, ``-`` nothing to check.

    A block has as many hosts as fit into ``width``, then the next block follows.
    """
    cells: dict[tuple[str, str], dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for event in checks:
        check = (str(event.data["suite"]), str(event.data["check"]).partition(" ")[0])
        cells[check][event.host][str(event.data["outcome"])] += 1
    if not cells:
        return
    head = max(len(suite) + 2 + len(name) for suite, name in cells)
    columns = [host for host in hosts if any(host in row for row in cells.values())]
    room = max([5, *(len(host) for host in columns)]) + 2
    block = max(1, (width - head) // room)
    for start in range(0, len(columns), block):
        shown = columns[start : start + block]
        yield " " * head + "".join(f"{host:>{room}}" for host in shown)
        for (suite, name), row in sorted(cells.items(), key=lambda cell: cell[0][0]):
            yield f"{suite}: {name}".ljust(head) + "".join(_cell(row[host], room, style) for host in shown)
        yield ""


def _cell(found: Counter[str], room: int, style: Style) -> str:
    bad, good = found["failed"], found["passed"]
    if bad:
        return style(f"{f'{good}/{good + bad}':>{room}}", "failed")
    return style(f"{'ok':>{room}}", "ok") if good else f"{'-':>{room}}"
