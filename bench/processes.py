"""``python -m bench.processes``: one and two worker processes: the CPU of a host, and the hosts in a second.

Two comparisons, each in turns. **Real**: many names over a few lab hosts in the desired state, whole processes. The
hosts share the machine's cores, so only the controller's CPU is compared. **Simulated**: no host and no ssh. Each
connection is a socketpair that holds the answer of a lab host to the look, recorded before. There is no cryptography,
so a host costs nothing but the controller's own work, and the two processes have the two cores for themselves. A
simulated host is cheaper than a real one: its numbers say how the controller's work spreads over cores, and no more.
"""

from __future__ import annotations

import json
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

import paramiko
import yaml

from bench.measure import ROOT, Contender, by_turns, median, once, open_files, ratio
from bench.project import Project
from provision.catalog import Options
from provision.lab import cgroups, keys, mirror
from provision.lab.labs import Lab
from provision.load import load
from provision.model import Event, Host
from provision.remote.script import look_script
from provision.rollout.goal import Goal
from provision.rollout.processes import Processes
from provision.rollout.roll_out import Rollout
from provision.rollout.run_request import RunRequest
from provision.tasks import _looks
from provision.transport.line import Line, line
from provision.transport.ssh import Connecting, Transport

HOSTS = int(os.environ.get("HOSTS", "4"))
NAMES = int(os.environ.get("NAMES", "200"))
SIMULATED = int(os.environ.get("SIMULATED", "2000"))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
FORKS = 50


class _Recorded(paramiko.Channel):
    """A simulated host's shell: it accepts any script, and answers what was recorded."""

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
        """Nothing is open."""


class Simulation(Transport):
    """Simulated connections: no host, no login, no cryptography."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(Connecting())
        self._answer = answer

    def open(self, host: Host, deadline: float, fresh: bool = False) -> Any:
        connection = line(_Connection, host.login.address, "root", 22, {})
        connection.answer = self._answer
        return connection


def spec(lab: Lab) -> dict[str, Any]:
    """A Docker host."""
    daemon = {
        "exec-opts": [f"native.cgroupdriver={cgroups.driver()}"],
        "live-restore": True,
        "log-opts": {"max-size": "10m", "max-file": "3"},
    }
    return {
        "sysctl": {"net.ipv4.ip_forward": 1},
        "engine": {
            "package_mirror": mirror.URL,
            "fingerprint": keys.fingerprint(lab.store),
            "plugins": [],
            "daemon": daemon,
        },
    }


def apply(folder: Path, processes: int) -> list[str]:
    argv = [str(Path(sys.executable).parent / "provision"), "apply", "--yes", "-f", str(FORKS)]
    return [*argv, "--processes", str(processes), "-i", str(folder / "inventory.yml"), str(folder / "site.yml")]


def recorded(project: Project) -> bytes:
    """The answer of the first host to its look."""
    folder = project.folder
    found = load(str(folder / "inventory.yml"), folder / "site.yml", options=Options())
    config = found.configs[0]
    script = look_script(_looks(config, found.context, Options()))
    argv = [*project.lab.ssh(project.hosts[0]), "exec /bin/sh"]
    return subprocess.run(argv, input=script.encode("utf-8", "surrogateescape"), capture_output=True, check=True).stdout


def simulate(folder: Path, processes: int) -> None:
    """One run over simulated hosts, in a process of its own; prints its numbers as JSON."""
    answer = (folder / "answer").read_bytes()
    found = load(str(folder / "simulated.yml"), folder / "site.yml", options=Options())
    counts: Counter[str] = Counter()

    def emit(event: Event) -> None:
        if event.name == "host.done":
            counts[str(event.data["status"])] += 1

    fan_out = Processes(processes, FORKS) if processes > 1 else None
    request = RunRequest(Goal.APPLY, FORKS)
    rollout = Rollout(found.configs, found.context, Simulation(answer), Options(), request, emit, fan_out)
    begin, before = time.perf_counter(), _cpu()
    rollout.run()
    wall = time.perf_counter() - begin
    if fan_out is not None:
        fan_out.close()
    if counts != {"ok": len(found.configs)}:
        sys.exit(f"every simulated host must be in the desired state: {dict(counts)}")
    print(json.dumps({"wall": wall, "cpu": _cpu() - before}))


def _cpu() -> float:
    """Seconds of CPU of this process and of its workers that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _simulated(folder: Path) -> dict[int, list[dict[str, float]]]:
    """Runs with one and two processes in turns; the first round warms up."""
    hosts = {f"s{number:05d}": {"ansible_host": "192.0.2.1", "ansible_user": "root"} for number in range(SIMULATED)}
    (folder / "simulated.yml").write_text(yaml.safe_dump({"docker": {"hosts": hosts}}))
    found: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    for number in range(ROUNDS + 1):
        for processes, samples in found.items():
            argv = [sys.executable, "-m", "bench.processes", "simulate", str(folder), str(processes)]
            done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr)
            if number:
                samples.append(json.loads(done.stdout))
    return found


def main() -> None:
    open_files()
    lab = Lab("processes")
    names = lab.names(HOSTS)
    started = lab.up(dict.fromkeys(names, "trixie"))
    folder = Path(tempfile.mkdtemp(prefix="provision-bench-"))
    try:
        project = Project(lab, folder, names, NAMES)
        (folder / "site.yml").write_text(yaml.safe_dump([{"name": "Bench", "hosts": "docker", "spec": spec(lab)}]))
        one, two = (Contender(f"{count} processes", apply(folder, count)) for count in (1, 2))
        once(one)
        real = by_turns([one, two], ROUNDS)
        (folder / "answer").write_bytes(recorded(project))
        simulated = _simulated(folder)
    finally:
        lab.down([record.name for record in started])
    report(real[one.name], real[two.name], simulated)


def report(one: Any, two: Any, simulated: dict[int, list[dict[str, float]]]) -> None:
    cpu = ratio(two, one, "cpu")
    print(f"real: {NAMES} names over {HOSTS} lab hosts, in the desired state, --forks {FORKS}; whole processes")
    for name, samples in (("1 process", one), ("2 processes", two)):
        print(
            f"  {name:12} {median(samples, 'cpu') / NAMES * 1000:6.2f} ms of CPU a name, {median(samples):6.2f} s wall"
        )
    print(f"  CPU a name, 2 processes / 1: {cpu:.2f} (target 1.15)")
    rates = {count: [SIMULATED / sample["wall"] for sample in samples] for count, samples in simulated.items()}
    pairs = [b / a for a, b in zip(rates[1], rates[2], strict=True)]
    work = [b["cpu"] / a["cpu"] for a, b in zip(simulated[1], simulated[2], strict=True)]
    print(f"simulated: {SIMULATED} hosts that answer from a socketpair, without ssh and cryptography")
    for count, samples in simulated.items():
        each = statistics.median(sample["cpu"] for sample in samples) / SIMULATED * 1000
        print(
            f"  {count} processes: {statistics.median(rates[count]):6.0f} hosts a second, {each:5.2f} ms of CPU a host"
        )
    print(f"  hosts a second, 2 processes / 1: {statistics.median(pairs):.2f} (target 1.7, {os.cpu_count()} cores)")
    print(f"  CPU a host, 2 processes / 1: {statistics.median(work):.2f}")
    data = {
        "names": NAMES,
        "hosts": HOSTS,
        "simulated_hosts": SIMULATED,
        "real_cpu": {"1": [sample.cpu for sample in one], "2": [sample.cpu for sample in two], "ratio": cpu},
        "simulated": {str(count): samples for count, samples in simulated.items()},
        "simulated_ratio": statistics.median(pairs),
    }
    (ROOT / "bench/processes.json").write_text(json.dumps(data, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["simulate"]:
        simulate(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
