"""A lab: a named set of throwaway hosts. Start it, show its status, stop it; each of these can be repeated safely."""

from __future__ import annotations

import os
import platform
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from provision.errors import LabError
from provision.lab import cgroups, disk, identity, images, keys, mirror, network, nspawn, vm
from provision.lab.store import FIRST, LAST, Record, Store, alive

#: Program -> the Debian package that contains it.
_PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "apt-ftparchive": "apt-utils",
    "gpg": "gpg",
    "dpkg-deb": "dpkg",
    "ssh-keygen": "openssh-client",
    "ssh": "openssh-client",
    "mount": "mount",
    "pgrep": "procps",
}
#: Further programs that a virtual machine needs.
_VM_PROGRAMS = {
    f"qemu-system-{platform.machine()}": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mke2fs": "e2fsprogs",
}
_MACHINES = {"nspawn": nspawn, "vm": vm}


def missing(virtual: bool = False) -> list[str]:
    """The things that this machine lacks to run a lab, each with the solution; empty when nothing is missing."""
    if platform.system() != "Linux":
        return [f"Linux (this is {platform.system()})"]
    lacks = [] if os.geteuid() == 0 else ["root (required for mounts and network namespaces)"]
    wanted = _PROGRAMS | images.PROGRAMS | (_VM_PROGRAMS if virtual else {})
    absent = [name for name in wanted if shutil.which(name) is None]
    if absent:
        packages = " ".join(sorted({wanted[name] for name in absent}))
        lacks.append(f"{', '.join(absent)} (on Debian: apt-get install {packages})")
    return lacks


class Lab:
    """The lab called ``name``. Hosts of different labs share the bridge, the mirror and the caches."""

    def __init__(self, name: str = "lab", store: Store | None = None) -> None:
        self.name = name
        self.store = store or Store()

    def names(self, count: int) -> list[str]:
        return [f"{self.name}{number:02d}" for number in range(1, count + 1)]

    def up(
        self, hosts: dict[str, str], kind: Literal["nspawn", "vm"] = "nspawn", like: str | None = None
    ) -> list[Record]:
        """Boot those of ``hosts`` (name -> image) that do not run yet; return the hosts that were started.

        With ``vm`` each host has a separate kernel. ``like`` names a host of the same image that is a :meth:`model`:
        the new hosts start from its files. Running hosts are left alone; the rest of a crashed host is removed first.
        """
        if lacks := missing(kind == "vm"):
            raise LabError("the lab can't run here; missing: " + "; ".join(lacks))
        for suite in hosts.values():
            if suite not in (available := tuple(disk.SUITES) if kind == "vm" else images.NAMES):
                raise LabError(f"no such suite: {suite} (available: {', '.join(available)})")
        with self.store.one(self.name):
            started = self._started(hosts, kind, like)
            with ThreadPoolExecutor(max_workers=16) as pool:
                list(pool.map(self._wait, started))
            self._write_access()
            return started

    def _started(self, hosts: dict[str, str], kind: str, like: str | None) -> list[Record]:
        names, virtual = tuple(dict.fromkeys(hosts.values())), kind == "vm"
        while True:
            if not images.there(self.store, names, virtual):
                images.ensure(self.store, names, virtual)
            with self.store.machine():
                self._prune()
                # A lab of another recipe may have removed an image in the meantime.
                if images.there(self.store, names, virtual):
                    return self._boot_all(hosts, kind, like)

    def _boot_all(self, hosts: dict[str, str], kind: str, like: str | None) -> list[Record]:
        self._shared()
        running = {record.name for record in self.store.records(self.name) if alive(record)}
        for folder in self.store.folders(self.name):
            if folder.name in hosts and folder.name not in running:
                self._destroy(folder.name)
        return [self._boot(kind, name, suite, like) for name, suite in hosts.items() if name not in running]

    def _shared(self) -> None:
        """Start what all lab hosts of the machine share: the bridge, the mirror, and raised limits."""
        network.ensure_bridge()
        mirror.serve(self.store)
        nspawn.allow_many()

    def _boot(self, kind: str, name: str, suite: str, like: str | None) -> Record:
        if kind == "vm":
            return vm.boot(self.store, self.name, name, suite, self._free_index())
        under = self.store.host(self.name, like) if like else None
        return nspawn.boot(self.store, self.name, name, suite, self._free_index(), under)

    def model(self, name: str) -> None:
        """Stop a host for ever and keep its files, for other hosts to start from; :meth:`down` removes them."""
        with self.store.one(self.name):
            record = self.record(name)
            nspawn.stop(record)
            nspawn.strip(self.store, record)

    def cut_power(self, name: str) -> None:
        """Cut the power of a virtual machine; :meth:`switch_on` starts it again from its unchanged disk."""
        with self.store.one(self.name):
            vm.stop(self._virtual(name))

    def switch_on(self, name: str, kernel: str = "") -> None:
        """Start a virtual machine that has ended; ``kernel`` is added to its kernel command line."""
        with self.store.one(self.name):
            record = self._virtual(name)
            if alive(record):
                return
            with self.store.machine():
                self._shared()
                started = vm.start(self.store, record, kernel)
            self._wait(started)

    def _virtual(self, name: str) -> Record:
        record = self.record(name)
        if record.kind != "vm":
            raise LabError(f"{name} shares this machine's kernel; only a virtual machine can lose its power")
        return record

    def _wait(self, record: Record) -> None:
        _MACHINES[record.kind].wait(self.store, record)

    def _destroy(self, name: str) -> None:
        """Detect the kind of host by the files in its directory, because an interrupted boot leaves no record."""
        kind = "vm" if (self.store.host(self.name, name) / "disk.qcow2").exists() else "nspawn"
        _MACHINES[kind].destroy(self.store, self.name, name)

    def down(self, names: list[str] | None = None) -> list[str]:
        """Stop and remove the hosts (all of this lab, or ``names``). The mirror and the bridge are removed with the
        machine's last lab host. Returns the names of the removed hosts."""
        with self.store.one(self.name):
            records = {record.name: record for record in self.store.records(self.name)}
            gone = [f.name for f in self.store.folders(self.name) if names is None or f.name in names]

            def remove(name: str) -> None:
                if name in records:
                    _MACHINES[records[name].kind].stop(records[name])
                self._destroy(name)

            with ThreadPoolExecutor(max_workers=8) as pool:
                list(pool.map(remove, gone))
            with self.store.machine():
                if self.store.records(self.name):
                    self._write_access()
                else:
                    shutil.rmtree(self.store.lab(self.name), ignore_errors=True)
                if not any(alive(record) for record in self.store.records()):
                    mirror.stop()
                    network.remove_bridge()
            return gone

    def status(self) -> list[tuple[Record, bool]]:
        return [(record, alive(record)) for record in self.store.records(self.name)]

    def _prune(self) -> None:
        """Remove bases and mirrors of older recipes, unless a lab host runs that could use them."""
        if any(alive(record) for record in self.store.records()):
            return
        current = images.current(self.store)
        with self.store.tidying() as idle:
            for folder in (*self.store.root.glob("bases/*-*"), *self.store.root.glob("mirrors/*")):
                if idle and folder.is_dir() and folder not in current:
                    shutil.rmtree(folder)

    def _free_index(self) -> int:
        taken = {record.index for record in self.store.records()}
        for index in range(FIRST, LAST + 1):
            if index not in taken:
                return index
        raise LabError(f"the lab has no address left ({LAST - FIRST + 1} hosts at most on one machine)")

    def _write_access(self) -> None:
        """known_hosts and the inventory of this lab, next to its hosts."""
        lines = [line for record in self.store.records(self.name) for line in identity.known_hosts(self.store, record)]
        self.known_hosts.write_text("\n".join(lines) + "\n")
        self.inventory_file.write_text(self.inventory())

    @property
    def known_hosts(self) -> Path:
        return self.store.lab(self.name) / "known_hosts"

    @property
    def inventory_file(self) -> Path:
        return self.store.lab(self.name) / "inventory.yml"

    def inventory(self) -> str:
        """This lab as an inventory, in Ansible's YAML form: group ``docker``, ready for the shipped playbook."""
        lines = [
            "all:",
            "  vars:",
            "    ansible_user: root",
            f"    ansible_ssh_private_key_file: {self.store.key}",
            f"    provision_known_hosts: {self.known_hosts}",
            "    # The lab's own docker-ce mirror, and the key that signs it.",
            f"    package_mirror: {mirror.URL}",
            f"    package_fingerprint: {keys.fingerprint(self.store)}",
            f"    cgroup_driver: {cgroups.driver()}",
            "  children:",
            "    docker:",
            "      hosts:",
        ]
        for record in self.store.records(self.name):
            lines.append(f"        {record.name}:")
            lines.append(f"          ansible_host: {record.address}")
            if record.kind == "vm":
                lines.append("          cgroup_driver: systemd")
        return "\n".join(lines) + "\n"

    def ssh(self, name: str) -> list[str]:
        """The words of an ``ssh`` command that logs in to a host of this lab as root."""
        return identity.ssh(self.store, self.record(name), self.known_hosts)

    def record(self, name: str) -> Record:
        for record in self.store.records(self.name):
            if record.name == name:
                return record
        raise LabError(f"lab {self.name} has no host {name}; `provision lab status` lists them")
