"""The table of ``docs/distributions.md``, made from the rows: ``python -m provision.distros.pages FILE``."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

from provision.distros.flavours import IMAGE
from provision.distros.table import Distribution, rows

BEGIN, END = "<!-- distributions: made by make docs -->", "<!-- end of distributions -->"
_HEAD = "| distribution | versions | engine's packages | tested |\n| --- | --- | --- | --- |\n"
_WORDS = {"run": "run for real"}


def table() -> str:
    """One line for each row of the table, or for several rows that differ only in their versions."""
    lines = []
    for _, group in groupby(rows(), key=lambda row: (row.id, row.name, row.tested, row.note)):
        same = list(group)
        tested = _WORDS.get(same[0].tested, same[0].tested)
        cells = (
            same[0].name,
            _versions(same),
            _packages(same),
            f"{tested}: {same[0].note}" if same[0].note else tested,
        )
        lines.append(f"| {' | '.join(cells)} |\n")
    return _HEAD + "".join(lines)


def _versions(same: list[Distribution]) -> str:
    oldest, newest = same[-1], same[0]
    if newest.below:
        return f"from {oldest.minimum}, before {newest.below}"
    return f"from {oldest.minimum}" if oldest.minimum else "any"


def _packages(same: list[Distribution]) -> str:
    if same[0].flavour == IMAGE:
        return "none: `source: installed`"
    directories = ", ".join(dict.fromkeys(f"`{row.docker}`" for row in same if row.docker))
    found = [f"Docker's ({directories})"] if directories else []
    found += ["its own"] if same[0].engine else []
    return ", or ".join(found)


def written(text: str) -> str:
    """``text`` with the table between its two markers."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}{END}{after}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(written(path.read_text()))
