"""The checks of the kernel features that Docker needs, on a real host: each fault fails its checks, and no others."""

from __future__ import annotations

import subprocess
import sys
import time

from provision.lab.store import MIRROR
from tests.lab.conftest import LabHost, engine, wrap

#: A fake docker: case arms of a wrapper -> the checks that must fail.
_IMAGE = "image=$(echo \"$*\" | grep -o 'provision-verify:[0-9a-f]*')"
_NOT_OFFLINE = 'case "$*" in *"--network none"*) exec /usr/bin/docker "$@" ;; esac;'
_WRAPPED: list[tuple[str, str, set[str]]] = [
    ("ipc of the host", 'run) shift; exec /usr/bin/docker run --ipc=host "$@" ;;', {"container_namespaces engine"}),
    (
        "pid of the host",
        'run) shift; exec /usr/bin/docker run --pid=host "$@" ;;',
        {"container_namespaces engine", "container_sees_only_itself engine"},
    ),
    (
        "another memory limit",
        'run) case "$*" in *"--memory 32m"*) exec /usr/bin/docker $(echo "$@" | sed s/32m/48m/) ;; esac ;;',
        {"container_memory_limit_is_set engine"},
    ),
    (
        "a layer that remembers",
        (
            'run) case "$*" in *"touch /written"*) shift; echo /written; exec >/dev/null;'
            f" {_IMAGE}; /usr/bin/docker run -d --name w --label provision.verify=${{image#*:}} $image"
            " sh -c 'touch /written'; sleep 1; /usr/bin/docker commit w $image; exec /usr/bin/docker rm w ;; esac ;;"
        ),
        {"container_layers_are_read_only engine"},
    ),
    ("a stop that does not stop", "stop) exit 0 ;;", {"container_life engine"}),
    (
        "a container that ends by itself",
        'create) exec /usr/bin/docker $(echo "$@" | sed "s/sleep 3600/sleep 0/") ;;',
        {"container_life engine"},
    ),
    (
        "a removal that does not remove",
        "rm) exit 0 ;;",
        {"container_life engine", "nothing_of_the_checks_is_left engine"},
    ),
    (
        "a neighbour without a network",
        f'run) {_NOT_OFFLINE} case "$*" in *sleep*) shift; exec /usr/bin/docker run --network none "$@" ;; esac ;;',
        {"container_reaches_container docker0"},
    ),
]
_OUTSIDE = f"container_reaches_outside {MIRROR}"
_FORWARDING = f"forwarding_is_what_lets_it_out {MIRROR}"
#: Shell commands on the host -> the checks that must fail. `systemctl restart docker` repairs the host.
_BROKEN: list[tuple[str, str, set[str]]] = [
    ("no masquerade", "iptables -t nat -F POSTROUTING", {"nat docker0", _OUTSIDE}),
    ("a firewall that forwards nothing", "iptables -I FORWARD -o eth0 -j DROP", {_OUTSIDE}),
    ("no forwarding", "echo 0 >/proc/sys/net/ipv4/ip_forward", {_OUTSIDE}),
    ("no bridge", "ip link del docker0", {"bridge docker0", "container_reaches_container docker0", _OUTSIDE}),
]
#: The same, for checks that only --disruptive runs.
_DISRUPTED: list[tuple[str, str, set[str]]] = [
    (
        "a container on the host's own network",
        f'run) {_NOT_OFFLINE} shift; exec /usr/bin/docker run --network host "$@" ;;',
        {"container_reaches_container docker0", _FORWARDING},
    ),
    (
        "an over-eater that gets away",
        f'run) case "$*" in *24m*) {_IMAGE}; exec /usr/bin/docker run --rm $image sh -c "echo 16 0" ;; esac ;;',
        {"container_memory_limit_is_enforced engine"},
    ),
    (
        "a limit that comes late",
        (
            'run) case "$*" in *24m*) for w; do shift; set -- "$@" "$(echo "$w" | sed s/24m/200m/)"; done;'
            ' exec /usr/bin/docker "$@" ;; esac ;;'
        ),
        {"container_memory_limit_is_enforced engine"},
    ),
]
_ALL_GONE = "docker ps -aq | xargs -r docker rm -f; docker images -q | xargs -r docker rmi -f"
_SHIMS_DIE = (
    "mkdir -p /etc/systemd/system/docker.service.d; printf '[Service]\\nExecStopPost=-/usr/bin/pkill -9 shim\\n' "
)


def test_each_fault_below_docker_fails_its_checks(host: LabHost) -> None:
    assert host.apply({"engine": engine(**{"live-restore": True})}).code == 0
    wrong: list[tuple[str, set[str], set[str]]] = []

    def verify(*words: str) -> set[str]:
        return host.provision("verify", *words).failed

    def judge(name: str, predicted: set[str], seen: set[str]) -> None:
        print(f"{name:40} predicted {sorted(predicted)} failed {sorted(seen)}")
        if seen != predicted:
            wrong.append((name, predicted, seen))

    disruptive = ("--suite", "foundation", "--suite", "live_restore", "--disruptive")
    judge("nothing", set(), verify(*disruptive))
    for name, script, predicted in _BROKEN:
        host.sh(script)
        judge(name, predicted, verify("--suite", "foundation"))
        host.sh("iptables -D FORWARD -o eth0 -j DROP; echo 1 >/proc/sys/net/ipv4/ip_forward; true")
        host.sh("systemctl reset-failed docker; systemctl restart docker")
    for table, words in ((_WRAPPED, ("--suite", "foundation")), (_DISRUPTED, disruptive)):
        for name, arms, predicted in table:
            wrap(host, arms)
            judge(name, predicted, verify(*words))
            host.sh(f"rm /usr/local/bin/docker; {_ALL_GONE}")
    survives = "container_survives_a_restart_of_the_daemon live-restore"
    host.sh(f"{_SHIMS_DIE} >/etc/systemd/system/docker.service.d/zz.conf; systemctl daemon-reload")
    judge("a restart that ends containers", {survives}, verify("--suite", "live_restore", "--disruptive"))
    host.sh("rm /etc/systemd/system/docker.service.d/zz.conf; systemctl daemon-reload")
    host.sh("sed -i '/live-restore/s/true/false/' /etc/docker/daemon.json")
    host.sh("systemctl reset-failed docker; systemctl restart docker")
    judge("live-restore is off", {survives}, verify("--suite", "live_restore", "--disruptive"))
    assert not wrong
    left = "docker ps -aq; docker images -q; systemctl list-timers --all --no-legend | grep provision-verify || true"
    assert host.sh(left) == ""


def test_the_container_of_a_killed_verify_is_removed_by_the_host(docker_host: LabHost) -> None:
    """The host's own timer removes what a killed run has left. The test does not wait for the timer but starts its
    service."""
    argv = [sys.executable, "-m", "provision", "verify", "-i", str(docker_host.folder / "inventory.yml")]
    with subprocess.Popen([*argv, str(docker_host.folder / "site.yml"), "--suite", "foundation"]) as run:
        end = time.monotonic() + 60
        while not docker_host.sh("docker ps -q --filter label=provision.verify") and time.monotonic() < end:
            time.sleep(0.05)
        run.kill()
    # The step that was under way continues to its end, and no other step follows.
    while docker_host.sh("pgrep -f '[d]ocker (run|create|start|stop|rm|import)' || true") and time.monotonic() < end:
        time.sleep(0.5)
    time.sleep(2)
    assert docker_host.sh("docker images -q --filter label=provision.verify")
    unit = docker_host.sh(
        "systemctl list-timers --all --no-legend | grep -o 'provision-verify-clean-[0-9a-f]*' | head -1"
    )
    # --wait: a simple service counts as started as soon as its process exists.
    docker_host.sh(f"systemctl start --wait {unit}.service")
    assert docker_host.sh("docker ps -aq; docker images -q") == ""


def test_two_runs_of_verify_do_not_disturb_each_other(docker_host: LabHost) -> None:
    """The checks of one run neither see nor remove the containers and the image of the other one."""
    assert docker_host.plan().code == 0
    words = ["-i", str(docker_host.folder / "inventory.yml"), str(docker_host.folder / "site.yml"), "--json"]
    argv = [sys.executable, "-m", "provision", "verify", *words, "--suite", "foundation"]
    for _ in range(3):
        runs = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        said = [run.communicate()[0] for run in runs]
        assert [run.returncode for run in runs] == [0, 0], said
    assert docker_host.sh("docker ps -aq; docker images -q --filter label=provision.verify") == ""
