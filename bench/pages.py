"""``python -m bench.pages``: write the tables of ``docs/performance.md``, and the times in the comparisons with the
peers, from the stored result."""

from __future__ import annotations

import re
from pathlib import Path

from bench import plot
from bench.measure import ROOT
from bench.result import Cost, Found, Machine, Result, Value, read

BEGIN, END = "<!-- tables: made by make bench-full -->", "<!-- end of the tables -->"
RESULT = ROOT / "docs/performance.json"
PAGE, PICTURE = ROOT / "docs/performance.md", ROOT / "docs/performance.svg"
#: Pages that compare provision with its peers: page -> words of a row's first cell, and its case.
COMPARISONS: dict[Path, dict[str, str]] = {
    ROOT / "README.md": {"nothing to do": "a", "one key changed": "b, reload"},
    ROOT / "README.zh.md": {"无变更": "a", "修改一个配置项": "b, reload"},
    ROOT / "docs/concepts/comparison.md": {"nothing to do": "a", "one key changed": "b, reload"},
}
#: The columns of these rows.
_CONTENDERS = ("provision", "ansible", "pyinfra")
#: Values that are the wall time of a contender, with the contender's name in the picture.
_TIMES = {
    "provision, whole process": "provision",
    "package transactions of the slowest host": "package transactions",
}


def tables(result: Result) -> str:
    found = result.found.sorted()
    costs = "".join(_row(_cost(cost)) for cost in found.costs)
    values = "".join(_row(_value(value)) for value in found.values)
    return (
        f"{_machine(result.machine)}\n\n"
        "| case | contender | wall | CPU here | peak | on the wire |\n| --- | --- | --- | --- | --- | --- |\n"
        f"{costs}\n| case | | measured | target | |\n| --- | --- | --- | --- | --- |\n{values}"
    )


def _row(cells: tuple[str, ...]) -> str:
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells) + "\n"


def written(page: str, result: Result) -> str:
    """``page`` with the tables between its two markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{tables(result)}\n{END}{after}"


def compared(page: str, rows: dict[str, str], found: Found) -> str:
    """``page`` with the median times of its ``rows``. Raises ``ValueError`` for a row that the page does not have."""
    medians = {(cost.case, cost.name): cost.median() for cost in found.costs}
    for words, case in rows.items():
        row = re.compile(rf"^(\|[^|]*{re.escape(words)}[^|]*\|)(?: [^|]+ \|){{3}}", re.MULTILINE)
        times = "".join(f" {seconds(medians[case, name])} |" for name in _CONTENDERS)
        page, count = row.subn(rf"\g<1>{times}", page)
        if count != 1:
            raise ValueError(f"the page has {count} rows with {words!r}")
    return page


def picture(found: Found) -> str:
    bars = [(cost.case, cost.name, cost.median()) for cost in found.costs]
    bars += [(value.case, _TIMES[value.what], value.number) for value in found.values if value.what in _TIMES]
    return plot.svg(bars)


def text(found: Found) -> str:
    """The same rows, for a terminal."""
    lines = [("case", "contender", "wall", "CPU here", "peak", "on the wire"), *map(_cost, found.costs)]
    values = [("case", "", "measured", "target", ""), *map(_value, found.values)]
    return f"{_columns(lines)}\n\n{_columns(values)}"


def _columns(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _machine(machine: Machine) -> str:
    peers = ", ".join(f"{name} {version}" for name, version in sorted(machine.peers.items()))
    return (
        f"Of {machine.date}: {machine.cores} cores ({machine.cpu}), {machine.hosts} hosts on Debian 13,\n"
        f"Python {machine.python}, {peers}; medians."
    )


def _cost(cost: Cost) -> tuple[str, ...]:
    cpu, peak, wire = (cost.median(of) for of in ("cpu", "peak", "wire"))
    return cost.case, cost.name, seconds(cost.median()), f"{cpu:.2f} s", f"{peak:.0f} MB", _wire(wire)


def _value(value: Value) -> tuple[str, ...]:
    sign = "≤" if value.limit == "most" else "≥"
    target = "" if value.bound is None else f"{sign} {value.bound:g} {value.unit}".strip()
    word = {None: "", True: "kept", False: "**missed**"}[value.kept]
    return value.case, value.what, f"{value.number:.3g} {value.unit}".strip(), target, word


def seconds(value: float) -> str:
    if value < 0.1:
        return f"{value * 1000:.0f} ms"
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def _wire(kilobytes: float) -> str:
    if not round(kilobytes):
        return ""
    return f"{kilobytes:.0f} KB" if kilobytes < 10_000 else f"{kilobytes / 1000:.1f} MB"


def publish(result: Result) -> None:
    """Write the page, its picture, and the times of the comparisons."""
    PAGE.write_text(written(PAGE.read_text(), result))
    PICTURE.write_text(picture(result.found))
    for path, rows in COMPARISONS.items():
        path.write_text(compared(path.read_text(), rows, result.found))


if __name__ == "__main__":
    publish(read(RESULT))
