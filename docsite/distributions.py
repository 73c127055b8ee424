"""The pages that are made from the rows and from the evidence: the table of ``docs/distributions.md``, and
``docs/certified.md`` with a summary of each file of evidence. ``python -m docsite.distributions DOCS EVIDENCE``
writes both."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from provision.distros import IMAGE, find
from provision.distros.table import Distribution, rows
from tools.certify.evidence import KINDS, Evidence, read_all
from tools.certify.summary import summary

#: The pages, below the directory of the documentation.
TABLE, CERTIFIED = "distributions.md", "certified.md"
BEGIN, END = "<!-- distributions: made by make docs -->", "<!-- end of distributions -->"
_HEAD = "| distribution | versions | engine's packages | tested |\n| --- | --- | --- | --- |\n"
_CERTIFIED_HEAD = """\
# Certified hosts

Each section is the summary of one file in `evidence/`, which `python -m tools.certify` has written on a host
([how to contribute one](guides/evidence.md)). The claims of [Distributions](distributions.md) follow from these files.
This page is made by `make docs`.
"""


def table(evidence: Sequence[Evidence]) -> str:
    """One line for each row of the table, or for several rows that differ only in their versions."""
    lines = []
    for _, group in groupby(rows(), key=lambda row: (row.id, row.name, row.tested, row.note)):
        same = list(group)
        shown = claims([one for one in evidence if _row(one) in same], CERTIFIED)
        tested = f"{shown}; " if shown else f"{same[0].tested}: "
        cells = (same[0].name, _versions(same), _packages(same), (tested + same[0].note).rstrip("; :"))
        lines.append(f"| {' | '.join(cells)} |\n")
    return _HEAD + "".join(lines)


def _versions(same: list[Distribution]) -> str:
    oldest, newest = same[-1], same[0]
    if newest.below:
        return f"from {oldest.minimum}, before {newest.below}"
    return f"from {oldest.minimum}" if oldest.minimum else "any"


def _packages(same: list[Distribution]) -> str:
    if same[0].family == IMAGE:
        return "none: `source: installed`"
    directories = ", ".join(dict.fromkeys(f"`{row.docker}`" for row in same if row.docker))
    found = [f"Docker's ({directories})"] if directories else []
    found += ["its own"] if same[0].engine else []
    return ", or ".join(found)


def _row(evidence: Evidence) -> Distribution | None:
    return find(evidence.distribution.id, evidence.distribution.version)


def claims(found: Iterable[Evidence], page: str) -> str:
    """What evidence shows about a distribution, as a cell of a table; the best kind first. Empty where it shows
    nothing. ``page`` has the summaries."""
    words = {"machine": "run for real", "container": "run in a container", "look-alike": "look-alike"}
    proofs = [one for one in found if one.proves]
    parts = []
    for kind in KINDS:
        links = [f"[{_of(one)}]({page}#{anchor(one)})" for one in proofs if one.system.kind == kind]
        parts += [f"{words[kind]}: {', '.join(links)}"] if links else []
    return "; ".join(parts)


def anchor(evidence: Evidence) -> str:
    """The anchor of its heading in a page that mkdocs makes: its toc leaves out all but letters, digits, _ and -."""
    return re.sub(r"[^\w\s-]", "", evidence.file).lower()


def _of(evidence: Evidence) -> str:
    version = evidence.distribution.version or "rolling"
    return version if evidence.engine.source == "docker" else f"{version}, {evidence.engine.source} engine"


def unknown(evidence: Sequence[Evidence]) -> list[str]:
    """The files of evidence whose distribution is not in the table."""
    return [one.file for one in evidence if _row(one) is None]


def written(text: str, evidence: Sequence[Evidence]) -> str:
    """``text`` with the table between its two markers."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(evidence)}{END}{after}"


def certified(evidence: Sequence[Evidence]) -> str:
    """The page of all evidence."""
    return "\n".join([_CERTIFIED_HEAD, *(summary(one, 2) for one in evidence)])


if __name__ == "__main__":
    docs, found = Path(sys.argv[1]), read_all(Path(sys.argv[2]))
    (docs / TABLE).write_text(written((docs / TABLE).read_text(), found))
    (docs / CERTIFIED).write_text(certified(found))
