"""Fresh hosts of the lab, one for each test that requests one, and runs of the command line against them."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from provision.lab import cgroups, keys, mirror, newer
from provision.lab.labs import Lab, missing
from provision.transport import known_hosts
from tests import preloaded
from tools import leftovers
from tools.leftovers import own

#: The lab of this test run. Its name differs from that of a running lab and of another run of the tests.
LAB = Lab(leftovers.PREFIX + "".join(chr(ord("a") + int(digit)) for digit in str(os.getpid())))
_numbers = itertools.count(1)


#: The files that take the longest start first, so that none of them runs alone at the end. Files whose tests share
#: hosts come before all others, because one process runs such a file as a whole.
_LONGEST = [
    f"test_{name}.py"
    for name in (
        *("vm", "newer_engine", "registry", "rollout", "processes"),
        *("families", "foundation", "torture", "cis", "mutations", "verify", "bridge", "containers", "dockerd"),
        *("transactions", "undo"),
    )
]

#: The tests that `make test` runs.
_CHOSEN = set(yaml.safe_load(Path(__file__).with_name("chosen.yml").read_text())["capabilities"].values())

#: Fixtures of hosts that several tests of a file share.
_SHARED = {"docker_fleet", "shared"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _LONGEST.index(name) if (name := item.path.name) in _LONGEST else len(_LONGEST))
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.lab)
            if item.nodeid.removeprefix("tests/lab/") in _CHOSEN:
                item.add_marker(pytest.mark.chosen)
            if config.getoption("timeout") is None and item.get_closest_marker("timeout") is None:
                # On a new machine, the process that requests an image first builds it.
                item.add_marker(pytest.mark.timeout(1800))
        if _SHARED & {*getattr(item, "fixturenames", ())}:
            # Tests that share hosts run in one process, in the order of the file (pytest-xdist's --dist loadgroup).
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@dataclass
class Outcome:
    """What a run of the command line returned."""

    code: int
    out: str
    err: str

    def __post_init__(self) -> None:
        """Print the errors of hosts: pytest shows them with a test that fails."""
        for line in self.out.splitlines():
            if line.startswith('{"event": "host.done"') and "error" in (event := json.loads(line)):
                print(event["host"], event["error"])

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    def all(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == name]

    @property
    def done(self) -> dict[str, Any]:
        """The host.done event of the only host. The run's last event must be run.done."""
        assert self.events[-1]["event"] == "run.done", self.out
        (done,) = self.all("host.done")
        return done

    @property
    def counts(self) -> dict[str, int]:
        counts = self.events[-1]["counts"]
        assert set(counts) == {"ok", "changed", "failed", "unreachable", "rolled_back", "skipped"}
        return {key: value for key, value in counts.items() if value}

    @property
    def failed(self) -> set[str]:
        """The checks of a verification that failed."""
        return {event["check"] for event in self.all("check.done") if event["outcome"] == "failed"}

    @property
    def items(self) -> list[str]:
        """What the plan would change, in words."""
        return [item["summary"] for event in self.all("host.plan") for item in event["items"]]


@dataclass
class LabHost:
    """One lab host with its own project directory (inventory, playbook)."""

    name: str
    address: str
    folder: Path
    variables: dict[str, Any] = field(default_factory=dict)
    #: provision_transport of every host, in the tests that use both transports
    transport: ClassVar[str | None] = None
    lab: Lab = LAB
    #: options of every run, for a host that is slow
    patience: tuple[str, ...] = ()

    def sh(self, script: str, *, check: bool = True) -> str:
        """Run a script on the host as root, over ssh, not through provision."""
        done = subprocess.run([*self.lab.ssh(self.name), script], capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def within(self, script: str) -> str:
        """Run a script inside the host by its namespaces. This works also when the host is not reachable over its
        network."""
        nspawn = subprocess.check_output(["pgrep", "-n", "-f", f"^systemd-nspawn .*--machine={self.name} "], text=True)
        init = subprocess.check_output(["pgrep", "-P", nspawn.strip()], text=True).split()[0]
        done = subprocess.run(
            ["nsenter", "-t", init, "-a", "sh", "-c", script], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def inventory(self, **variables: Any) -> Path:
        base = {
            "ansible_host": self.address,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.lab.store.key),
            "provision_known_hosts": str(self.lab.known_hosts),
            "provision_transport": self.transport,
        }
        path = self.folder / "inventory.yml"
        found = {key: value for key, value in (base | self.variables | variables).items() if value is not None}
        path.write_text(yaml.safe_dump({"docker": {"hosts": {self.name: found}}}))
        return path

    def playbook(self, *plays: dict[str, Any]) -> Path:
        path = self.folder / "site.yml"
        whole = [{"name": "Docker hosts", "hosts": "docker", **play} for play in plays]
        path.write_text(yaml.safe_dump(whole, allow_unicode=True, sort_keys=False))
        return path

    def provision(self, command: str, *words: str, spec: dict[str, Any] | None = None, **variables: Any) -> Outcome:
        if not (self.folder / "inventory.yml").exists() or variables:
            self.inventory(**variables)
        if spec is not None:
            self.playbook({"spec": spec})
        extra = ["--yes"] if command == "apply" else []
        files = ["-i", str(self.folder / "inventory.yml"), str(self.folder / "site.yml")]
        done = preloaded.run([command, *files, "--json", *extra, *self.patience, *words])
        return Outcome(done.returncode, done.stdout, done.stderr)

    def apply(self, spec: dict[str, Any] | None = None, *words: str, **variables: Any) -> Outcome:
        return self.provision("apply", *words, spec=spec, **variables)

    def rollback(self, run: str) -> Outcome:
        files = [str(self.folder / "site.yml"), "-i", str(self.folder / "inventory.yml")]
        done = preloaded.run(["rollback", run, *files, "--yes", "--json"])
        return Outcome(done.returncode, done.stdout, done.stderr)

    def plan(self, spec: dict[str, Any] | None = None, *words: str, **variables: Any) -> Outcome:
        return self.provision("plan", *words, spec=spec, **variables)

    def sessions(self) -> int:
        """The number of execs that the host's own sshd has counted."""
        log = self.sh(
            "journalctl --sync; journalctl -q -o cat _COMM=sshd-session _COMM=sshd | grep -c 'Starting session' || true"
        )
        return int(log) - 1  # the last one is this command

    def docker_info(self, field: str) -> str:
        return self.sh(f"docker info --format '{{{{.{field}}}}}'")

    def dockerd_pid(self) -> str:
        return self.sh("systemctl show -p MainPID --value docker")


def inventory_of(*hosts: LabHost) -> str:
    """One inventory for several hosts."""
    lines = [
        f"    {host.name}: {{ansible_host: {host.address}, ansible_user: root,"
        f" ansible_ssh_private_key_file: {LAB.store.key}, provision_known_hosts: {LAB.known_hosts}}}\n"
        for host in hosts
    ]
    return "docker:\n  hosts:\n" + "".join(lines)


def wrap(host: LabHost, arms: str) -> None:
    """Install a fake docker: ``arms`` are arms of a `case` on its command."""
    script = f'#!/bin/sh\ncase $1 in\n{arms}\nesac\nexec /usr/bin/docker "$@"\n'
    command = "cat >/usr/local/bin/docker && chmod +x /usr/local/bin/docker"
    subprocess.run([*LAB.ssh(host.name), command], input=script.encode(), check=True)


def engine(**daemon: Any) -> dict[str, Any]:
    """An engine from the lab's mirror, with the cgroup driver that this machine needs. ``LAB_ENGINE=newest`` makes it
    the newest one, so that any file of tests also runs with that engine."""
    return newer_engine(**daemon) if os.environ.get("LAB_ENGINE") == "newest" else stable_engine(**daemon)


def stable_engine(**daemon: Any) -> dict[str, Any]:
    """An engine of the channel ``stable``, for the tests of one version of it."""
    return {
        "package_mirror": mirror.URL,
        "fingerprint": keys.fingerprint(LAB.store),
        "plugins": [],
        "daemon": {"exec-opts": [f"native.cgroupdriver={cgroups.driver()}"], **daemon},
    }


def newer_engine(**daemon: Any) -> dict[str, Any]:
    """The newest engine of the lab's mirror, if the mirror has one that no Debian release has. Otherwise the test is
    skipped."""
    found = newer.versions(subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip())
    if not found:
        pytest.skip(f"no engine newer than Debian's in {newer.folder()} (PROVISION_LAB_ENGINES)")
    return {**stable_engine(**daemon), "channel": "test", "version": found[-1]}


def slow_package(host: LabHost, postinst: str) -> None:
    """Build the package /tmp/slow.deb, whose installation ends with ``postinst``."""
    host.sh(
        "mkdir -p /tmp/slow/DEBIAN && cd /tmp/slow && printf 'Package: slow\\nVersion: 1\\nArchitecture: all\\n"
        "Maintainer: x <x@example.com>\\nDescription: x\\n' >DEBIAN/control && "
        f"printf '#!/bin/sh\\n%s\\n' {shlex.quote(postinst)} >DEBIAN/postinst && chmod +x DEBIAN/postinst && "
        "dpkg-deb -b /tmp/slow /tmp/slow.deb >/dev/null"
    )


def docker_answers(host: LabHost) -> None:
    """Wait for docker on a host that has just been started."""
    host.sh(
        "for n in $(seq 1200); do docker info >/dev/null 2>&1 && exit 0; sleep 0.2; done;"
        " journalctl -q -u docker -u containerd -n 30 -o cat --no-pager; exit 1"
    )


@pytest.fixture(scope="session", autouse=True)
def lab() -> Iterator[Lab]:
    if lacks := missing():
        pytest.fail("the lab can't run here; missing: " + "; ".join(lacks))
    leftovers.remove()
    yield LAB
    LAB.down()


NewHost = Callable[..., LabHost]


@pytest.fixture
def new_host(lab: Lab, tmp_path: Path) -> Iterator[NewHost]:
    """A function that boots a fresh host, which is removed when the test ends."""
    names: list[str] = []

    def boot(suite: str = "trixie", like: str | None = None, **variables: Any) -> LabHost:
        name = f"{LAB.name}{next(_numbers):02d}"
        names.append(name)
        own(lab)
        (record,) = lab.up({name: suite}, like=like)
        # For tests that connect without provision: another host may have the address by now.
        known_hosts.read.cache_clear()
        folder = tmp_path / name
        folder.mkdir()
        return LabHost(name, record.address, folder, variables)

    yield boot
    lab.down(names)


@pytest.fixture
def host(new_host: NewHost) -> LabHost:
    return new_host()


@pytest.fixture(params=["ssh", "openssh"])
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test runs over both transports: provision_transport of every host that it boots."""
    monkeypatch.setattr(LabHost, "transport", request.param)
    return str(request.param)


@pytest.fixture(scope="session")
def docker_model(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Docker host that provision has set up. Tests that begin with one copy its files."""
    name = f"{LAB.name}model"
    own(lab)
    (record,) = lab.up({name: "trixie"})
    host = LabHost(name, record.address, tmp_path_factory.mktemp(name))
    outcome = host.apply({"engine": engine()})
    assert outcome.counts == {"changed": 1}, outcome.out + outcome.err
    host.sh("systemctl stop docker.socket docker containerd; sync")
    lab.model(name)
    return name


@pytest.fixture
def docker_host(new_host: NewHost, docker_model: str) -> LabHost:
    """A Docker host that provision has set up, and the playbook for it."""
    host = new_host(like=docker_model)
    host.inventory()
    host.playbook({"spec": {"engine": engine()}})
    docker_answers(host)
    return host


@pytest.fixture(scope="module")
def docker_fleet(
    lab: Lab, docker_model: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[int], list[LabHost]]]:
    """A function that boots several Docker hosts for all tests of a file. The first host's directory has the inventory
    of all."""
    names: list[str] = []

    def boot(count: int) -> list[LabHost]:
        new = [f"{LAB.name}{next(_numbers):02d}" for _ in range(count)]
        names.extend(new)
        own(lab)
        records = {record.name: record for record in lab.up(dict.fromkeys(new, "trixie"), like=docker_model)}
        hosts = [LabHost(name, records[name].address, tmp_path_factory.mktemp(name)) for name in new]
        for host in hosts:
            docker_answers(host)
        return hosts

    yield boot
    lab.down(names)


def together(hosts: list[LabHost]) -> list[LabHost]:
    """One inventory of all hosts, in the first host's directory."""
    known_hosts.read.cache_clear()
    (hosts[0].folder / "inventory.yml").write_text(inventory_of(*hosts))
    return hosts
