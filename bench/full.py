"""``make bench-full``: provision compared with its peers, case by case, alternating in one run.

Every contender is a whole process with the same declared result; the bench checks that all leave the same state on the
hosts. Prints a table of medians and ratios compared with targets. Writes ``bench/full.json`` and
``docs/performance.svg``. ``CASES=a,b`` runs some of the cases.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import yaml

from bench import logins, peers, plot
from bench.delay import slow_lines
from bench.measure import ROOT, Contender, Sample, by_turns, median, once, open_files, ratio
from bench.project import Project
from provision.lab import cgroups, keys, mirror
from provision.lab.labs import Lab

HOSTS = int(os.environ.get("HOSTS", "20"))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
PYTHON = sys.executable
PROVISION = str(Path(PYTHON).parent / "provision")
#: Ansible's hostname module asks hostnamed, which ends when it is idle. Its start on 20 hosts that share two cores can
#: take longer than D-Bus waits (25 s). This command starts it before the run and keeps it up: no other program asks it.
_HOSTNAMED = (
    "mkdir -p /run/systemd/system/systemd-hostnamed.service.d"
    " && printf '[Service]\nEnvironment=SYSTEMD_EXIT_ON_IDLE=0\n'"
    " > /run/systemd/system/systemd-hostnamed.service.d/stay.conf"
    " && systemctl daemon-reload && systemctl start systemd-hostnamed"
)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: what was measured, the number, its target, and whether the number meets the target."""

    case: str
    what: str
    value: float
    unit: str
    target: str = ""
    kept: bool | None = None

    def cells(self) -> tuple[str, ...]:
        word = {None: "", True: "kept", False: "MISSED"}[self.kept]
        return self.case, self.what, f"{self.value:.3g} {self.unit}".strip(), self.target, word


def at_most(case: str, what: str, value: float, bound: float | None, unit: str = "x") -> Row:
    """Without a bound the number is reported, and compared with nothing."""
    if bound is None:
        return Row(case, what, value, unit)
    return Row(case, what, value, unit, f"<= {bound:g} {unit}", value <= bound)


def at_least(case: str, what: str, value: float, bound: float | None, unit: str = "x") -> Row:
    if bound is None:
        return Row(case, what, value, unit)
    return Row(case, what, value, unit, f">= {bound:g} {unit}", value >= bound)


def peers_by_us(
    case: str, found: dict[str, list[Sample]], pyinfra: float | None = None, ansible: float | None = None
) -> list[Row]:
    """The times of the peers divided by the time of provision, and the least that the ratio should be. Ansible runs
    only once."""
    mine = found["provision"]
    return [
        at_least(case, "pyinfra / provision", ratio(found["pyinfra"], mine), pyinfra),
        at_least(case, "ansible / provision", median(found["ansible"]) / median(mine), ansible),
    ]


def costs(case: str, found: dict[str, list[Sample]]) -> list[Row]:
    """The medians of every contender, to the last byte."""
    rows = []
    for name, samples in found.items():
        cpu, peak, wire = (median(samples, of) for of in ("cpu", "peak", "wire"))
        words = f"{name} (CPU {cpu:.2f} s, peak {peak:.0f} MB, {wire:.0f} KB on the wire)"
        rows.append(Row(case, words, median(samples), "s"))
    return rows


class Bench:
    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        self.hosts = lab.names(HOSTS)
        self.base = Project(lab, folder / "base", self.hosts, HOSTS)
        # Twenty hosts share the cores of this machine; two hosts have one core each, as the hosts of a fleet do.
        self.pair = Project(lab, folder / "pair", self.hosts[:2], 2)
        # The values that differ from one change to the next.
        self.count = count()

    def prepare(self) -> None:
        """Install Docker on all hosts, with provision; and Python, which Ansible needs there."""
        engine = {
            "package_mirror": mirror.URL,
            "fingerprint": keys.fingerprint(self.lab.store),
            "plugins": [],
            "daemon": {"exec-opts": [f"native.cgroupdriver={cgroups.driver()}"]},
        }
        spec = {"engine": engine, "packages": ["python3-apt"]}
        play = self.folder / "prepare.yml"
        play.write_text(yaml.safe_dump([{"name": "Prepare", "hosts": "all", "spec": spec}]))
        argv = [PROVISION, "apply", "--yes", "--no-lint", "-i", str(self.base.folder / "inventory.yml"), str(play)]
        once(Contender("prepare", argv))
        self.base.everywhere(_HOSTNAMED)
        once(self.base.provision())
        time.sleep(10)  # the installation has background work left

    def a(self) -> list[Row]:
        """In the desired state."""
        floor, provision, pyinfra = self.base.floor(), self.base.provision(), self.base.pyinfra()
        found = by_turns([floor, provision, pyinfra, self.base.fabric()], ROUNDS)
        self._same("pyinfra", self.base)
        found |= by_turns([self.base.ansible(), self.base.ansible(facts=True)], 1)
        self._same("ansible", self.base)
        mine = found["provision"]
        stock = median(found["ansible with facts"])
        rows = costs("a", found)
        for contender in (provision, pyinfra, self.base.fabric(), self.base.ansible()):
            connections, execs = logins.cost(self.lab, self.hosts, contender)
            rows.append(Row("a", f"{contender.name}: connections a host, by its sshd", connections, ""))
            rows.append(Row("a", f"{contender.name}: execs a host, by its sshd", execs, ""))
        return [
            *rows,
            at_most("a", "provision / login + true", ratio(mine, found["login + true"]), 1.5),
            *peers_by_us("a", found, 3.5, 100),
            Row("a", "ansible with facts / provision", stock / median(mine), "x"),
            *self._two(),
        ]

    def _two(self) -> list[Row]:
        found = by_turns([self.pair.floor(), self.pair.provision(), self.pair.pyinfra()], ROUNDS)
        found |= by_turns([self.pair.ansible()], 1)
        case, times = "a, 2 hosts", ratio(found["provision"], found["login + true"])
        return [
            *costs(case, found),
            Row(case, "provision / login + true", times, "x"),
            *peers_by_us(case, found),
        ]

    def _same(self, who: str, project: Project) -> None:
        states = project.states()
        if len(states) != 1:
            sys.exit(f"{who} leaves the hosts in {len(states)} different states: {states}")

    def b(self) -> list[Row]:
        """One key of daemon.json changed: one that needs a reload, and one that needs a restart."""
        rows = [
            *self._reload(self.base, "b, reload", 3, 30),
            *self._restart(self.base, "b, restart", 1.2),
            *self._reload(self.pair, "b, 2 hosts, reload"),
            *self._restart(self.pair, "b, 2 hosts, restart"),
        ]
        self.base.declare({})
        once(self.base.provision())
        return rows

    def _reload(
        self, project: Project, case: str, pyinfra: float | None = None, ansible: float | None = None
    ) -> list[Row]:
        def label(number: int) -> None:
            project.declare({"labels": [f"round={next(self.count)}"]})

        reload = Contender("login + reload", project.floor_of("systemctl reload docker"))
        found = by_turns([reload, project.provision(before=label), project.pyinfra("reloaded", label)], ROUNDS)
        found |= by_turns([project.ansible("reloaded", label)], 1)
        self._same("the reload", project)
        floor = found[reload.name]
        return [
            *costs(case, found),
            *peers_by_us(case, found, pyinfra, ansible),
            # The lower bound for every contender: a login, and only the reload.
            Row(case, "pyinfra / login + reload", ratio(found["pyinfra"], floor), "x"),
            Row(case, "provision / login + reload", ratio(found["provision"], floor), "x"),
        ]

    def _restart(self, project: Project, case: str, bound: float | None = None) -> list[Row]:
        restart = Contender("docker's own restart", project.floor_of("systemctl restart docker"))
        # docker's unit allows only three starts in a minute.
        forget = "systemctl reset-failed docker"
        project.everywhere(forget)

        def clean(number: int) -> None:
            project.everywhere(forget)
            level = ("info", "warn")[next(self.count) % 2]
            project.declare({"log-level": level, "max-concurrent-downloads": 3 + number})

        found = by_turns([restart, project.provision(before=clean)], ROUNDS)
        times = ratio(found["provision"], found[restart.name])
        return [*costs(case, found), at_most(case, "provision / docker's own", times, bound)]

    def c(self) -> list[Row]:
        """From a bare host to the end, compared with the slowest host's own package transactions in the same run. No
        host waits here until docker has run for a while (``health.steady``): that wait is declared, and is not work."""
        rows, names = [], self.hosts[:5]
        (play,) = yaml.safe_load((ROOT / "playbooks/site.yml").read_text())
        play["spec"]["engine"]["health"] = {"steady": 0}
        whole_play = self.folder / "bare.yml"
        whole_play.write_text(yaml.safe_dump([play]))
        for number in range(2):
            # Some of the same hosts, made bare: a second set of hosts would exceed a machine's limit of inotify.
            self.lab.down(names)
            self.lab.up(dict.fromkeys(names, "trixie"))
            argv = [PROVISION, "apply", "--yes", "--no-lint", "--json", "-l", ",".join(names)]
            begin = time.perf_counter()
            process = subprocess.Popen(
                [*argv, "-i", str(self.lab.inventory_file), str(whole_play)],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
            )
            began: dict[str, float] = {}
            took: dict[str, float] = {}
            assert process.stdout is not None
            for line in process.stdout:
                event, now = json.loads(line), time.perf_counter()
                if not str(event.get("step", "")).endswith("pkg_transaction"):
                    continue
                if event["event"] == "step.begin":
                    began[event["host"]] = now
                elif event["event"] == "step.done":
                    took[event["host"]] = took.get(event["host"], 0) + now - began[event["host"]]
            if process.wait() != 0:
                sys.exit("bare to done failed")
            whole = time.perf_counter() - begin
            case, slowest = f"c, round {number + 1}", max(took.values())
            rows.append(Row(case, "provision", whole, "s"))
            rows.append(Row(case, "package transactions", slowest, "s"))
            rows.append(at_most(case, "provision / the slowest host's package transactions", whole / slowest, 1.1))
        return rows

    def d(self) -> list[Row]:
        """In the desired state, many names for the same hosts."""
        open_files()
        rows, per_host = [], {}
        for names, rounds in ((100, 3), (500, 2), (1000, 2)):
            many = Project(self.lab, self.folder / f"names{names}", self.hosts, names)
            contenders = [many.floor(50), many.provision(50)]
            found = by_turns(contenders, rounds)
            if names == 500:
                found |= by_turns([many.pyinfra()], 1)
            mine, floor = found["provision"], found["login + true"]
            rows += costs(f"d, {names} names", found)
            cpu = median(mine, "cpu") / names * 1000
            per_host[names] = (cpu, median(mine) / names, median(mine, "peak"))
            if names == 100:
                continue
            rows.append(at_most(f"d, {names} names", "controller CPU per host", cpu, 8, "ms"))
            rows.append(at_most(f"d, {names} names", "wall / floor", ratio(mine, floor), 1.3))
            rows.append(at_most(f"d, {names} names", "peak memory", median(mine, "peak"), 150, "MB"))
            if names == 500:
                ratio_of_cpu = median(found["pyinfra"], "cpu") / median(mine, "cpu")
                rows.append(at_least(f"d, {names} names", "pyinfra's CPU / provision's", ratio_of_cpu, 8))
        start = median(
            by_turns([Contender("start", [PROVISION, "lint", "/dev/null"], ends=(0, 1))], 3)["start"], "peak"
        )
        growth = (per_host[1000][2] - per_host[100][2]) / 900 * 1024
        rows.append(Row("d", "peak of a start", start, "MB"))
        rows.append(at_most("d", "memory per host", growth, 100, "KiB"))
        rows.append(at_most("d", "CPU per host, 1000 names / 100", per_host[1000][0] / per_host[100][0], 1.1))
        rows.append(at_most("d", "wall per host, 1000 names / 100", per_host[1000][1] / per_host[100][1], 1.1))
        return rows

    def e(self) -> list[Row]:
        """In the desired state, over a slow line."""
        rows = []
        for milliseconds in (50, 200):
            with slow_lines(self.base.addresses, milliseconds / 1000) as ports:
                far = Project(self.lab, self.folder / f"far{milliseconds}", self.hosts, HOSTS, ports)
                found = by_turns([far.floor(), far.provision()], 3)
            rows += costs(f"e, {milliseconds} ms", found)
            more = median(found["provision"]) - median(found["login + true"])
            trips = more * 1000 / milliseconds
            case = f"e, {milliseconds} ms"
            what = "round trips more than login + true"
            rows.append(at_most(case, what, trips, 2 if milliseconds == 200 else None, ""))
        return rows

    def f(self) -> list[Row]:
        """Verification."""
        argv = [PROVISION, "verify", "-i", str(self.base.folder / "inventory.yml"), str(self.base.folder / "site.yml")]
        verify = Contender("verify", [*argv, "--suite", "settings", "--suite", "daemon"])
        found = by_turns([self.base.provision(), verify], ROUNDS)
        return [*costs("f", found), Row("f", "verify / apply", ratio(found["verify"], found["provision"]), "x")]

    def g(self) -> list[Row]:
        """Render and lint a thousand hosts, offline."""
        many = Project(self.lab, self.folder / "offline", self.hosts, 1000)
        argv = [PROVISION, "lint", "-i", str(many.folder / "inventory.yml"), str(many.folder / "site.yml")]
        found = by_turns([Contender("lint", argv, ends=(0, 1))], ROUNDS)
        return [*costs("g", found), at_most("g", "1000 hosts rendered and linted", median(found["lint"]), 1, "s")]

    def h(self) -> list[Row]:
        """The first output that a user sees."""
        contenders = [
            Contender("python -c pass", [PYTHON, "-c", "pass"]),
            Contender("--help", [PROVISION, "--help"]),
            Contender("--version", [PROVISION, "--version"]),
            Contender("--completion", [PROVISION, "--completion", "bash"]),
        ]
        found = by_turns(contenders, 4 * ROUNDS)
        floor = found["python -c pass"]
        return [
            *costs("h", found),
            at_most("h", "--help / python -c pass", ratio(found["--help"], floor), 5),
            Row("h", "--version / python -c pass", ratio(found["--version"], floor), "x"),
            Row("h", "--completion / python -c pass", ratio(found["--completion"], floor), "x"),
        ]


def show(rows: list[Row]) -> None:
    table = [("case", "what", "measured", "target", ""), *(row.cells() for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(5)]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip(), flush=True)


def main() -> None:
    # c last: it makes some of the hosts bare.
    wanted = sorted(os.environ.get("CASES", "a,b,c,d,e,f,g,h").split(","), key="abdefghc".index)
    peers.environment()
    lab = Lab("bench")
    started = lab.up(dict.fromkeys(lab.names(HOSTS), "trixie"))
    rows: list[Row] = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(lab, Path(folder))
            bench.prepare()
            for case in wanted:
                run: Callable[[], list[Row]] = getattr(bench, case)
                rows += (found := run())
                show(found)
    finally:
        lab.down([record.name for record in started])
    print()
    show([row for row in rows if row.target])
    print(f"\nmedians, whole processes, by turns; {os.cpu_count()} cores shared with the {HOSTS} hosts")
    data = [{"case": r.case, "what": r.what, "value": r.value, "unit": r.unit, "target": r.target} for r in rows]
    (ROOT / "bench/full.json").write_text(json.dumps(data, indent=1) + "\n")
    if set(wanted) >= set("abde"):
        (ROOT / "docs/performance.svg").write_text(plot.svg([(r.case, r.what, r.value, r.unit) for r in rows]))


if __name__ == "__main__":
    main()
