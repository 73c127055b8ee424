"""``python -m bench.processes``: compare one and two worker processes by CPU time per host and hosts per second.

Two comparisons, each in turns. **Real**: many names over a few lab hosts in the desired state, as whole processes. The
hosts share the machine's cores, so only the controller's CPU time is compared. **Simulated**: no host and no ssh. Each
connection is a socketpair with the recorded answer of a lab host to the look. There is no cryptography, so only the
controller's own work is measured, and the two processes use the two cores alone. A simulated host takes less CPU time
than a real one. Its numbers show only how the controller's work spreads over cores.
"""

from __future__ import annotations

import gc
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import paramiko
import yaml
from msgspec import Struct

from bench import pages
from bench.measure import ROOT, Contender, Sample, by_turns, once, open_files, ratio
from bench.project import Project
from bench.result import Found, Value
from provision.catalog import Options
from provision.lab.labs import Lab
from provision.load import load
from provision.model import Event, Host
from provision.remote.script import look_script
from provision.report.journal import Journal
from provision.report.shown import shown
from provision.report.text import Text
from provision.rollout.processes import Processes
from provision.rollout.roll_out import Rollout
from provision.rollout.run_request import Goal, RunRequest
from provision.tasks import _looks
from provision.transport.line import Line
from provision.transport.ssh import Connecting, Transport

HOSTS = int(os.environ.get("HOSTS", "4"))
NAMES = int(os.environ.get("NAMES", "200"))
SIMULATED = int(os.environ.get("SIMULATED", "2000"))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
FORKS = 50
#: The contenders, by their number of processes.
_NAMES = {1: "1 process", 2: "2 processes"}


class Simulated(Struct, frozen=True):
    """One run over simulated hosts; ``controller`` is the CPU time of the controller's own process, in seconds."""

    sample: Sample
    controller: float


class _Recorded(paramiko.Channel):
    """A simulated host's shell: it accepts any script, and returns the recorded answer."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(0)
        self._near, self._far = socket.socketpair()
        for end in (self._near, self._far):
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                end.setsockopt(socket.SOL_SOCKET, option, 1 << 20)
        self._far.sendall(answer)
        self._far.shutdown(socket.SHUT_WR)
        self.exit_status = 0
        self.status_event = threading.Event()
        self.status_event.set()

    def exec_command(self, command: str | bytes) -> None:  # type: ignore[override]
        """Any command gives the same answer."""

    def sendall(self, s: bytes) -> None:  # type: ignore[override]
        self._near.sendall(s)

    def shutdown_write(self) -> None:
        self._near.shutdown(socket.SHUT_WR)

    def recv_ready(self) -> bool:
        return not self.eof_received

    def recv_stderr_ready(self) -> bool:
        return False

    def recv(self, nbytes: int) -> bytes:
        data = self._near.recv(nbytes)
        self.eof_received = not data
        return data

    def close(self) -> None:
        for name in ("_near", "_far"):
            if (end := getattr(self, name, None)) is not None:
                end.close()


class _Connection(Line):
    """A simulated connection."""

    is_connected = True
    answer = b""

    def create_session(self) -> _Recorded:
        return _Recorded(self.answer)

    def close(self) -> None:
        """Do nothing: no connection is open."""


class Simulation(Transport):
    """Simulated connections: no host, no login, no cryptography."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(Connecting())
        self._answer = answer

    def open(self, host: Host, deadline: float, fresh: bool = False) -> Any:
        connection = _Connection(host.login.address, "root", 22, {})
        connection.answer = self._answer
        return connection


def contender(folder: Path, processes: int) -> Contender:
    argv = [str(Path(sys.executable).parent / "provision"), "apply", "--yes", "--no-lint", "-f", str(FORKS)]
    argv += ["--processes", str(processes), "-i", str(folder / "inventory.yml"), str(folder / "site.yml")]
    return Contender(_NAMES[processes], argv)


def recorded(project: Project) -> bytes:
    """The answer of the first host to its look."""
    folder = project.folder
    found = load(str(folder / "inventory.yml"), folder / "site.yml", options=Options())
    config = found.configs[0]
    script = look_script(_looks(config, found.context, Options()))
    argv = [*project.lab.ssh(project.hosts[0]), "exec /bin/sh"]
    return subprocess.run(argv, input=script.encode("utf-8", "surrogateescape"), capture_output=True, check=True).stdout


def simulate(folder: Path, processes: int) -> None:
    """One run over simulated hosts, in a separate process; prints its numbers as JSON. Events are shown and recorded as
    in ``provision apply``: as lines of text (without a terminal), and in a journal."""
    answer = (folder / "answer").read_bytes()
    found = load(str(folder / "simulated.yml"), folder / "site.yml", options=Options())
    counts: Counter[str] = Counter()
    journal = Journal(folder / "site.yml", f"simulated-{time.time_ns()}", {})

    # As the command line does.
    gc.freeze()
    with open(os.devnull, "w") as nowhere:
        text = Text(nowhere)

        def emit(event: Event) -> None:
            visible = shown(event)
            text(visible)
            journal(visible)
            if event.name == "host.done":
                counts[str(event.data["status"])] += 1

        fan_out = Processes(processes, FORKS) if processes > 1 else None
        request = RunRequest(Goal.APPLY, FORKS)
        rollout = Rollout(found.configs, found.context, Simulation(answer), Options(), request, emit, fan_out)
        begin, before, own = time.perf_counter(), _cpu(), time.process_time()
        rollout.run()
        wall = time.perf_counter() - begin
    controller = time.process_time() - own
    if fan_out is not None:
        fan_out.close()
    if counts != {"ok": len(found.configs)}:
        sys.exit(f"every simulated host must be in the desired state: {dict(counts)}")
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
    sys.stdout.buffer.write(msgspec.json.encode(Simulated(Sample(wall, _cpu() - before, peak, 0), controller)))


def _cpu() -> float:
    """Seconds of CPU of this process and of its workers that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _simulated(folder: Path, hosts: int, rounds: int) -> dict[int, list[Simulated]]:
    """Runs with one and two processes in turns; the first round warms up."""
    names = {f"s{number:05d}": {"ansible_host": "192.0.2.1", "ansible_user": "root"} for number in range(hosts)}
    (folder / "simulated.yml").write_text(yaml.safe_dump({"docker": {"hosts": names}}))
    found: dict[int, list[Simulated]] = {processes: [] for processes in _NAMES}
    for number in range(rounds + 1):
        for processes, samples in found.items():
            argv = [sys.executable, "-m", "bench.processes", "simulate", str(folder), str(processes)]
            done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr)
            if number:
                samples.append(msgspec.json.decode(done.stdout, type=Simulated))
    return found


def compare(project: Project, simulated: int = SIMULATED, rounds: int = ROUNDS) -> Found:
    """The rows of one and two processes. The hosts of ``project`` are in the desired state."""
    rows = _real(project, rounds)
    (project.folder / "answer").write_bytes(recorded(project))
    rows += simulation(project.folder, simulated, rounds)
    return rows


def _real(project: Project, rounds: int) -> Found:
    rows, case = Found(), f"i, {len(project.names)} names"
    one, two = (contender(project.folder, processes) for processes in _NAMES)
    found = by_turns([one, two], rounds)
    rows.add(case, found)
    times = ratio(found[two.name], found[one.name], "cpu")
    rows.values.append(Value(case, "CPU here, 2 processes / 1", times, "x", 1.15))
    return rows


def simulation(folder: Path, hosts: int, rounds: int) -> Found:
    """The rows of simulated hosts. ``folder`` has a project's files, and the recorded ``answer``."""
    rows, case, found = Found(), f"i, {hosts} simulated", _simulated(folder, hosts, rounds)
    rows.add(case, {_NAMES[processes]: [one.sample for one in samples] for processes, samples in found.items()})
    for processes, samples in found.items():
        rate = statistics.median(hosts / one.sample.wall for one in samples)
        own = statistics.median(one.controller for one in samples) / hosts * 1000
        rows.values.append(Value(case, f"{_NAMES[processes]}: hosts a second", rate))
        rows.values.append(Value(case, f"{_NAMES[processes]}: CPU of the controller's process a host", own, "ms"))
    alone, shared = ([one.sample for one in found[processes]] for processes in _NAMES)
    rows.values += [
        Value(case, "hosts a second, 2 processes / 1", ratio(alone, shared), "x", 1.7, "least"),
        Value(case, "CPU here, 2 processes / 1", ratio(shared, alone, "cpu"), "x", 1.15),
    ]
    return rows


def main() -> None:
    open_files()
    lab = Lab("processes")
    hosts = lab.names(HOSTS)
    started = lab.up(dict.fromkeys(hosts, "trixie"))
    try:
        with tempfile.TemporaryDirectory(prefix="provision-bench-") as folder:
            # Only one name for each host: several names of one host must not change it at the same time.
            base = Project(lab, Path(folder) / "base", hosts, HOSTS)
            base.install()
            once(base.provision())
            rows = compare(Project(lab, Path(folder) / "names", hosts, NAMES))
    finally:
        lab.down([record.name for record in started])
    (ROOT / "bench/processes.json").write_bytes(msgspec.json.encode(rows))
    print(pages.text(rows))


if __name__ == "__main__":
    if sys.argv[1:2] == ["simulate"]:
        simulate(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
