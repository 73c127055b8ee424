"""How many worker processes a run has. A run on few hosts does not import the workers."""

from __future__ import annotations

import os
import sys

#: By default a second process starts above ``ABOVE`` hosts, and each process has at least ``HOSTS`` hosts.
ABOVE, HOSTS = 100, 50
#: By default each process has at least this number of concurrent hosts.
_PLACES = 4


def suitable(wanted: int | None, hosts: int, forks: int) -> int:
    """The number of worker processes; one means that the controller's own threads process the hosts. ``wanted`` is the
    operator's number, ``None`` for the default."""
    if wanted is not None:
        return max(1, min(wanted, hosts, forks))
    # Libraries of macOS do not survive a fork without an exec (docs.python.org, multiprocessing).
    if hosts <= ABOVE or sys.platform == "darwin":
        return 1
    return max(1, min(_cores(), hosts // HOSTS, forks // _PLACES))


def _cores() -> int:
    """The cores that this process may use (sched_setaffinity(2))."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
