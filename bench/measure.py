"""The cost of a whole process: wall and CPU seconds, peak memory, bytes on the lab's bridge; and contenders in
turns."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from provision.lab.network import BRIDGE

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Contender:
    """A command line. ``before`` sets the hosts to the state from which the command starts. ``ends`` are the exit codes
    that are no failure."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] | None = None
    before: Callable[[int], None] | None = None
    ends: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class Sample:
    """``wall`` and ``cpu`` in seconds, ``peak`` in MB (of the largest process), ``wire`` in KB, both ways."""

    wall: float
    cpu: float
    peak: float
    wire: float


def _wire() -> int:
    place = Path(f"/sys/class/net/{BRIDGE}/statistics")
    if not place.exists():
        return 0
    return sum(int((place / name).read_text()) for name in ("rx_bytes", "tx_bytes"))


def once(contender: Contender, number: int = 0) -> Sample:
    """Run the contender once. The comparison ends if the contender fails."""
    if contender.before is not None:
        contender.before(number)
    environment = {**os.environ, **(contender.environment or {})}
    # As on an operator's machine, each contender has run before: Python does not compile its modules again.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryFile() as out:
        before, begin = _wire(), time.perf_counter()
        process = subprocess.Popen(contender.argv, cwd=ROOT, stdout=out, stderr=out, env=environment)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in contender.ends:
            out.seek(0)
            text = out.read().decode("utf-8", "replace")
            sys.exit(f"{' '.join(contender.argv)} failed with {process.returncode}:\n{text}")
    return Sample(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, (_wire() - before) / 1024)


def by_turns(contenders: Sequence[Contender], rounds: int) -> dict[str, list[Sample]]:
    """Run the contenders in turns, round by round, so that a disturbance of the machine affects all of them alike. The
    first round is a warm-up and does not count."""
    found: dict[str, list[Sample]] = {contender.name: [] for contender in contenders}
    for number in range(rounds + 1):
        for contender in contenders:
            sample = once(contender, number)
            if number:
                found[contender.name].append(sample)
    return found


def median(samples: Sequence[Sample], of: str = "wall") -> float:
    return float(statistics.median(getattr(sample, of) for sample in samples))


def ratio(tested: Sequence[Sample], reference: Sequence[Sample], of: str = "wall") -> float:
    """The median of the ratios of pairs."""
    return float(statistics.median(getattr(a, of) / getattr(b, of) for a, b in zip(tested, reference, strict=True)))


def open_files(limit: int = 65536) -> None:
    """Raise the limit of open files, for a connection to each of a thousand names."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit, hard), hard))
