"""Who can be root through docker, now and at the next start: sockets, ports, programs, units and their environment.

A process that may connect to dockerd's socket is root (docs.docker.com/engine/security). Each message says what to do
about a finding that ``apply`` does not repair.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from testinfra.host import Host

from provision.lines import lines_of
from provision.project.host_config import Context, HostConfig
from provision.verify import package_manager, services
from provision.verify.declared import Named
from provision.verify.docker import info
from provision.verify.services import dockerd, uses_systemd

#: Where dockerd and its shims look for programs (systemd.exec(5), the default of PATH), in this order.
_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_PROGRAMS = ("docker", "dockerd", "docker-init", "docker-proxy", "containerd", "containerd-shim-runc-v2", "ctr", "runc")
#: Variables by which another party decides what dockerd, written in Go, loads, trusts or asks (ld.so(8);
#: crypto/x509, net/http and runtime of Go; docs.docker.com/reference/cli/docker, "Environment variables").
_DECIDING = re.compile(r"(LD_|GODEBUG|GOTRACEBACK|SSL_CERT_|DOCKER_|DOCKERD_|OTEL_|TMPDIR$)|.*_proxy$", re.IGNORECASE)


def open_socket(config: HostConfig, context: Context) -> Iterator[Named]:
    """The value: the groups whose members may connect. Declared unit files and a declared containerd configuration may
    set others."""
    if config.spec.engine is None:
        return
    if not any(path.startswith("/etc/systemd/system/docker.socket") for path in config.spec.files):
        yield Named("/run/docker.sock", {"root", "docker", str((config.spec.engine.daemon or {}).get("group"))})
    if "/etc/containerd/config.toml" not in config.spec.files:
        yield Named("/run/containerd/containerd.sock", {"root"})


def program(config: HostConfig, context: Context) -> Iterator[Named]:
    if config.spec.engine is not None:
        yield from (Named(name, name) for name in _PROGRAMS)


def engine_unit(config: HostConfig, context: Context) -> Iterator[Named]:
    """The units that start an engine. The value: the files that the spec declares or removes."""
    if config.spec.engine is not None:
        paths = {*config.spec.files}
        if config.spec.engine.proxy is not None and config.spec.engine.proxy.place == "unit":
            paths.add("/etc/systemd/system/docker.service.d/provision.conf")
        yield from (Named(name, paths) for name in ("docker", "docker.socket", "containerd"))


def boot_unit(config: HostConfig, context: Context) -> Iterator[Named]:
    """The units of systemd that apply declared files at boot. The value: what is lost without them."""
    if config.spec.sysctl:
        yield Named("systemd-sysctl", "kernel settings")
    if config.spec.modules:
        yield Named("systemd-modules-load", "kernel modules")


def boot_engine(config: HostConfig, context: Context) -> Iterator[Named]:
    """Engines that the boot must start."""
    docker = config.spec.services.get("docker") or config.spec.services.get("docker.service")
    if config.spec.engine is not None and (docker is None or docker.enabled is not False):
        yield Named("docker", True)


PROVIDERS = (open_socket, program, engine_unit, boot_unit, boot_engine)


def test_open_socket(host: Host, open_socket: Named) -> None:
    """Only root and the members of docker's group may connect."""
    found = host.run("stat -c '%%F:%%U:%%G:%%a' %s", open_socket.name).stdout.strip()
    if not found.startswith("socket:"):
        pytest.skip("there is no such socket")
    _, owner, group, mode = found.split(":")
    others = int(mode, 8) & 0o002 or (group not in open_socket.value and int(mode, 8) & 0o020)
    guarded = owner == "root" and not others
    assert guarded, f"{owner}:{group} {mode}: a process that connects is root (provision apply repairs it)"


def test_daemon_listens(host: Host, engine: Named) -> None:
    """dockerd accepts connections of the network only on declared ports."""
    daemon = engine.value.daemon or {}
    declared = [str(one) for one in (*(daemon.get("hosts") or ()), daemon.get("metrics-addr") or "")]
    allowed = {int(port) for one in declared for port in re.findall(r":(\d+)$", one)}
    swarm = info(host)["Swarm"]["LocalNodeState"]
    if swarm == "active":
        allowed |= {2377, 7946}  # docs.docker.com/engine/swarm/swarm-tutorial
    open_ports = _listening(host, dockerd(host)) - allowed
    assert open_ports == set(), (
        "a process that connects to these ports is root: remove the drop-in or flag that opens them, and restart the"
        " socket (systemctl stop docker.socket docker; systemctl start docker.socket docker)"
    )


def _listening(host: Host, pid: str) -> set[int]:
    """The TCP ports on which a process listens (proc_pid_net(5), tcp: the state 0A, the address in hexadecimal)."""
    sockets = set(re.findall(r"socket:\[(\d+)\]", host.run("ls -l /proc/%s/fd", pid).stdout))
    rows = [line.split() for line in lines_of(host.run("cat /proc/%s/net/tcp /proc/%s/net/tcp6", pid, pid).stdout)]
    listening = [row for row in rows if len(row) > 9 and row[3] == "0A" and row[9] in sockets]
    return {int(row[1].rpartition(":")[2], 16) for row in listening}


def test_program(host: Host, program: Named) -> None:
    """One file of root, which no other account may write, without a set-id bit. A file of the same name that is found
    first would run as root."""
    paths = " ".join(f"{folder}/{program.name}" for folder in _PATH)
    lines = lines_of(host.run(f"stat -L -c '%n:%U:%a:%d:%i' {paths} 2>/dev/null").stdout)
    files = [line.split(":") for line in lines if line]
    if not files:
        pytest.skip("this host has no such program")
    path = files[0][0]
    second = next((name for name, *_, device, number in files if [device, number] != files[0][3:]), None)
    assert second is None, f"{path} is found before {second}: remove it, or the package of the other one"
    _, owner, mode, *_ = files[0]
    assert owner == "root", f"{path} belongs to {owner}: install its package again"
    assert not int(mode, 8) & 0o6022, f"{path} has the mode {mode}: chmod 0755 {path}"


def test_package_files(host: Host, engine: Named) -> None:
    """The programs and units are those of their packages, by the package manager's own record."""
    found = package_manager.altered(host, [f"/usr/bin/{name}" for name in _PROGRAMS])
    if found is None:
        pytest.skip("this package manager keeps no record of files")
    assert found == [], "these differ from their package: install the package again"


def test_package_available(host: Host, engine: Named) -> None:
    """No setting of apt keeps the engine's own packages from being installed or upgraded (apt_preferences(5))."""
    if engine.value.source not in (None, "docker") or not host.exists("apt-cache"):
        pytest.skip("only apt has pins, and only declared archives are checked")
    assert package_manager.blocked(host, ("docker-ce", "docker-ce-cli", "containerd.io")) == {}, (
        "a pin blocks these packages: remove it (grep -r . /etc/apt/preferences /etc/apt/preferences.d)"
    )


def test_unit_unchanged(host: Host, engine_unit: Named) -> None:
    """No file of another party decides how the unit starts: its command, its environment, who may connect, its limits,
    and what happens when it ends."""
    if not uses_systemd(host):
        pytest.skip("only systemd has drop-ins")
    assert services.undeclared(host, engine_unit.name, engine_unit.value) == {}, (
        "remove these files (then systemctl daemon-reload), or declare them in spec.files"
    )


def test_service_environment(host: Host, docker_unit: Named) -> None:
    """Neither the running daemon nor its next start gets variables of another party that decide what it trusts."""
    if any("Environment" in text or not text for text in docker_unit.value.values()):
        pytest.skip("the spec itself sets docker's environment")
    names = host.check_output("tr '\\0' '\\n' </proc/%s/environ | cut -d= -f1", dockerd(host))
    running = {name for name in lines_of(names) if _DECIDING.match(name)}
    assert running == set(), "dockerd runs with these variables: remove them where they are set, and restart docker"
    if uses_systemd(host):
        lines = lines_of(host.run("systemd-analyze cat-config systemd/system.conf").stdout)
        manager = [line.strip() for line in lines if re.match(r"\s*(Default|Manager)Environment\s*=\s*\S", line)]
        later = [line for line in manager if any(map(_DECIDING.match, re.findall(r"(\w+)=", line.partition("=")[2])))]
        assert [line.partition("=")[0] for line in later] == [], (
            "systemd gives dockerd variables at its next start: remove these lines (systemd-analyze cat-config"
            " systemd/system.conf names their files)"
        )


def test_service_at_boot(host: Host, boot_engine: Named) -> None:
    """What the machine starts by default also starts docker. A unit may be enabled for a target that nothing starts."""
    if not uses_systemd(host):
        pytest.skip("only systemd has targets")
    assert services.started_at_boot(host, "docker.service"), (
        "no target that the boot reaches starts docker: systemctl reenable docker; systemctl set-default"
    )


def test_boot_unit(host: Host, boot_unit: Named) -> None:
    if not uses_systemd(host):
        pytest.skip("only systemd has this unit")
    state = services.show(host, f"{boot_unit.name}.service", "LoadState", "UnitFileState")
    masked = "masked" in (state["LoadState"], state["UnitFileState"].removesuffix("-runtime"))
    assert not masked, f"masked: the next boot loses {boot_unit.value} (systemctl unmask {boot_unit.name})"
