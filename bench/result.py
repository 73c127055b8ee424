"""The result of ``make bench-full``: the costs of each contender, and numbers computed from them, some with a target.

It is stored as JSON next to the page that shows it, so that the page can be made again without a measurement.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from bench.measure import Sample


class Cost(Struct, frozen=True):
    """The cost of one contender's whole processes, run by run."""

    case: str
    name: str
    samples: tuple[Sample, ...]

    def median(self, of: str = "wall") -> float:
        return float(statistics.median(getattr(sample, of) for sample in self.samples))


class Value(Struct, frozen=True):
    """A number, and its upper or lower bound."""

    case: str
    what: str
    number: float
    unit: str = ""
    bound: float | None = None
    limit: Literal["most", "least"] = "most"

    @property
    def kept(self) -> bool | None:
        """Whether the number meets its target; ``None`` without a target."""
        if self.bound is None:
            return None
        return self.number <= self.bound if self.limit == "most" else self.number >= self.bound


class Machine(Struct, frozen=True):
    """Where and when it was measured, and the versions of the peers that were installed."""

    date: str
    cores: int
    cpu: str
    hosts: int
    python: str
    peers: Mapping[str, str]


class Found(Struct):
    """The rows of some cases, in the order of the cases."""

    costs: list[Cost] = msgspec.field(default_factory=list)
    values: list[Value] = msgspec.field(default_factory=list)

    def add(self, case: str, found: Mapping[str, Sequence[Sample]]) -> None:
        """Add the costs of every contender."""
        self.costs += [Cost(case, name, tuple(samples)) for name, samples in found.items()]

    def __iadd__(self, other: Found) -> Found:
        self.costs += other.costs
        self.values += other.values
        return self

    def sorted(self) -> Found:
        """The rows by the letters of their cases; within a case, in the order of the measurement."""
        return Found(
            sorted(self.costs, key=lambda cost: cost.case[0]), sorted(self.values, key=lambda value: value.case[0])
        )


class Result(Struct, frozen=True):
    machine: Machine
    found: Found


def read(path: Path) -> Result:
    return msgspec.json.decode(path.read_bytes(), type=Result)


def write(path: Path, result: Result) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
