"""``make bench-pulls``: 20 hosts pull a 50 MB image from one registry, with and without a limit of concurrent pulls.

Both alternate in one run, as whole processes. The registry's own log shows how many hosts pulled at once. Writes
``bench/pulls.json``.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from provision.lab import cgroups, keys, mirror
from provision.lab.labs import Lab
from tests.lab import images, registry_log

HOSTS = int(os.environ.get("HOSTS", "20"))
BOUND = int(os.environ.get("BOUND", "4"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
SIZE = 50_000_000
PORT = 5000


class Bench:
    """A registry and the hosts that pull from it, in one project."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        self.registry, *self.clients = lab.names(HOSTS + 1)
        self.addresses = {name: lab.record(name).address for name in self.clients}
        self.name = f"{lab.record(self.registry).address}:{PORT}"
        self.app = f"{self.name}/large:1"
        images.archive(folder / "large.tar", self.app, {"blob": os.urandom(SIZE)})

    def write(self, bound: int) -> None:
        daemon = {"exec-opts": [f"native.cgroupdriver={cgroups.driver()}"], "insecure-registries": [self.name]}
        engine = {"package_mirror": mirror.URL, "fingerprint": keys.fingerprint(self.lab.store), "plugins": []}
        whole = {**engine, "daemon": daemon}
        address = self.name.partition(":")[0]
        plays = [
            {
                "name": "Registry",
                "hosts": self.registry,
                "spec": {
                    "engine": whole,
                    "registry": {"name": address},
                    "images": {self.app: {"archive": "large.tar", "push": True}},
                },
            },
            {
                "name": "Clients",
                "hosts": ":".join(self.clients),
                "spec": {
                    "engine": {**whole, "registries": {self.name: {"pulls": bound}}},
                    "images": {self.app: {"moved": "ignore"}},
                },
            },
        ]
        (self.folder / "site.yml").write_text(yaml.safe_dump(plays))

    def apply(self, *words: str) -> float:
        argv = [sys.executable, "-m", "provision", "apply", "--yes", "--no-lint", "--json", *words]
        argv += ["-i", str(self.lab.inventory_file), str(self.folder / "site.yml")]
        begin = time.perf_counter()
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(done.stdout[-4000:] + done.stderr)
        return time.perf_counter() - begin

    def forget(self) -> None:
        """Remove the image from the clients, so that each must pull it."""
        with ThreadPoolExecutor(max_workers=4) as pool:
            command = "docker image prune -af >/dev/null; sync"
            list(pool.map(lambda name: subprocess.run([*self.lab.ssh(name), command], check=True), self.clients))

    def round(self, bound: int) -> tuple[float, int]:
        """Seconds, and the largest number of hosts that pulled at once."""
        self.write(bound)
        self.forget()
        begin = float(self.on_registry("date +%s.%N"))
        seconds = self.apply("-f", str(HOSTS))
        spans = registry_log.blob_spans(self.on_registry(registry_log.COMMAND), "large", begin)
        if missing := set(self.addresses.values()) - spans.keys():
            sys.exit(f"the registry's log has no pull of {', '.join(sorted(missing))}")
        return seconds, registry_log.most_at_once(spans)

    def on_registry(self, command: str) -> str:
        """The output of a command on the registry's host."""
        done = subprocess.run([*self.lab.ssh(self.registry), command], capture_output=True, text=True, check=True)
        return done.stdout


def main() -> None:
    lab = Lab("pulls")
    started = lab.up(dict.fromkeys(lab.names(HOSTS + 1), "trixie"))
    try:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(lab, Path(folder))
            bench.write(BOUND)
            bench.apply()
            rounds = [(bench.round(BOUND), bench.round(10_000)) for _ in range(ROUNDS)]
    finally:
        lab.down([record.name for record in started])
    print(f"{HOSTS} hosts pull {SIZE // 1_000_000} MB from one registry; bound {BOUND}")
    print("round  bounded  hosts  unbounded  hosts  ratio")
    for number, ((a, hosts), (b, all_hosts)) in enumerate(rounds, 1):
        print(f"{number:5}  {a:5.2f} s  {hosts:5}  {b:7.2f} s  {all_hosts:5}  {a / b:.2f}")
    ratio = statistics.median(a[0] / b[0] for a, b in rounds)
    print(f"median ratio {ratio:.2f}; {os.cpu_count()} cores shared with the hosts")
    data = {"hosts": HOSTS, "bound": BOUND, "bytes": SIZE, "rounds": rounds, "ratio": ratio}
    Path(__file__).with_name("pulls.json").write_text(json.dumps(data, indent=2) + "\n")


if __name__ == "__main__":
    main()
