"""Connections and execs that a command costs a host, as logged by the hosts' own sshd."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from bench.measure import Contender, once
from provision.lab.labs import Lab


def cost(lab: Lab, names: Sequence[str], contender: Contender) -> tuple[float, float]:
    """Connections and execs per host of one run."""
    before = _logged(lab, names)
    once(contender)
    after = _logged(lab, names)
    # One connection and one exec of the difference are the bench's own query.
    connections, execs = (sum(b[of] - a[of] - 1 for a, b in zip(before, after, strict=True)) for of in (0, 1))
    return connections / len(names), execs / len(names)


def _logged(lab: Lab, names: Sequence[str]) -> list[tuple[int, int]]:
    """The counts in each host's log until now, including the query itself."""
    count = "grep -c 'Accepted publickey'; journalctl -q -o cat | grep -c 'Starting session: command'"

    def ask(name: str) -> tuple[int, int]:
        argv = [*lab.ssh(name), f"journalctl -q -o cat | {count}"]
        words = subprocess.run(argv, capture_output=True, check=True).stdout.split()
        return int(words[0]), int(words[1])

    with ThreadPoolExecutor(max_workers=4) as pool:
        return list(pool.map(ask, names))
