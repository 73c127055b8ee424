"""What Docker stands on: namespaces, control groups, overlayfs, a bridge and NAT; and a real container, in which they
are seen to work. Its containers disturb nobody: labelled, bounded, and gone afterwards."""

from __future__ import annotations

import json

from testinfra.host import Host

from provision.verify import container
from provision.verify.declared import Named

#: Namespaces of its own that every container has; ``user`` only where userns-remap is declared.
_OWN = ("pid", "net", "ipc", "mnt", "uts")


def after(host: Host) -> None:
    """Called when a host's checks are over, however they ended."""
    container.clean(host)


def test_kernel_namespaces(host: Host, engine: Named) -> None:
    offered = host.check_output("ls /proc/self/ns").split()
    assert {*_OWN, "user"} <= set(offered)


def test_kernel_cgroups(host: Host, engine: Named) -> None:
    """Controllers that are on: version 2 lists them in one file, version 1 in a table (cgroups(7))."""
    unified = host.run("cat /sys/fs/cgroup/cgroup.controllers")
    if unified.rc == 0:
        controllers = set(unified.stdout.split())
    else:
        rows = [line.split() for line in host.check_output("cat /proc/cgroups").splitlines()]
        controllers = {row[0] for row in rows if row[-1] == "1"}
    assert {"cpu", "cpuset", "memory", "pids"} <= controllers


def test_kernel_overlayfs(host: Host, engine: Named) -> None:
    assert "overlay" in host.check_output("cat /proc/filesystems").split()


def test_bridge(host: Host, bridged: Named) -> None:
    assert host.interface("docker0").exists
    assert "bridge" in host.check_output("ip -d link show docker0").split()


def test_nat(host: Host, bridged: Named) -> None:
    """What leaves docker0's network is masqueraded."""
    subnet = json.loads(host.check_output("docker network inspect bridge --format '{{json (index .IPAM.Config 0)}}'"))
    rules = host.check_output("iptables -t nat -S POSTROUTING").splitlines()
    assert any("MASQUERADE" in rule and subnet["Subnet"] in rule for rule in rules), rules


def test_container_namespaces(host: Host, engine: Named) -> None:
    names = [*_OWN, "user"]
    links = " ".join(f"/proc/self/ns/{name}" for name in names)
    inside = dict(zip(names, container.run(host, f"readlink {links}").split(), strict=True))
    outside = dict(zip(names, host.check_output(f"readlink {links}").split(), strict=True))
    shared = {name for name in names if inside[name] == outside[name]}
    remapped = bool((engine.value.daemon or {}).get("userns-remap"))
    assert shared == (set() if remapped else {"user"})


def test_container_sees_only_itself(host: Host, engine: Named) -> None:
    shown = container.run(host, "uname -n; ls /proc", "--hostname provision-verify").split()
    assert shown[0] == "provision-verify"
    processes = [word for word in shown[1:] if word.isdigit()]
    assert processes[0] == "1"
    assert len(processes) <= 2, f"a container must not see {processes}"


def test_container_memory_limit_is_set(host: Host, engine: Named) -> None:
    """In the kernel's own file of the container's group, as seen from the host."""
    wanted = str(32 * 1024 * 1024)
    with container.running(host, "--memory 32m") as name:
        pid = host.check_output("docker inspect --format '{{.State.Pid}}' %s", name)
        groups = dict(line.split(":", 2)[1:] for line in host.check_output("cat /proc/%s/cgroup", pid).splitlines())
        if "memory" in groups:
            path = f"/sys/fs/cgroup/memory{groups['memory']}/memory.limit_in_bytes"
        else:
            path = f"/sys/fs/cgroup{groups['']}/memory.max"
        assert host.check_output("cat %s", path) == wanted


def test_container_layers_are_read_only(host: Host, engine: Named) -> None:
    """What one container writes, the next one of the same image does not see."""
    assert container.run(host, "touch /written && ls /written") == "/written"
    assert "written" not in container.run(host, "ls /").split()


def test_container_life(host: Host, engine: Named) -> None:
    """Create, start, stop, remove."""
    container.prepare(host)
    state = "docker inspect --format '{{.State.Status}}' %s"
    name = host.check_output(f"docker create {container.BOUNDS} {container.IMAGE} sleep 60")
    try:
        assert host.check_output(state, name) == "created"
        host.check_output("docker start %s", name)
        assert host.check_output(state, name) == "running"
        host.check_output("docker stop -t 1 %s", name)
        assert host.check_output(state, name) == "exited"
    finally:
        host.run("docker rm -f %s", name)
    assert host.run("docker inspect %s", name).rc != 0


def test_nothing_of_ours_is_left(host: Host, engine: Named) -> None:
    """Each check cleans up behind itself; the image goes at the end."""
    assert host.check_output(f"docker ps -aq --filter label={container.LABEL}") == ""
