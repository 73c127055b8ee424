"""A share of the hosts: a number or a percentage."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """A number of hosts, or a percentage of them (rounded down)."""

    amount: int
    percent: bool = False

    def of(self, total: int) -> int:
        return total * self.amount // 100 if self.percent else self.amount


#: All hosts at once.
ALL = Share(100, percent=True)
