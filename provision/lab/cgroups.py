"""A control group per lab host, on either version of the kernel's interface.

On version 1 (still in use on some build machines) each controller has a separate tree. A process must be added to the
group in each tree. A new group's cpuset is empty until it is copied from its parent (cgroups/v1 cpusets, kernel
documentation). On version 2 one group is enough.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def version() -> int:
    """2 where ``/sys/fs/cgroup`` is the unified tree, else 1."""
    return 2 if (ROOT / "cgroup.controllers").exists() else 1


def driver() -> str:
    """The ``native.cgroupdriver`` that a Docker Engine in a lab host needs on this machine."""
    return "systemd" if version() == 2 else "cgroupfs"


def _trees() -> list[Path]:
    if version() == 2:
        return [ROOT]
    return sorted(path for path in ROOT.iterdir() if path.is_dir() and not path.is_symlink() and path.name != "unified")


def create(name: str) -> list[Path]:
    """Make the group in every tree; return the ``cgroup.procs`` files that a process must write itself into."""
    entries = []
    for tree in _trees():
        group = tree / name
        group.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if version() == 1 and (tree / setting).exists():
                (group / setting).write_text((tree / setting).read_text())
        entries.append(group / "cgroup.procs")
    return entries


def processes(name: str) -> set[int]:
    """Every process in the group or below it."""
    pids: set[int] = set()
    for tree in _trees():
        for folder, _, _ in os.walk(tree / name):
            try:
                pids.update(int(pid) for pid in (Path(folder) / "cgroup.procs").read_text().split())
            except OSError:  # the group was removed during the search
                continue
    return pids


def kill(name: str, seconds: float = 10.0) -> None:
    """Kill everything in the group and wait until it is empty: by group, so never a process of another program."""
    end = time.monotonic() + seconds
    while (pids := processes(name)) and time.monotonic() < end:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)


def remove(name: str) -> None:
    for tree in _trees():
        for folder, _, _ in os.walk(tree / name, topdown=False):
            try:
                os.rmdir(folder)
            except OSError:  # still busy for a moment; an empty group does no harm and is used again
                continue
