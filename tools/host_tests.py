"""Run the tests on real hosts: ``python -m tools.host_tests chosen`` those of tests/lab/chosen.yml, ``rest`` others.

Jobs of one stage run in parallel. Each command is the leader of a session: a signal to this process reaches all
processes of the commands, which then remove their hosts. A shell cannot do this: without a terminal it starts its
background jobs in its own process group, with SIGINT ignored.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, NoReturn

from tools import leftovers

ROOT = Path(__file__).parent.parent
Command = Sequence[str]
#: The commands of the first job write to the terminal; those of the others to a log, which is printed at the end.
Stage = Sequence[Sequence[Command]]

#: Seconds that interrupted commands have to remove their hosts.
GRACE = 120
_PYTEST = (sys.executable, "-m", "pytest")
#: What a job runs alone, or not at all.
_APART = "not alone and not virtual and not torture"
# Tests that share hosts run in one process; every other test runs in the next free process. Three processes for two
# processors: a test spends a third of its time waiting for its hosts.
_HOSTS = ("-n", "3", "--dist", "loadgroup", "--durations", "15", "tests/lab")
# Only these tests need a browser.
_CHROMIUM = """\
command -v chromium >/dev/null && exit
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update && apt-get -qq -y --no-install-recommends install chromium >/dev/null
"""
STAGES: dict[str, Sequence[Stage]] = {
    "chosen": [[[(*_PYTEST, "-m", f"chosen and {_APART}", *_HOSTS)]]],
    "rest": [
        [
            # A chosen test that shares its hosts runs again with its file, because the next test may rely on it.
            [(*_PYTEST, "-m", f"lab and {_APART} and not (chosen and not xdist_group)", *_HOSTS)],
            # The emulated machine takes long, and one processor.
            [
                (*_PYTEST, "-m", "virtual and not torture", "--durations", "0", "tests/lab"),
                ("scripts/molecule", "vm", "default", "el", "suse", "openrc"),
            ],
        ],
        [
            # Tests that change what all labs of a machine share run when no other lab runs.
            [(*_PYTEST, "-m", "alone", "tests/lab")],
            # These need no host.
            [
                (*_PYTEST, "-m", "thorough", "-q", "tests"),
                ("sh", "-c", _CHROMIUM),
                (*_PYTEST, "-m", "browser", "-q", "tests/browser"),
                ("scripts/dependency-sets",),
            ],
        ],
    ],
}
_CAUSE = re.compile(r"^(FAILED|ERROR|E  )|fatal:|FAILED!|\"failed\"|: failed$")


class Running:
    """The sessions of the commands that run now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: set[int] = set()
        self._stopped = False

    def job(self, commands: Sequence[Command], log: IO[bytes] | None) -> bool:
        """Run all commands one after the other, even if one fails; return whether all have succeeded."""
        codes = [self._run(command, log) for command in commands]
        return not any(codes)

    def _run(self, command: Command, log: IO[bytes] | None) -> int:
        with self._lock:
            if self._stopped:
                return 130
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
            self._sessions.add(process.pid)
        code = process.wait()
        with self._lock:
            if not self._stopped:
                self._sessions.discard(process.pid)
        return code

    def stop(self, grace: float) -> None:
        """Interrupt all commands, start no other, and return when none of their processes is left."""
        with self._lock:
            self._stopped = True
        for number, seconds in ((signal.SIGINT, grace), (signal.SIGKILL, 10.0)):
            for session in self._sessions:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(session, number)
            end = time.monotonic() + seconds
            while self._sessions & _groups() and time.monotonic() < end:
                time.sleep(0.05)


def _groups() -> set[int]:
    """The process groups that have a process. The init of a container may leave an ended process as a zombie."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            state, _, group = stat.read_text().rpartition(")")[2].split()[:3]  # proc_pid_stat(5)
            if state != "Z":
                found.add(int(group))
    return found


def run(stages: Sequence[Stage], clean_up: Callable[[], None], grace: float = GRACE) -> int:
    """Run the stages; return 0 if all commands have succeeded, and 130 if a signal has interrupted them."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    running = Running()
    with tempfile.TemporaryFile() as log:
        try:
            passed = [_stage(running, stage, log) for stage in stages]
        except KeyboardInterrupt:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            running.stop(grace)
            clean_up()
            return 130
        log.seek(0)
        text = log.read().decode(errors="replace")
    if text:
        print("== the output of the parallel jobs", text, sep="\n", flush=True)
    if not all(others for _, others in passed):
        # Print the causes last: at the end of a long log they are all that is left of the other jobs.
        causes = [line[:2000] for line in text.split("\n") if _CAUSE.search(line)]
        print("== what failed in the parallel jobs", *causes[-40:], sep="\n")
    return 0 if all(first and others for first, others in passed) else 1


def _stage(running: Running, stage: Stage, log: IO[bytes]) -> tuple[bool, bool]:
    """Whether the first job has succeeded, and whether all others have.

    This thread only waits: a signal never interrupts it between the start of a command and the record of its session.
    """
    passed = [False] * len(stage)

    def work(number: int) -> None:
        passed[number] = running.job(stage[number], log if number else None)

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(len(stage))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return passed[0], all(passed[1:])


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(run(STAGES[sys.argv[1]], leftovers.remove))
