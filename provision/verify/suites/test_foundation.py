"""The kernel features that Docker needs (namespaces, control groups, overlayfs, a bridge and NAT), and a real container
that uses them. The containers disturb no other process: they are labelled, limited, and removed afterwards. A check
that changes a setting or uses up memory is marked ``disruptive`` and runs only on request."""

from __future__ import annotations

import json
import shlex
import signal

import pytest
from testinfra.host import Host

from provision.lines import lines_of
from provision.verify import docker
from provision.verify.declared import Named
from provision.verify.docker import info
from provision.verify.services import LATER, Once, never

#: The kinds of namespaces (namespaces(7)). Every container has its own, except for ``user``: that one only where
#: userns-remap is declared.
_NAMESPACES = ("pid", "net", "ipc", "mnt", "uts", "user")
_LINKS = " ".join(f"/proc/self/ns/{name}" for name in _NAMESPACES)
#: unshare(1): the option that makes a namespace of each kind.
_UNSHARE = {"pid": "--pid --fork", "net": "--net", "ipc": "--ipc", "mnt": "--mount", "uts": "--uts", "user": "--user"}
_MIB = 1024 * 1024
#: No swap either.
_EATS = "--memory 24m --memory-swap 24m"
_HOSTNAME = "provision-verify"
#: The exit codes of a process that docker's stop ends: by SIGKILL, or by SIGTERM where the daemon's option ``init``
#: gives each container an init that passes signals on.
_STOPPED = {str(128 + signal.SIGKILL), str(128 + signal.SIGTERM)}
#: The output of :func:`_inside`, from one container for both checks that need it.
_SAID: Once[list[str]] = Once()


def after(host: Host) -> None:
    """Called after a host's checks, even if they failed."""
    _SAID.forget(host)
    docker.clean(host)


def test_kernel_namespace(host: Host, namespace: Named) -> None:
    """The kernel has this kind of namespace, and allows root to make one."""
    assert host.file(f"/proc/self/ns/{namespace.name}").exists
    made = host.run(f"unshare {_UNSHARE[namespace.name]} true")
    assert made.rc == 0, made.stderr


def test_kernel_cgroup(host: Host, controller: Named) -> None:
    """Controllers that are on: version 2 lists them in one file, version 1 in a table (cgroups(7))."""
    unified = host.run("cat /sys/fs/cgroup/cgroup.controllers")
    if unified.rc == 0:
        on = set(unified.stdout.split())
    else:
        rows = [line.split() for line in lines_of(host.check_output("cat /proc/cgroups"))]
        on = {row[0] for row in rows if row[-1] == "1"}
    assert controller.name in on


def test_kernel_overlayfs(host: Host, engine: Named) -> None:
    assert "overlay" in host.check_output("cat /proc/filesystems").split()


def test_bridge(host: Host, bridged: Named) -> None:
    assert host.interface("docker0").exists
    assert "bridge" in host.check_output("ip -d link show docker0").split()


def test_nat(host: Host, bridged: Named) -> None:
    """Packets that leave docker0's network are masqueraded."""
    subnet = json.loads(host.check_output("docker network inspect bridge --format '{{json (index .IPAM.Config 0)}}'"))
    backend = info(host).get("FirewallBackend") or {}
    command = "iptables -t nat -S POSTROUTING"
    if backend.get("Driver") == "nftables":
        command = "nft list table ip docker-bridges"
    rules = lines_of(host.check_output(command))
    found = any("masquerade" in rule.lower() and subnet["Subnet"] in rule for rule in rules)
    assert found, (
        f"docker's rules are missing, and docker writes them when it starts (systemctl restart docker): {rules}"
    )


def _inside(host: Host) -> list[str]:
    """The report of one container about itself: its hostname, the namespaces of its process, and its /proc."""
    named = f"{docker.OFFLINE} --hostname {_HOSTNAME}"
    return docker.run(host, f"uname -n; readlink {_LINKS}; ls /proc", named).split()


def test_container_namespaces(host: Host, engine: Named) -> None:
    inside = {word for word in _SAID.of(host, _inside) if ":[" in word}
    outside = host.check_output(f"readlink {_LINKS}").split()
    assert len(inside) == len(outside) == len(_NAMESPACES), (inside, outside)
    shared = {link.partition(":")[0] for link in inside.intersection(outside)}
    remapped = bool((engine.value.daemon or {}).get("userns-remap"))
    assert shared == (set() if remapped else {"user"})


def test_container_sees_only_itself(host: Host, engine: Named) -> None:
    shown = _SAID.of(host, _inside)
    assert shown[0] == _HOSTNAME
    processes = [word for word in shown[1:] if word.isdigit()]
    assert processes[0] == "1"
    assert len(processes) <= 2, f"a container must not see {processes}"


def test_container_memory_limit_is_set(host: Host, engine: Named) -> None:
    """The limit is in the kernel's own file of the container's group, read on the host."""
    wanted = str(32 * _MIB)
    with docker.running(host, f"{docker.OFFLINE} --memory 32m") as name:
        pid = host.check_output("docker inspect --format '{{.State.Pid}}' %s", name)
        groups = dict(line.split(":", 2)[1:] for line in lines_of(host.check_output("cat /proc/%s/cgroup", pid)))
        if "memory" in groups:
            path = f"/sys/fs/cgroup/memory{groups['memory']}/memory.limit_in_bytes"
        else:
            path = f"/sys/fs/cgroup{groups['']}/memory.max"
        assert host.check_output("cat %s", path) == wanted


def test_container_layers_are_read_only(host: Host, engine: Named) -> None:
    """A file that one container writes is not visible in the next container of the same image."""
    assert docker.run(host, "touch /written && ls /written") == "/written"
    assert "written" not in docker.run(host, "ls /").split()


def test_container_life(host: Host, engine: Named) -> None:
    """Create, start, stop, remove. The exit code proves that the container ran until it was stopped."""
    docker.prepare(host)
    name = host.check_output(f"docker create {docker.OFFLINE} {docker.IMAGE} sleep 3600")
    try:
        host.check_output("docker start %s", name)
        host.check_output("docker stop -t 1 %s", name)
        state, code = host.check_output(
            "docker inspect --format '{{.State.Status}} {{.State.ExitCode}}' %s", name
        ).split()
        assert state == "exited"
        assert code in _STOPPED
    finally:
        host.run("docker rm -f %s", name)
    assert host.run("docker inspect %s", name).rc != 0


def test_container_reaches_container(host: Host, bridged: Named) -> None:
    """On docker's own bridge, a container reaches another one. With icc off, it must not."""
    template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    with docker.running(host, docker.BOUNDS) as name:
        address = host.check_output(f"docker inspect --format '{template}' %s", name)
        assert docker.reaches(host, address, 9, expected=bridged.value) == bridged.value


def test_container_reaches_outside(host: Host, outside: Named) -> None:
    """The host must forward the container's packets."""
    address, port = _outside(host, outside)
    assert host.check_output("cat /proc/sys/net/ipv4/ip_forward") == "1"
    reached = docker.reaches(host, address, port, expected=True)
    rules = [] if reached else lines_of(host.run("iptables -S").stdout)
    dropping = [rule for rule in rules if rule.endswith(("-j DROP", "-j REJECT", "-P FORWARD DROP"))]
    assert reached, f"a container does not reach {address}:{port}; remove the rule that drops its packets: {dropping}"


def _outside(host: Host, outside: Named) -> tuple[str, int]:
    """Address and port of the package mirror, as the host itself resolves them."""
    name, port = outside.value
    address = host.run("getent ahostsv4 %s", name).stdout.partition(" ")[0] or name
    probe = shlex.quote(f"exec 3<>/dev/tcp/{address}/{port}")
    if host.run(f"timeout 30 bash -c {probe}").rc != 0:
        pytest.skip(f"the host itself does not reach {name}:{port} without a proxy")
    return address, port


@pytest.mark.disruptive
def test_forwarding_is_what_lets_it_out(host: Host, outside: Named) -> None:
    """With forwarding off, a container does not reach the outside; with forwarding on, it does. The host switches
    forwarding on again even if provision is killed."""
    address, port = _outside(host, outside)
    switch = "/proc/sys/net/ipv4/ip_forward"
    docker.prepare(host)
    host.check_output(f"{LATER}\nlater 120 provision-verify-forward-{docker.RUN} %s", f"echo 1 >{switch}")
    try:
        host.check_output(f"echo 0 >{switch}")
        reached = docker.reaches(host, address, port, expected=False)
        assert host.check_output(f"cat {switch}") == "0", (
            "the check took more than two minutes, so the host's timer switched forwarding on"
        )
        assert not reached, "a container reaches the network although ip_forward is off"
    finally:
        host.check_output(f"echo 1 >{switch}; {never(f'provision-verify-forward-{docker.RUN}')}")
    assert docker.reaches(host, address, port, expected=True)


@pytest.mark.disruptive
def test_container_memory_limit_is_enforced(host: Host, engine: Named) -> None:
    """The kernel kills a process that takes more memory than its container may have.

    Checked inside the container: docker's own ``OOMKilled`` comes from an event that may arrive after the container's
    end.
    """
    # Doubling exceeds any limit after some thirty rounds. A separate shell survives the process, and reports how it
    # ended.
    eater = '(x=0123456789abcdef; while :; do echo ${#x}; x="$x$x"; done); echo $?'
    said = docker.run(host, f"timeout 240 sh -c {shlex.quote(eater)}", f"{docker.OFFLINE} {_EATS}").split()
    *lengths, status = (int(word) for word in said)
    assert status == 128 + signal.SIGKILL
    assert max(lengths) < 24 * _MIB


def test_nothing_of_the_checks_is_left(host: Host, engine: Named) -> None:
    """Each check cleans up after itself; the image is removed at the end."""
    assert host.check_output(f"docker ps -aq --filter label={docker.LABEL}") == ""
