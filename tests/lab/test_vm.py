"""Tests that need a separate kernel, on a virtual machine: broken kernels fail their checks, auditing, a power cut."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.lab import disk
from provision.lab.labs import Lab, missing
from provision.lab.store import MIRROR
from tests.lab.conftest import LAB, LabHost, engine
from tools.leftovers import own

#: The timeout suits an emulated machine that shares the processors with other tests.
pytestmark = [pytest.mark.virtual, pytest.mark.timeout(1500)]

#: Every check that starts a container.
_CONTAINERS = {
    "container_namespaces engine",
    "container_sees_only_itself engine",
    "container_memory_limit_is_set engine",
    "container_layers_are_read_only engine",
    "container_life engine",
    "container_reaches_container docker0",
    f"container_reaches_outside {MIRROR}",
}
#: The files that the benchmark audits and that a host with this engine has.
_AUDITED = (
    "/usr/bin/dockerd",
    "/run/containerd",
    "/var/lib/docker",
    "/etc/docker",
    "/usr/lib/systemd/system/docker.service",
    "/run/containerd/containerd.sock",
    "/usr/lib/systemd/system/docker.socket",
    "/etc/docker/daemon.json",
    "/usr/bin/containerd",
    "/usr/bin/containerd-shim-runc-v2",
    "/usr/bin/runc",
)


@pytest.fixture(scope="module")
def vm(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabHost]:
    if lacks := missing(virtual=True):
        pytest.fail("a virtual machine can't run here; missing: " + "; ".join(lacks))
    name = f"{LAB.name}vm"
    own(LAB)
    (record,) = lab.up({name: disk.DOCKER}, "vm")
    folder: Path = tmp_path_factory.mktemp(name)
    host = LabHost(name, record.address, folder, patience=("--connect-timeout", "60", "--look-within", "300"))
    # -i: a file that does not exist yet when the rules are read must not keep the other rules out.
    rules = "-i\n" + "".join(f"-w {path} -p rwxa -k docker\n" for path in _AUDITED)
    spec = {
        "packages": ["auditd"],
        "files": {"/etc/audit/rules.d/docker.rules": {"content": rules, "mode": "0640"}},
        "modules": ["dummy"],
        "sysctl": {"net.ipv4.ip_forward": 1, "vm.max_map_count": 262144},
        "engine": {**engine(), "daemon": {"exec-opts": ["native.cgroupdriver=systemd"]}},
    }
    outcome = host.apply(spec)
    assert outcome.counts == {"changed": 1}, outcome.out
    yield host
    lab.down([name])


def test_the_checks_of_auditing_fail_for_each_fault(vm: LabHost) -> None:
    def unaudited() -> set[str]:
        # The checks of auditing alone: the whole benchmark takes minutes on an emulated machine.
        found = vm.provision("verify", "--suite", "cis", "--check", "1.1.").failed
        return {check.split()[2] for check in found if check.startswith("cis 1.1.")} - {"containers"}

    assert unaudited() == set()
    vm.sh("auditctl -D >/dev/null")
    assert unaudited() == set(_AUDITED)
    vm.sh("augenrules --load; auditctl -W /usr/bin/runc -p rwxa -k docker")
    assert unaudited() == {"/usr/bin/runc"}


def test_a_kernel_without_a_feature_fails_its_checks(vm: LabHost) -> None:
    wrong: list[tuple[str, set[str], set[str]]] = []

    def judge(name: str, predicted: set[str], *words: str) -> None:
        seen = vm.provision("verify", *(words or ("--suite", "foundation"))).failed
        print(f"{name:40} predicted {sorted(predicted)} failed {sorted(seen)}")
        if seen != predicted:
            wrong.append((name, predicted, seen))

    # A container takes seconds on an emulated machine, so most of this runs only the kernel's own checks.
    kernel = ("--suite", "foundation", "--check", "kernel")
    judge("nothing", set())
    assert vm.docker_info("CgroupVersion") == "2"
    assert vm.docker_info("CgroupDriver") == "systemd"
    for kind in ("pid", "net", "ipc", "mnt", "uts", "user"):
        limit = f"/proc/sys/user/max_{kind}_namespaces"
        before = vm.sh(f"cat {limit}; echo 0 >{limit}")
        judge(f"no {kind} namespaces", {f"kernel_namespace {kind}"}, *kernel)
        if kind == "net":
            judge("and what containers are made of", {f"kernel_namespace {kind}"} | _CONTAINERS)
        vm.sh(f"echo {before} >{limit}")
    vm.sh("rmmod dummy; echo 65530 >/proc/sys/vm/max_map_count")
    settings = ("--suite", "settings")
    judge("a module, a sysctl", {"module_loaded dummy", "sysctl_live vm.max_map_count"}, *settings)
    none = "/etc/modprobe.d/none.conf"
    vm.sh(f"systemctl stop docker.socket docker containerd; echo 'install overlay /bin/false' >{none}; rmmod overlay")
    vm.sh("systemctl start docker", check=False)
    judge("no overlayfs", {"kernel_overlayfs engine"}, *kernel)
    assert vm.sh("systemctl is-active docker", check=False) != "active"
    vm.sh(f"systemctl stop docker.socket docker; rm {none}; sync")
    # Only a boot can remove a controller: a real power cut, and another kernel command line.
    LAB.cut_power(vm.name)
    LAB.switch_on(vm.name, "cgroup_disable=memory cgroup_disable=pids cgroup_disable=cpuset cgroup_disable=cpu")
    controllers = {f"kernel_cgroup {name}" for name in ("cpu", "cpuset", "memory", "pids")}
    limited = ("--suite", "foundation", "--check", "kernel or memory_limit_is_set")
    judge("no controllers", controllers | {"container_memory_limit_is_set engine"}, *limited)
    # The boot has repaired what was broken by hand.
    judge("after the power cut", set(), *settings, "--suite", "daemon")
    assert not wrong
