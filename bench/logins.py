"""Connections and execs that a command costs a host, as logged by the hosts' own sshd."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bench.measure import Contender, Sample, once
from provision.lab.labs import Lab


@dataclass(frozen=True, slots=True)
class Logins:
    """Connections and execs per host of one run, and the cost of that run."""

    connections: float
    execs: float
    sample: Sample


def cost(lab: Lab, names: Sequence[str], contender: Contender) -> Logins:
    before = _logged(lab, names)
    sample = once(contender)
    after = _logged(lab, names)
    # The bench's own query adds one connection and one exec to the difference.
    connections, execs = (sum(b[of] - a[of] - 1 for a, b in zip(before, after, strict=True)) for of in (0, 1))
    return Logins(connections / len(names), execs / len(names), sample)


def _logged(lab: Lab, names: Sequence[str]) -> list[tuple[int, int]]:
    """The counts in each host's log until now, including the query itself."""
    count = "grep -c 'Accepted publickey'; journalctl -q -o cat | grep -c 'Starting session: command'"

    def ask(name: str) -> tuple[int, int]:
        argv = [*lab.ssh(name), f"journalctl -q -o cat | {count}"]
        words = subprocess.run(argv, capture_output=True, check=True).stdout.split()
        return int(words[0]), int(words[1])

    with ThreadPoolExecutor(max_workers=4) as pool:
        return list(pool.map(ask, names))
