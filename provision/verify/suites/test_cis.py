"""Hardening: what the CIS Docker Benchmark (1.6.0) asks of a host and its daemon, each check under its own id.

Only asked for with ``--suite cis``: it holds hosts against the benchmark, not against their spec. What can't be told
on the host (who is trusted with images, swarm, rootless mode) is not here; what does not apply to a host is skipped.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from testinfra.host import Host

from provision.lines import lines_of
from provision.verify.daemon import info
from provision.verify.services import dockerd

#: Log drivers that keep a container's words on the host alone (docs.docker.com/engine/logging/configure).
_LOCAL_LOGS = ("json-file", "local", "none")


class Item(NamedTuple):
    """``check`` raises AssertionError, or skips."""

    id: str
    title: str
    check: Callable[[Host], None]


def _options(host: Host) -> dict[str, Any]:
    """What dockerd was started with: daemon.json, and the flags of its command line over it."""
    file = host.file("/etc/docker/daemon.json")
    found: dict[str, Any] = json.loads(file.content_string) if file.exists else {}
    pid = dockerd(host)
    for word in lines_of(host.check_output("tr '\\0' '\\n' </proc/%s/cmdline", pid)):
        name, _, value = word.lstrip("-").partition("=")
        if word.startswith("--"):
            found[name] = value or True
    return found


def _partition(host: Host) -> None:
    root = info(host)["DockerRootDir"]
    devices = host.check_output("stat -c %%d / %s", root).split()
    assert devices[0] != devices[1], f"{root} is on the root file system"


def _icc(host: Host) -> None:
    options = json.loads(host.check_output("docker network inspect bridge --format '{{json .Options}}'"))
    assert options["com.docker.network.bridge.enable_icc"] == "false"


def _log_level(host: Host) -> None:
    assert _options(host).get("log-level", "info") == "info"


def _iptables(host: Host) -> None:
    assert str(_options(host).get("iptables", True)).lower() == "true"


def _insecure(host: Host) -> None:
    registry = info(host)["RegistryConfig"]
    assert not [name for name, index in registry["IndexConfigs"].items() if not index["Secure"]]
    # Docker's own defaults are always there (moby, registry/config.go).
    assert set(registry["InsecureRegistryCIDRs"]) <= {"127.0.0.0/8", "::1/128"}


def _aufs(host: Host) -> None:
    assert info(host)["Driver"] != "aufs"


def _tls(host: Host) -> None:
    options = _options(host)
    listening = lines_of(host.check_output("ss -H -l -t -n -p"))
    open_to_tcp = [line for line in listening if '"dockerd"' in line]
    if not open_to_tcp:
        pytest.skip("the daemon does not listen on TCP")
    assert options.get("tlsverify") is True, open_to_tcp


def _ulimit(host: Host) -> None:
    assert _options(host).get("default-ulimits") or _options(host).get("default-ulimit")


def _userns(host: Host) -> None:
    assert any(option.startswith("name=userns") for option in info(host)["SecurityOptions"])


def _cgroup_parent(host: Host) -> None:
    assert "cgroup-parent" not in _options(host)


def _basesize(host: Host) -> None:
    options = _options(host)
    assert "dm.basesize" not in json.dumps([options.get("storage-opts"), options.get("storage-opt")])


def _authorization(host: Host) -> None:
    assert info(host)["Plugins"]["Authorization"]


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
    assert str(_options(host).get("userland-proxy", True)).lower() == "false"


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
        watched = {word.rpartition("=")[2].rstrip("/") for rule in rules for word in rule}
        assert path in watched, f"no audit rule for {path}"

    return check


def _paths(host: Host, where: str) -> list[str]:
    """``where`` is a pattern, ``systemd:UNIT`` for a unit's file, ``option:NAME`` for the file an option names."""
    kind, _, name = where.partition(":")
    if kind == "systemd":
        found = [host.check_output("systemctl show -p FragmentPath --value %s", name)]
    elif kind == "option":
        found = [str(_options(host).get(name, ""))]
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
            assert mode & ~most == 0, f"{path} has {mode:o}, {most:o} is the most"

    return check


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
#: Where, the id of its owner and the owner, the id of its mode and the most that the mode may allow.
_FILES = (
    ("systemd:docker.service", "3.1", "root:root", "3.2", 0o644),
    ("systemd:docker.socket", "3.3", "root:root", "3.4", 0o644),
    ("/etc/docker", "3.5", "root:root", "3.6", 0o755),
    ("/etc/docker/certs.d/*/*", "3.7", "root:root", "3.8", 0o444),
    ("option:tlscacert", "3.9", "root:root", "3.10", 0o444),
    ("option:tlscert", "3.11", "root:root", "3.12", 0o444),
    ("option:tlskey", "3.13", "root:root", "3.14", 0o400),
    ("/var/run/docker.sock", "3.15", "root:docker", "3.16", 0o660),
    ("/etc/docker/daemon.json", "3.17", "root:root", "3.18", 0o644),
    ("/etc/default/docker", "3.19", "root:root", "3.20", 0o644),
    ("/etc/sysconfig/docker", "3.22", "root:root", "3.21", 0o644),
    ("/run/containerd/containerd.sock", "3.23", "root:root", "3.24", 0o660),
)

ITEMS = (
    Item("1.1.1", "containers have a partition of their own", _partition),
    *(Item(id, f"{path} is audited", _audited(path)) for id, path in _AUDITED),
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
)


@pytest.mark.parametrize("item", ITEMS, ids=[f"{item.id} {item.title}" for item in ITEMS])
def test_cis(host: Host, item: Item) -> None:
    if not host.exists("dockerd"):
        pytest.skip("no Docker Engine on this host")
    item.check(host)


def test_cis_1_1_2_only_declared_users_control_docker(host: Host, spec: dict[str, Any]) -> None:
    """1.1.2: who is in the group docker is trusted, so it must be who the spec says."""
    trusted = set((spec.get("engine") or {}).get("users") or ())
    trusted |= {
        name for name, user in (spec.get("users") or {}).items() if "docker" in ((user or {}).get("groups") or ())
    }
    group = host.run("getent group docker")
    members = {name for name in group.stdout.strip().rpartition(":")[2].split(",") if name}
    assert members <= trusted, f"nobody declared {sorted(members - trusted)}"
