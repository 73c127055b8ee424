"""The table of attacks: ``python -m tests.attack_table``. One row for each place: how many attacks were tried, and how
many succeeded."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from tests.attacks import ATTACKS
from tests.sinks import SINKS, Sink, hits


def rows(sinks: list[Sink]) -> Iterator[tuple[str, int, int]]:
    for sink in sinks:
        yield sink.name, len(ATTACKS), sum(bool(hits(sink, text)) for text in ATTACKS.values())


def main() -> int:
    whole = 0
    print(f"{'place':30}  tried  hits")
    for name, tried, succeeded in rows(SINKS):
        print(f"{name:30}  {tried:5}  {succeeded:4}", flush=True)
        whole += succeeded
    print(f"{'all':30}  {len(SINKS) * len(ATTACKS):5}  {whole:4}")
    return 1 if whole else 0


if __name__ == "__main__":
    sys.exit(main())
