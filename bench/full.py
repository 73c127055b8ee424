"""``make bench-full``: provision compared with its peers, case by case, alternating in one run.

Every contender is a whole process with the same declared result; the bench checks that all leave the same state on the
hosts. Prints the costs and ratios compared with targets, and writes ``bench/full.json``. A run of all cases also writes
``docs/performance.json``, the tables of ``docs/performance.md`` and its picture. ``CASES=a,b`` runs some of the cases.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from itertools import count
from pathlib import Path

import yaml

from bench import fleet, logins, pages, peers, processes, result
from bench.delay import slow_lines
from bench.measure import ROOT, Contender, Sample, by_turns, median, once, open_files, ratio
from bench.project import Project
from bench.result import Found, Machine, Value
from provision.lab.labs import Lab

HOSTS = int(os.environ.get("HOSTS", "20"))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
PYTHON = sys.executable
PROVISION = str(Path(PYTHON).parent / "provision")
#: Ansible's hostname module asks hostnamed, which exits when it is idle. On 20 hosts that share two cores, its start
#: can exceed D-Bus's timeout (25 s). This command starts it before the run and keeps it up; only Ansible asks it.
_HOSTNAMED = (
    "mkdir -p /run/systemd/system/systemd-hostnamed.service.d"
    " && printf '[Service]\nEnvironment=SYSTEMD_EXIT_ON_IDLE=0\n'"
    " > /run/systemd/system/systemd-hostnamed.service.d/stay.conf"
    " && systemctl daemon-reload && systemctl start systemd-hostnamed"
)


def at_most(case: str, what: str, value: float, bound: float | None = None, unit: str = "x") -> Value:
    """A number without a bound is only reported, and not compared."""
    return Value(case, what, value, unit, bound)


def at_least(case: str, what: str, value: float, bound: float | None = None, unit: str = "x") -> Value:
    return Value(case, what, value, unit, bound, "least")


def against_peers(
    case: str, found: dict[str, list[Sample]], pyinfra: float | None = None, ansible: float | None = None
) -> list[Value]:
    """The times of the peers divided by the time of provision, and the least that the ratio should be. Ansible runs
    only once."""
    mine = found["provision"]
    return [
        at_least(case, "pyinfra / provision", ratio(found["pyinfra"], mine), pyinfra),
        at_least(case, "ansible / provision", median(found["ansible"]) / median(mine), ansible),
    ]


class Bench:
    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        self.hosts = lab.names(HOSTS)
        self.base = Project(lab, folder / "base", self.hosts, HOSTS)
        # Twenty hosts share the cores of this machine; two hosts have one core each, as the hosts of a fleet do.
        self.pair = Project(lab, folder / "pair", self.hosts[:2], 2)
        # Each change takes the next value, so that it differs from the last one.
        self.count = count()

    def prepare(self) -> None:
        """Install Docker on all hosts with provision, and Python, which Ansible requires."""
        self.base.install("python3-apt")
        self.base.everywhere(_HOSTNAMED)
        once(self.base.provision())
        time.sleep(10)  # for background work of the installation

    def a(self) -> Found:
        """In the desired state."""
        floor, provision, pyinfra = self.base.floor(), self.base.provision(), self.base.pyinfra()
        found = by_turns([floor, provision, pyinfra, self.base.fabric()], ROUNDS)
        self._same("pyinfra", self.base)
        counts = {one.name: logins.cost(self.lab, self.hosts, one) for one in (provision, pyinfra, self.base.fabric())}
        counts["ansible"] = logins.cost(self.lab, self.hosts, self.base.ansible())
        # Ansible takes minutes, so one run serves both to count its logins and to measure it.
        found["ansible"] = [counts["ansible"].sample]
        found["ansible with facts"] = [once(self.base.ansible(facts=True))]
        self._same("ansible", self.base)
        mine = found["provision"]
        rows = Found()
        rows.add("a", found)
        for name, cost in counts.items():
            rows.values.append(Value("a", f"{name}: connections a host, by its sshd", cost.connections))
            rows.values.append(Value("a", f"{name}: execs a host, by its sshd", cost.execs))
        stock = median(found["ansible with facts"])
        rows.values += [
            at_most("a", "provision / login + true", ratio(mine, found["login + true"]), 1.5),
            *against_peers("a", found, 3.5, 100),
            Value("a", "ansible with facts / provision", stock / median(mine), "x"),
        ]
        rows += self._two()
        return rows

    def _two(self) -> Found:
        found = by_turns([self.pair.floor(), self.pair.provision(), self.pair.pyinfra()], ROUNDS)
        found["ansible"] = [once(self.pair.ansible())]
        case, times = "a, 2 hosts", ratio(found["provision"], found["login + true"])
        rows = Found()
        rows.add(case, found)
        rows.values += [Value(case, "provision / login + true", times, "x"), *against_peers(case, found)]
        return rows

    def _same(self, who: str, project: Project) -> None:
        states = project.states()
        if len(states) != 1:
            sys.exit(f"{who} leaves the hosts in {len(states)} different states: {states}")

    def b(self) -> Found:
        """One key of daemon.json changed: one that needs a reload, and one that needs a restart."""
        rows = Found()
        rows += self._reload(self.base, "b, reload", 1.2, 30)
        rows += self._restart(self.base, "b, restart", 1.4)
        rows += self._reload(self.pair, "b, 2 hosts, reload", 2.5)
        rows += self._restart(self.pair, "b, 2 hosts, restart", 1.25)
        self.base.declare({})
        once(self.base.provision())
        return rows

    def _reload(self, project: Project, case: str, pyinfra: float, ansible: float | None = None) -> Found:
        def label(number: int) -> None:
            project.declare({"labels": [f"round={next(self.count)}"]})

        def own(number: int) -> None:
            # Each contender starts from hosts that it has set up: after pyinfra has replaced docker's file, provision
            # has no record of what docker has loaded.
            label(number)
            once(project.provision())
            label(number)

        reload = Contender("login + reload", project.floor_of("systemctl reload docker"))
        found = by_turns([reload, project.provision(before=own), project.pyinfra("reloaded", label)], ROUNDS)
        found["ansible"] = [once(project.ansible("reloaded", label))]
        self._same("the reload", project)
        floor = found[reload.name]
        rows = Found()
        rows.add(case, found)
        rows.values += [
            *against_peers(case, found, pyinfra, ansible),
            # The lower bound for every contender: a login, and only the reload.
            Value(case, "pyinfra / login + reload", ratio(found["pyinfra"], floor), "x"),
            Value(case, "provision / login + reload", ratio(found["provision"], floor), "x"),
        ]
        return rows

    def _restart(self, project: Project, case: str, bound: float) -> Found:
        restart = Contender("docker's own restart", project.floor_of("systemctl restart docker"))
        # docker's unit allows only three starts in a minute.
        forget = "systemctl reset-failed docker"
        project.everywhere(forget)

        def clean(number: int) -> None:
            project.everywhere(forget)
            level = ("info", "warn")[next(self.count) % 2]
            project.declare({"log-level": level, "max-concurrent-downloads": 3 + number})

        found = by_turns([restart, project.provision(before=clean)], ROUNDS)
        rows = Found()
        rows.add(case, found)
        times = ratio(found["provision"], found[restart.name])
        rows.values.append(at_most(case, "provision / docker's own", times, bound))
        return rows

    def c(self) -> Found:
        """A whole run on bare hosts, compared with the slowest host's own package transactions in the same run. Hosts
        do not wait until docker has run for a while (``health.steady``): that wait is declared, and is not work."""
        rows, names = Found(), self.hosts[:5]
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
            rows.values += [
                Value(case, "provision, whole process", whole, "s"),
                Value(case, "package transactions of the slowest host", slowest, "s"),
                at_most(case, "provision / package transactions", whole / slowest, 1.12),
            ]
        return rows

    def d(self) -> Found:
        """In the desired state, many names for the same hosts."""
        open_files()
        rows, per_host = Found(), {}
        for names, rounds in ((100, 3), (500, 2), (1000, 2)):
            case = f"d, {names} names"
            many = Project(self.lab, self.folder / f"names{names}", self.hosts, names)
            found = by_turns([many.floor(50), many.provision(50)], rounds)
            if names == 500:
                found["pyinfra"] = [once(many.pyinfra())]
            mine, floor = found["provision"], found["login + true"]
            rows.add(case, found)
            cpu, login = (median(one, "cpu") / names * 1000 for one in (mine, floor))
            per_host[names] = (cpu, median(mine) / names, median(mine, "peak"))
            if names == 100:
                continue
            rows.values += [
                at_most(case, "controller CPU per host", cpu, 8, "ms"),
                at_most(case, "controller CPU per host, above the login", cpu - login, 1, "ms"),
                at_most(case, "wall / floor", ratio(mine, floor), 1.3),
                at_most(case, "peak memory", median(mine, "peak"), 150, "MB"),
            ]
            if names == 500:
                ratio_of_cpu = median(found["pyinfra"], "cpu") / median(mine, "cpu")
                rows.values.append(at_least(case, "pyinfra's CPU / provision's", ratio_of_cpu, 8))
        begun = by_turns([Contender("start", [PROVISION, "lint", "/dev/null"], ends=(0, 1))], 3)["start"]
        growth = (per_host[1000][2] - per_host[100][2]) / 900 * 1024
        rows.values += [
            Value("d", "peak of a start", median(begun, "peak"), "MB"),
            at_most("d", "memory per host", growth, 100, "KiB"),
            at_most("d", "CPU per host, 1000 names / 100", per_host[1000][0] / per_host[100][0], 1.1),
            at_most("d", "wall per host, 1000 names / 100", per_host[1000][1] / per_host[100][1], 1.1),
        ]
        return rows

    def e(self) -> Found:
        """In the desired state, over a slow line."""
        rows = Found()
        for milliseconds in (50, 200):
            case = f"e, {milliseconds} ms"
            with slow_lines(self.base.addresses, milliseconds / 1000) as ports:
                far = Project(self.lab, self.folder / f"far{milliseconds}", self.hosts, HOSTS, ports)
                found = by_turns([far.floor(), far.provision()], 3)
            rows.add(case, found)
            more = median(found["provision"]) - median(found["login + true"])
            trips = more * 1000 / milliseconds
            bound = 2 if milliseconds == 200 else None
            rows.values.append(at_most(case, "round trips more than login + true", trips, bound, ""))
        return rows

    def f(self) -> Found:
        """Verification."""
        argv = [PROVISION, "verify", "-i", str(self.base.folder / "inventory.yml"), str(self.base.folder / "site.yml")]
        verify = Contender("verify", [*argv, "--suite", "settings", "--suite", "daemon"])
        found = by_turns([self.base.provision(), verify], ROUNDS)
        rows = Found()
        rows.add("f", found)
        rows.values.append(Value("f", "verify / apply", ratio(found["verify"], found["provision"]), "x"))
        return rows

    def g(self) -> Found:
        """Render, lint and compile many hosts, offline."""
        many = Project(self.lab, self.folder / "offline", self.hosts, 1000)
        contenders = [Contender("lint", self._lint(many.folder), ends=(0, 1))]
        for name, own in (("lint, 10000 equal hosts", False), ("lint, 10000 different hosts", True)):
            contenders.append(Contender(name, self._lint(fleet.write(self.folder / name, 10_000, own))))
        rows, found = Found(), by_turns(contenders, ROUNDS)
        rows.add("g", found)
        rows.values.append(at_most("g", "1000 hosts rendered and linted", median(found["lint"]), 1, "s"))
        for contender in contenders[1:]:
            what, samples = contender.name.removeprefix("lint, "), found[contender.name]
            rows.values.append(at_most("g", f"{what} rendered, linted and compiled", median(samples), 5, "s"))
            rows.values.append(at_most("g", f"{what}, peak memory", median(samples, "peak"), 500, "MB"))
        return rows

    def _lint(self, folder: Path) -> list[str]:
        return [PROVISION, "lint", "-i", str(folder / "inventory.yml"), str(folder / "site.yml")]

    def h(self) -> Found:
        """The first output that a user sees."""
        contenders = [
            Contender("python -c pass", [PYTHON, "-c", "pass"]),
            Contender("--help", [PROVISION, "--help"]),
            Contender("--version", [PROVISION, "--version"]),
            Contender("--completion", [PROVISION, "--completion", "bash"]),
        ]
        rows, found = Found(), by_turns(contenders, 4 * ROUNDS)
        rows.add("h", found)
        floor = found["python -c pass"]
        rows.values += [
            at_most("h", "--help / python -c pass", ratio(found["--help"], floor), 5),
            Value("h", "--version / python -c pass", ratio(found["--version"], floor), "x"),
            Value("h", "--completion / python -c pass", ratio(found["--completion"], floor), "x"),
        ]
        return rows

    def i(self) -> Found:
        """One and two worker processes: on a few of the hosts, which share the cores with the controller, and in a
        simulation."""
        open_files()
        return processes.compare(Project(self.lab, self.folder / "processes", self.hosts[:4], 200), rounds=ROUNDS)


#: The cases, in the order in which they run. c is the last one, because it makes some of the hosts bare. For a case in
#: a separate module, add a line here.
CASES: dict[str, Callable[[Bench], Found]] = {
    "a": Bench.a,
    "b": Bench.b,
    "d": Bench.d,
    "e": Bench.e,
    "f": Bench.f,
    "g": Bench.g,
    "h": Bench.h,
    "i": Bench.i,
    "c": Bench.c,
}


def machine() -> Machine:
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return Machine(
        date.today().isoformat(),
        os.cpu_count() or 1,
        cpu[1].strip() if cpu is not None else "unknown",
        HOSTS,
        platform.python_version(),
        peers.versions(),
    )


def main() -> None:
    wanted = os.environ.get("CASES", ",".join(CASES)).split(",")
    if unknown := set(wanted) - set(CASES):
        sys.exit(f"CASES: no such case: {', '.join(sorted(unknown))}")
    peers.environment()
    lab = Lab("bench")
    started = lab.up(dict.fromkeys(lab.names(HOSTS), "trixie"))
    found = Found()
    try:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(lab, Path(folder))
            bench.prepare()
            for case, run in CASES.items():
                if case in wanted:
                    rows = run(bench)
                    found += rows
                    print(f"{pages.text(rows)}\n", flush=True)
    finally:
        lab.down([record.name for record in started])
    made = result.Result(machine(), found.sorted())
    result.write(ROOT / "bench/full.json", made)
    # The page shows only the result of a run of all cases with the default hosts and rounds.
    if set(wanted) == set(CASES) and not {"HOSTS", "ROUNDS"} & os.environ.keys():
        result.write(pages.RESULT, made)
        pages.publish(made)


if __name__ == "__main__":
    main()
