"""Hardening: what the CIS Docker Benchmark (1.6.0) requires of a host, its daemon, images and containers, each check
under its own id.

It only runs with ``--suite cis``, because it checks hosts against the benchmark and not against their spec. Checks that
only an operator can judge are not here (docs/commands.md lists them, with reasons). A check that does not apply to a
host is skipped.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import pytest
from testinfra.host import Host

from provision.lines import lines_of
from provision.verify.cis import CONTAINERS, IMAGES, name
from provision.verify.docker import (
    ask,
    containers,
    images,
    info,
    is_pinned,
    members,
    reloaded,
    started,
    unconfined,
    with_sshd,
)
from provision.verify.dockerd_options import from_file, of_running, text_of
from provision.verify.services import uses_systemd

#: Log drivers that keep a container's output on the host only (docs.docker.com/engine/logging/configure).
_LOCAL_LOGS = ("json-file", "local", "none")


class Item(NamedTuple):
    """``check`` raises AssertionError, or skips."""

    id: str
    title: str
    check: Callable[[Host], None]


def _option(host: Host, key: str, default: Any = None) -> Any:
    """One option of the daemon. The others may hold a secret, and an assertion shows the compared values."""
    return of_running(host).get(key, default)


def _uses(host: Host, option: str) -> bool:
    """True if the daemon names a security option: ``userns``, ``seccomp``, ``apparmor`` ..."""
    found = info(host)["SecurityOptions"] or ()
    return any(one.partition(",")[0] == f"name={option}" for one in found)


def _stores(host: Host) -> list[str]:
    """The directories that contain images and containers."""
    seen = info(host)
    root = str(seen["DockerRootDir"])
    # With userns-remap it is a directory of the mapped user, UID.GID, below the configured one.
    found = [posixpath.dirname(root) if _uses(host, "userns") else root]
    # With containerd's image store (the default of Docker Engine 29), containerd keeps them. A containerd that dockerd
    # runs itself keeps them below dockerd's own directory.
    kinds = [value for _, value in seen["DriverStatus"] or ()]
    if "io.containerd.snapshotter.v1" in kinds and uses_systemd(host):
        pid = host.check_output("systemctl show -p MainPID --value containerd")
        opened = host.check_output("ls -l /proc/%s/fd", pid)
        found += re.findall(r"-> (/.*)/io\.containerd\.metadata\.v1\.bolt/meta\.db$", opened, re.MULTILINE)
    return [str(host.check_output("readlink -f %s", path)) for path in found]


def _partition(host: Host) -> None:
    lines = [line.split() for line in host.check_output("cat /proc/self/mountinfo").split("\n")]
    # proc_pid_mountinfo(5): the fifth field; blanks and some other characters are in octal.
    points = {re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[4]) for fields in lines if fields}
    for path in _stores(host):
        devices = host.check_output("stat -c %%d / %s", path).split()
        assert path in points, f"{path} is not a mount point"
        assert devices[0] != devices[1], f"{path} is on the root file system"


def _rootless(host: Host) -> None:
    if not _uses(host, "rootless"):
        pytest.skip("dockerd runs as root; the benchmark asks for rootless mode where it is possible")


def _icc(host: Host) -> None:
    options = json.loads(host.check_output("docker network inspect bridge --format '{{json .Options}}'"))
    assert options["com.docker.network.bridge.enable_icc"] == "false"


def _log_level(host: Host) -> None:
    # --debug has the same effect as the level (moby, daemon/command/debug).
    assert _option(host, "log-level", "info") == "info"
    assert not _option(host, "debug", False)


def _iptables(host: Host) -> None:
    assert _option(host, "iptables", True) is True


def _insecure(host: Host) -> None:
    registry = info(host)["RegistryConfig"]
    assert not [name for name, index in registry["IndexConfigs"].items() if not index["Secure"]]
    # Docker's own defaults are always listed (moby, registry/config.go).
    assert set(registry["InsecureRegistryCIDRs"]) <= {"127.0.0.0/8", "::1/128"}


def _aufs(host: Host) -> None:
    assert info(host)["Driver"] != "aufs"


def _listening(host: Host) -> list[str]:
    return str(host.check_output("ss -H -l -t -n -p")).split("\n")


def _tls(host: Host) -> None:
    """By the daemon's options and its socket unit: dockerd also listens for containers' published ports and for a
    swarm."""
    hosts = list(_option(host, "hosts", ()))
    if uses_systemd(host):
        # The sockets that the unit passes on as fd://, one a line: ADDRESS (Stream).
        unit = lines_of(str(host.check_output("systemctl show -p Listen --value docker.socket")))
        hosts += [line.partition(" ")[0] for line in unit if line and line[0] not in "/@"]
    # An address without a scheme is TCP (moby, opts/hosts.go: parseDaemonHost).
    open_to_tcp = [one for one in hosts if one and one.rpartition("://")[0] in ("", "tcp")]
    if not open_to_tcp:
        pytest.skip("the daemon does not listen on TCP")
    verified = _option(host, "tlsverify")
    assert verified is True, open_to_tcp


def _ulimit(host: Host) -> None:
    assert _option(host, "default-ulimits")


def _userns(host: Host) -> None:
    assert _uses(host, "userns")


def _cgroup_parent(host: Host) -> None:
    assert not _option(host, "cgroup-parent")


def _basesize(host: Host) -> None:
    assert "dm.basesize" not in json.dumps(_option(host, "storage-opts"))


def _authorization(host: Host) -> None:
    """The daemon's answer names the plugins of its start. A reload replaces the plugins by those of its file, but does
    not change the answer and the flags (moby, daemon/command/daemon.go: reloadConfig)."""
    start = started(host)
    # The time of the start is exact to two seconds; the daemon's own events belong to this start anyway.
    if not reloaded(host, start - 2):
        assert info(host)["Plugins"]["Authorization"], "no plugin since the daemon's start"
        return
    path = _option(host, "config-file")
    changed = int(host.check_output("stat -c %%Z %s", path)) if host.file(path).exists else 0
    assert changed <= start or reloaded(host, changed), f"{path} was changed after the daemon's last reload"
    plugins = from_file(text_of(host, path)).get("authorization-plugins")
    assert plugins, f"no plugin in {path}, which the daemon has reloaded"


def _central_logging(host: Host) -> None:
    assert info(host)["LoggingDriver"] not in _LOCAL_LOGS


def _no_new_privileges(host: Host) -> None:
    assert "name=no-new-privileges" in info(host)["SecurityOptions"]


def _live_restore(host: Host) -> None:
    seen = info(host)
    if seen["Swarm"]["LocalNodeState"] == "active":
        pytest.skip("Swarm has no live-restore")
    assert seen["LiveRestoreEnabled"]


def _userland_proxy(host: Host) -> None:
    assert _option(host, "userland-proxy", True) is False


def _seccomp(host: Host) -> None:
    found = [option for option in info(host)["SecurityOptions"] if option.startswith("name=seccomp")]
    assert found
    assert "profile=unconfined" not in found[0]


def _experimental(host: Host) -> None:
    assert not info(host)["ExperimentalBuild"]


def _audited(path: str) -> Callable[[Host], None]:
    def check(host: Host) -> None:
        if not host.file(path).exists:
            pytest.skip(f"{path} is not on this host")
        assert host.exists("auditctl"), "auditd is not installed"
        rules = [shlex.split(rule) for rule in lines_of(host.check_output("auditctl -l"))]
        # A rule of the action "never" hides its path (auditctl(8)), and "path!=" means all others.
        words = [word for rule in rules if "never" not in ",".join(rule[1:2]).split(",") for word in rule]
        watched = {word.rpartition("=")[2].rstrip("/") for word in words if "!=" not in word}
        assert path in watched, f"no audit rule for {path}"

    return check


def _paths(host: Host, where: str) -> list[str]:
    """``where`` is a pattern, ``systemd:UNIT`` for a unit's file, or ``option:NAME`` for the file that an option
    names."""
    kind, _, name = where.partition(":")
    if kind == "systemd":
        found = [host.check_output("systemctl show -p FragmentPath --value %s", name)]
    elif kind == "option":
        found = [str(_option(host, name, ""))]
    else:
        found = lines_of(host.run(f"ls -d {where}").stdout)
    existing = [path for path in found if path and host.file(path).exists]
    if not existing:
        pytest.skip(f"there is no {name or where} here")
    return existing


def _owned(where: str, owner: str) -> Callable[[Host], None]:
    def check(host: Host) -> None:
        for path in _paths(host, where):
            file = host.file(path)
            assert f"{file.user}:{file.group}" == owner, path

    return check


def _mode(where: str, most: int) -> Callable[[Host], None]:
    """As strict as ``most``, or stricter."""

    def check(host: Host) -> None:
        for path in _paths(host, where):
            mode = host.file(path).mode
            assert mode & ~most == 0, f"{path} has the mode {mode:o}; allowed is at most {most:o}"

    return check


def _content_trust(host: Host) -> None:
    """The variable is set for every login, where docker's client reads it; newer clients leave it to a plugin."""
    if host.run('grep -q DOCKER_CONTENT_TRUST "$(command -v docker)"').rc != 0:
        pytest.skip("docker's client does not support content trust")
    lines = host.run("grep -s -h DOCKER_CONTENT_TRUST= /etc/environment /etc/profile.d/*.sh").stdout.split("\n")
    # Of an `export` or a plain assignment, with or without quotes; the last one counts.
    found = re.findall(
        r"""^[ \t]*(?:export[ \t]+)?DOCKER_CONTENT_TRUST=["']?([^"'\s;#]*)""", "\n".join(lines), re.MULTILINE
    )
    assert found[-1:] == ["1"], "DOCKER_CONTENT_TRUST=1 is not set for every login"


def _found(where: Callable[[Host], list[dict[str, Any]]], host: Host, kind: str) -> list[dict[str, Any]]:
    found = where(host)
    if not found:
        pytest.skip(f"no {kind} on this host")
    return found


def _refuse(kind: str, against: Iterable[dict[str, Any]]) -> None:
    names = sorted(name(one) for one in against)
    assert not names, f"{kind}: {' '.join(names)}"


def _containers(offends: Callable[[dict[str, Any]], bool]) -> Callable[[Host], None]:
    def check(host: Host) -> None:
        _refuse("containers", filter(offends, _found(containers, host, "running container")))

    return check


def _images(offends: Callable[[dict[str, Any]], bool]) -> Callable[[Host], None]:
    def check(host: Host) -> None:
        _refuse("images", filter(offends, _found(images, host, "image")))

    return check


def _confined(module: str, field: str) -> Callable[[Host], None]:
    """A security module confines the process, if the daemon uses that module."""

    def check(host: Host) -> None:
        if not _uses(host, module):
            pytest.skip(f"the daemon does not use {module}")
        _containers(lambda one: one[field] in ("", "unconfined"))(host)

    return check


def _no_sshd(host: Host) -> None:
    running = _found(containers, host, "running container")
    ids = with_sshd(host)
    _refuse("containers", (one for one in running if one["Id"] in ids))


def _gains_nothing(host: Host) -> None:
    """The kernel reports it, no matter whether the container or the daemon requested it."""
    running = _found(containers, host, "running container")
    ids = unconfined(host)
    _refuse("containers", (one for one in running if one["Id"] in ids))


def _no_swarm(host: Host) -> None:
    assert info(host)["Swarm"]["LocalNodeState"] == "inactive"


def _swarm(host: Host) -> dict[str, Any]:
    found: dict[str, Any] = info(host)["Swarm"]
    if found["LocalNodeState"] != "active":
        pytest.skip("this host is in no swarm")
    return found


def _manager(host: Host) -> dict[str, Any]:
    found = _swarm(host)
    if not found["ControlAvailable"]:
        pytest.skip("this host manages no swarm")
    return found


def _swarm_address(host: Host) -> None:
    """A manager listens on 2377 (docs.docker.com/engine/swarm/swarm-tutorial)."""
    _manager(host)
    addresses = [line.split()[3] for line in _listening(host) if line]
    everywhere = [one for one in addresses if one in ("*:2377", "0.0.0.0:2377", "[::]:2377")]
    assert not everywhere


def _swarm_encrypted(host: Host) -> None:
    _manager(host)
    ids = host.check_output("docker network ls -q --filter driver=overlay").split()
    networks = [ask(host, "docker network inspect --format '{{json .}}' " + shlex.quote(one)) for one in ids]
    plain = sorted(one["Name"] for one in networks if "encrypted" not in (one["Options"] or {}))
    assert not plain


def _swarm_locked(host: Host) -> None:
    cluster = _manager(host)["Cluster"]
    assert cluster["Spec"]["EncryptionConfig"]["AutoLockManagers"] is True


_AUDITED = (
    ("1.1.3", "/usr/bin/dockerd"),
    ("1.1.4", "/run/containerd"),
    ("1.1.5", "/var/lib/docker"),
    ("1.1.6", "/etc/docker"),
    ("1.1.7", "/usr/lib/systemd/system/docker.service"),
    ("1.1.8", "/run/containerd/containerd.sock"),
    ("1.1.9", "/usr/lib/systemd/system/docker.socket"),
    ("1.1.10", "/etc/default/docker"),
    ("1.1.11", "/etc/docker/daemon.json"),
    ("1.1.12", "/etc/containerd/config.toml"),
    ("1.1.13", "/etc/sysconfig/docker"),
    ("1.1.14", "/usr/bin/containerd"),
    ("1.1.15", "/usr/bin/containerd-shim"),
    ("1.1.16", "/usr/bin/containerd-shim-runc-v1"),
    ("1.1.17", "/usr/bin/containerd-shim-runc-v2"),
    ("1.1.18", "/usr/bin/runc"),
)
#: The path, the id of its owner check and the owner, the id of its mode check and the highest mode allowed.
_FILES = (
    ("systemd:docker.service", "3.1", "root:root", "3.2", 0o644),
    ("systemd:docker.socket", "3.3", "root:root", "3.4", 0o644),
    ("/etc/docker", "3.5", "root:root", "3.6", 0o755),
    ("/etc/docker/certs.d/*/*", "3.7", "root:root", "3.8", 0o444),
    ("option:tlscacert", "3.9", "root:root", "3.10", 0o444),
    ("option:tlscert", "3.11", "root:root", "3.12", 0o444),
    ("option:tlskey", "3.13", "root:root", "3.14", 0o400),
    ("/var/run/docker.sock", "3.15", "root:docker", "3.16", 0o660),
    ("option:config-file", "3.17", "root:root", "3.18", 0o644),
    ("/etc/default/docker", "3.19", "root:root", "3.20", 0o644),
    ("/etc/sysconfig/docker", "3.22", "root:root", "3.21", 0o644),
    ("/run/containerd/containerd.sock", "3.23", "root:root", "3.24", 0o660),
)

ITEMS = (
    Item("1.1.1", "containers have a partition of their own", _partition),
    *(Item(id, f"{path} is audited", _audited(path)) for id, path in _AUDITED),
    Item("2.1", "the daemon runs without root", _rootless),
    Item("2.2", "traffic between containers on the default bridge is restricted", _icc),
    Item("2.3", "the log level is info", _log_level),
    Item("2.4", "docker may change iptables", _iptables),
    Item("2.5", "no insecure registries", _insecure),
    Item("2.6", "the storage driver is not aufs", _aufs),
    Item("2.7", "TCP is guarded by TLS", _tls),
    Item("2.8", "a default ulimit is set", _ulimit),
    Item("2.9", "user namespaces are used", _userns),
    Item("2.10", "the default cgroup parent is used", _cgroup_parent),
    Item("2.11", "the base device size is unchanged", _basesize),
    Item("2.12", "an authorization plugin decides", _authorization),
    Item("2.13", "logs are kept centrally", _central_logging),
    Item("2.14", "containers gain no new privileges", _no_new_privileges),
    Item("2.15", "live restore is on", _live_restore),
    Item("2.16", "the userland proxy is off", _userland_proxy),
    Item("2.17", "seccomp confines containers", _seccomp),
    Item("2.18", "experimental features are off", _experimental),
    *(Item(id, f"{where} belongs to {owner}", _owned(where, owner)) for where, id, owner, _, _ in _FILES),
    *(Item(id, f"{where} allows {most:o} at most", _mode(where, most)) for where, _, _, id, most in _FILES),
    Item("4.5", "content trust is on", _content_trust),
    *(Item(rule.id, rule.title, _images(rule.offends)) for rule in IMAGES),
    *(Item(rule.id, rule.title, _containers(rule.offends)) for rule in CONTAINERS),
    Item("5.1", "swarm mode is off", _no_swarm),
    Item("5.2", "AppArmor confines containers", _confined("apparmor", "AppArmorProfile")),
    Item("5.3", "SELinux confines containers", _confined("selinux", "ProcessLabel")),
    Item("5.7", "no sshd in containers", _no_sshd),
    Item("5.26", "containers that run gain no new privileges", _gains_nothing),
    Item("7.2", "the swarm's manager listens on one address", _swarm_address),
    Item("7.3", "the swarm's networks are encrypted", _swarm_encrypted),
    Item("7.5", "the swarm's managers are locked", _swarm_locked),
)


@pytest.mark.parametrize("item", ITEMS, ids=[f"{item.id} {item.title}" for item in ITEMS])
def test_cis(host: Host, item: Item) -> None:
    if not host.exists("dockerd"):
        pytest.skip("no Docker Engine on this host")
    item.check(host)


def test_cis_1_1_2_only_declared_users_control_docker(host: Host, spec: dict[str, Any]) -> None:
    """1.1.2: a member of the group docker is trusted, so the members must be those of the spec."""
    trusted = set((spec.get("engine") or {}).get("users") or ())
    trusted |= {
        name for name, user in (spec.get("users") or {}).items() if "docker" in ((user or {}).get("groups") or ())
    }
    others = sorted(members(host, "docker") - trusted) if host.run("getent group docker").rc == 0 else []
    assert not others, f"undeclared members of the docker group: {others}"


def test_cis_1_2_2_the_engine_is_the_declared_one(host: Host, spec: dict[str, Any]) -> None:
    """1.2.2: only the operator can decide which version is up to date, by a pin."""
    if not host.exists("dockerd"):
        pytest.skip("no Docker Engine on this host")
    version, pin = str(info(host)["ServerVersion"]), (spec.get("engine") or {}).get("version")
    if pin is None:
        pytest.skip(f"{version} runs; the spec has no engine.version to compare it with")
    assert is_pinned(version, str(pin)), f"{version} runs, {pin} is declared"
