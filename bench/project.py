"""The hosts and their declared state: the same five things for all contenders, in the form of each contender."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from bench import peers
from bench.measure import Contender, once
from provision.lab import cgroups, keys, mirror
from provision.lab.labs import Lab

#: The names of the hosts. They are the same for all, so that many names can be one host.
NAME = "bench"
_PROVISION = str(Path(sys.executable).parent / "provision")
SYSCTL = "net.ipv4.ip_forward = 1\n"
#: The command that reports the state of a host, to check that every contender leaves the same state.
_STATE = (
    "hostname; cat /etc/sysctl.d/90-bench.conf /etc/docker/daemon.json | sha256sum;"
    " dpkg-query -W docker-ce; systemctl is-active docker; systemctl is-enabled docker"
)


class Project:
    """A directory with all files; ``names`` may be many times the number of hosts."""

    def __init__(self, lab: Lab, folder: Path, hosts: Sequence[str], names: int, ports: dict[str, int] | None = None):
        self.lab, self.folder, self.hosts = lab, folder, list(hosts)
        folder.mkdir(parents=True, exist_ok=True)
        self.addresses = [lab.record(name).address for name in hosts]
        self.names = {f"n{number:04d}": self.addresses[number % len(hosts)] for number in range(names)}
        # For a slow line: a port of this machine for each host.
        self.ports = ports or {}
        self.known_hosts = lab.known_hosts
        self._inventories()
        self.declare({})

    def declare(self, daemon: dict[str, object]) -> None:
        driver = [f"native.cgroupdriver={cgroups.driver()}"]
        (self.folder / "daemon.json").write_text(json.dumps({"exec-opts": driver, **daemon}, indent=2) + "\n")
        (self.folder / "sysctl.conf").write_text(SYSCTL)
        spec = {
            "hostname": NAME,
            "files": {
                "/etc/sysctl.d/90-bench.conf": {"src": "sysctl.conf"},
                "/etc/docker/daemon.json": {"src": "daemon.json"},
            },
            "packages": ["docker-ce"],
            "services": {
                "docker": {
                    "enabled": True,
                    "running": True,
                    "watch": ["/etc/docker/daemon.json"],
                    "on_change": "reload" if "labels" in daemon else "restart",
                }
            },
        }
        (self.folder / "site.yml").write_text(yaml.safe_dump([{"name": "Bench", "hosts": "all", "spec": spec}]))

    def install(self, *packages: str) -> None:
        """Make the hosts Docker hosts, with provision; install ``packages`` too."""
        engine = {
            "package_mirror": mirror.URL,
            "fingerprint": keys.fingerprint(self.lab.store),
            "plugins": [],
            "daemon": {"exec-opts": [f"native.cgroupdriver={cgroups.driver()}"]},
        }
        play = self.folder / "install.yml"
        spec = {"engine": engine, "packages": list(packages)}
        play.write_text(yaml.safe_dump([{"name": "Install", "hosts": "all", "spec": spec}]))
        argv = [_PROVISION, "apply", "--yes", "--no-lint", "-i", str(self.folder / "inventory.yml"), str(play)]
        once(Contender("install", argv))

    def _place(self, address: str) -> tuple[str, int]:
        return ("127.0.0.1", self.ports[address]) if self.ports else (address, 22)

    def _inventories(self) -> None:
        variables = {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.lab.store.key),
            "provision_known_hosts": str(self._known()),
        }
        hosts = {}
        for name, address in self.names.items():
            place, port = self._place(address)
            hosts[name] = {"ansible_host": place, **({"ansible_port": port} if self.ports else {})}
        whole = {"all": {"vars": variables, "children": {"docker": {"hosts": hosts}}}}
        (self.folder / "inventory.yml").write_text(yaml.safe_dump(whole))
        login = {"ssh_user": "root", "ssh_key": str(self.lab.store.key), "ssh_known_hosts_file": str(self._known())}
        rows = [
            (name, {"ssh_hostname": place, "ssh_port": port, **login})
            for name, (place, port) in ((name, self._place(address)) for name, address in self.names.items())
        ]
        (self.folder / "inventory.py").write_text(f"hosts = {rows!r}\n")

    def _known(self) -> Path:
        """Host keys by the addresses at which the hosts are reached."""
        if not self.ports:
            return self.known_hosts
        lines = []
        for line in self.known_hosts.read_text().splitlines():
            address, rest = line.split(" ", 1)
            if address in self.ports:
                lines.append(f"[127.0.0.1]:{self.ports[address]} {rest}\n")
        place = self.folder / "known_hosts"
        place.write_text("".join(lines))
        return place

    def provision(self, forks: int = 50, before: Callable[[int], None] | None = None, *words: str) -> Contender:
        argv = [_PROVISION, "apply", "--yes", "--no-lint", "-f", str(forks), *words]
        argv += ["-i", str(self.folder / "inventory.yml"), str(self.folder / "site.yml")]
        return Contender("provision", argv, before=before)

    def floor(self, threads: int = 20) -> Contender:
        return Contender("login + true", self.floor_of("true", threads))

    def floor_of(self, command: str, threads: int = 20) -> list[str]:
        """A login to each host, and one command."""
        return [sys.executable, "-m", "bench.floor", str(self.folder / "inventory.yml"), str(threads), command]

    def pyinfra(self, how: str = "reloaded", before: Callable[[int], None] | None = None) -> Contender:
        data = [f"wanted_name={NAME}", f"files={self.folder}", f"how={how}"]
        # sshd begins to drop further clients while ten have not logged in yet (MaxStartups), and pyinfra connects only
        # once.
        parallel = min(len(self.names), 8 * len(self.hosts))
        argv = [str(peers.environment() / "pyinfra"), "-y", "--parallel", str(parallel)]
        argv += [word for pair in data for word in ("--data", pair)]
        argv += [str(self.folder / "inventory.py"), str(peers.HERE / "deploy_pyinfra.py")]
        return Contender("pyinfra", argv, {"SSH_AUTH_SOCK": ""}, before)

    def ansible(
        self, how: str = "reloaded", before: Callable[[int], None] | None = None, facts: bool = False
    ) -> Contender:
        """Ansible gathers ``facts`` unless its configuration switches that off; none of these tasks needs a fact."""
        argv = [str(peers.environment() / "ansible-playbook"), "-i", str(self.folder / "inventory.yml")]
        argv += ["-f", str(len(self.names)), "-e", f"files={self.folder} how={how} wanted_name={NAME}"]
        argv += ["-e", "ansible_python_interpreter=/usr/bin/python3", str(peers.HERE / "site.ansible.yml")]
        environment = {
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_GATHERING": "implicit" if facts else "explicit",
            "ANSIBLE_SSH_ARGS": f"-o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile={self._known()}",
            "ANSIBLE_NOCOWS": "1",
            "LC_ALL": "C.UTF-8",
        }
        return Contender("ansible with facts" if facts else "ansible", argv, environment, before)

    def fabric(self) -> Contender:
        argv = [str(peers.environment() / "python"), str(peers.HERE / "plain_fabric.py")]
        return Contender("fabric, five questions", [*argv, str(self.folder / "inventory.yml")])

    def states(self) -> set[str]:
        """The different states of the hosts; there should be only one."""
        return set(self.everywhere(_STATE))

    def everywhere(self, command: str) -> list[str]:
        with ThreadPoolExecutor(max_workers=8) as pool:
            argv = [[*self.lab.ssh(name), command] for name in self.hosts]
            return list(pool.map(lambda words: subprocess.check_output(words, text=True), argv))
