"""``python -m bench.misbehaving``: the cost of bad hosts for the other hosts. Of 1,000 names, a tenth freeze, send
single bytes, drop connections or never answer.

The healthy names are a few lab hosts, repeated many times. The bad names are real peers: an sshd whose commands never
end, one with a full ``MaxStartups``, a port that drops SYNs, one that closes at the banner, one that sends a byte a
second. Runs with and without them alternate in one process. Measured: when the last healthy host was done, when the run
was done, and the numbers of threads and file descriptors before and after.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from provision.catalog import Options
from provision.lab.labs import Lab
from provision.lab.store import GATEWAY
from provision.load import load
from provision.model import Event
from provision.rollout.roll_out import Rollout
from provision.rollout.run_request import Goal, RunRequest
from provision.transport.ssh import Connecting, Transport

HOSTS = int(os.environ.get("HOSTS", "10"))
NAMES = int(os.environ.get("NAMES", "1000"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
DEADLINE = float(os.environ.get("DEADLINE", "45"))
KINDS = ("frozen", "full", "black hole", "dropped", "dripping")
ROOT = Path(__file__).parent.parent


@contextmanager
def dropping_syns() -> Iterator[int]:
    """A port whose queue is full: the kernel drops further connections (tcp(7), tcp_abort_on_overflow)."""
    with socket.socket() as server, ExitStack() as fillers:
        server.bind((GATEWAY, 0))
        server.listen(0)
        for _ in range(4):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        time.sleep(0.2)
        yield int(server.getsockname()[1])


@contextmanager
def answering(answer: bytes, pause: float) -> Iterator[int]:
    """A port that sends one byte of ``answer`` every ``pause`` seconds, and closes."""
    stop = threading.Event()

    def talk(peer: socket.socket) -> None:
        with peer:
            for byte in answer:
                if stop.wait(pause):
                    return
                try:
                    peer.send(bytes([byte]))
                except OSError:
                    return

    def serve(server: socket.socket) -> None:
        while not stop.is_set():
            try:
                peer, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(peer,), daemon=True).start()

    server = socket.create_server((GATEWAY, 0), backlog=500)
    thread = threading.Thread(target=serve, args=(server,), daemon=True)
    thread.start()
    try:
        yield int(server.getsockname()[1])
    finally:
        stop.set()
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


@contextmanager
def sshds(lab: Lab, name: str) -> Iterator[tuple[int, int]]:
    """Two further sshds on a lab host: one whose commands never end, and one that accepts no second client."""
    address = lab.record(name).address
    script = (
        "/usr/sbin/sshd -p 2201 -o 'ForceCommand sleep 100000' -o MaxStartups=500 -o PidFile=/run/frozen.pid; "
        "/usr/sbin/sshd -p 2202 -o MaxStartups=1:100:1 -o LoginGraceTime=600 -o PidFile=/run/full.pid"
    )
    subprocess.run([*lab.ssh(name), script], check=True)
    with socket.create_connection((address, 2202)) as holder:
        holder.recv(1)  # its only client, whose login never completes
        yield 2201, 2202
    subprocess.run([*lab.ssh(name), "pkill -F /run/frozen.pid; pkill -F /run/full.pid; pkill sleep"], check=False)


@dataclass
class Seen:
    """The events of a run: when each host ended (seconds after the start of the run), and its status."""

    begin: float = field(default_factory=time.monotonic)
    ends: dict[str, tuple[float, str]] = field(default_factory=dict)

    def __call__(self, event: Event) -> None:
        if event.name == "host.done":
            self.ends[event.host] = (time.monotonic() - self.begin, str(event.data["status"]))


@dataclass(frozen=True)
class Run:
    """When the last healthy host was done and when all hosts were done (seconds); the number of hosts for each status;
    the remaining threads and descriptors."""

    healthy: float
    whole: float
    counts: Counter[str]
    left: tuple[int, int]


def plan(inventory: Path, playbook: Path, forks: int) -> Run:
    found = load(inventory, playbook, options=Options())
    transport = Transport(Connecting(10.0))
    transport.prepare([config.host.login for config in found.configs])
    seen = Seen()
    request = RunRequest(Goal.PLAN, forks, DEADLINE)
    Rollout(found.configs, found.context, transport, Options(), request, seen).run()
    whole = time.monotonic() - seen.begin
    healthy = max(at for name, (at, _) in seen.ends.items() if name.startswith("good"))
    bad = {name: status for name, (_, status) in seen.ends.items() if name.startswith("good") and status == "failed"}
    assert not bad, f"healthy hosts must end well: {bad}"
    return Run(healthy, whole, Counter(status for _, status in seen.ends.values()), left())


def left() -> tuple[int, int]:
    """The numbers of threads and file descriptors, after a wait for those that are about to end."""
    time.sleep(1.0)
    return threading.active_count(), len(os.listdir("/proc/self/fd"))


def inventories(lab: Lab, names: list[str], ports: dict[str, tuple[str, int]], folder: Path) -> tuple[Path, Path]:
    """All names, and the healthy ones alone. The bad names are spread among the others."""
    hosts: dict[str, dict[str, object]] = {}
    addresses = [lab.record(name).address for name in names]
    for number in range(NAMES):
        if number % 10 == 5:
            kind = KINDS[number // 10 % len(KINDS)]
            address, port = ports[kind]
            hosts[f"{kind.replace(' ', '-')}{number:04d}"] = {"ansible_host": address, "ansible_port": port}
        else:
            hosts[f"good{number:04d}"] = {"ansible_host": addresses[number % len(addresses)]}
    known = folder / "known_hosts"
    lines = lab.known_hosts.read_text().splitlines()
    more = [f"[{line.split()[0]}]:{port} {line.split(' ', 1)[1]}" for line in lines for port in (2201, 2202)]
    known.write_text("\n".join([*lines, *more]) + "\n")
    variables = {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(lab.store.key),
        "provision_known_hosts": str(known),
    }
    for name, chosen in (("all", hosts), ("good", {k: v for k, v in hosts.items() if k.startswith("good")})):
        whole = {"docker": {"vars": variables, "hosts": chosen}}
        (folder / f"{name}.yml").write_text(yaml.safe_dump(whole, sort_keys=False))
    return folder / "all.yml", folder / "good.yml"


def main() -> None:
    lab = Lab("misbehaving")
    names = lab.names(HOSTS)
    started = lab.up(dict.fromkeys(names, "trixie"))
    folder = Path(tempfile.mkdtemp(prefix="provision-bench-"))
    (folder / "site.yml").write_text("- {name: x, hosts: docker, spec: {sysctl: {net.ipv4.conf.all.rp_filter: 2}}}\n")
    try:
        with ExitStack() as stack:
            frozen, full = stack.enter_context(sshds(lab, names[0]))
            address = lab.record(names[0]).address
            ports = {
                "frozen": (address, frozen),
                "full": (address, full),
                "black hole": (GATEWAY, stack.enter_context(dropping_syns())),
                "dropped": (GATEWAY, stack.enter_context(answering(b"", 0))),
                "dripping": (GATEWAY, stack.enter_context(answering(b"SSH-2.0-drip\r\n" * 99, 1.0))),
            }
            every, good = inventories(lab, names, ports, folder)
            plan(good, folder / "site.yml", 50)  # read and compile once
            before = left()
            rounds = [
                (plan(good, folder / "site.yml", 50), plan(every, folder / "site.yml", 50)) for _ in range(ROUNDS)
            ]
    finally:
        lab.down([record.name for record in started])
    report(rounds, before)


def report(rounds: list[tuple[Run, Run]], before: tuple[int, int]) -> None:
    ratios = [among.healthy / alone.healthy for alone, among in rounds]
    print(
        f"{NAMES} names over {HOSTS} hosts, {NAMES // 10} of them bad ({', '.join(KINDS)}); deadline {DEADLINE:.0f} s"
    )
    print("round  healthy alone  healthy among bad  ratio  run ended  bad ended as")
    for number, (alone, among) in enumerate(rounds, 1):
        ends = ", ".join(f"{count} {word}" for word, count in among.counts.items() if word not in ("ok", "changed"))
        ratio = among.healthy / alone.healthy
        print(
            f"{number:5}  {alone.healthy:11.2f} s  {among.healthy:15.2f} s  {ratio:5.2f}  {among.whole:7.2f} s  {ends}"
        )
    after = rounds[-1][1].left
    print(f"median ratio {statistics.median(ratios):.2f} (target 1.05); the run's end (target {DEADLINE + 10:.0f} s)")
    print(f"threads {before[0]} -> {after[0]}, file descriptors {before[1]} -> {after[1]}")
    data = {
        "names": NAMES,
        "hosts": HOSTS,
        "deadline": DEADLINE,
        "healthy_alone": [alone.healthy for alone, _ in rounds],
        "healthy_among_bad": [among.healthy for _, among in rounds],
        "whole": [among.whole for _, among in rounds],
        "before": before,
        "after": after,
    }
    (ROOT / "bench/misbehaving.json").write_text(json.dumps(data, indent=2) + "\n")


if __name__ == "__main__":
    main()
