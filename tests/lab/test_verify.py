"""The witness is believed only if it can say no: each check is made to fail by a host broken in just that way."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tests.lab.conftest import LAB, LabHost, NewHost, Outcome, engine

SPEC: dict[str, Any] = {
    "hostname": "web.example.com",
    "packages": ["tree"],
    "sysctl": {"net.ipv4.ip_forward": 1},
    "modules": ["overlay"],
    "files": {"/etc/motd": {"content": "ours\n", "mode": "0640"}, "/etc/old": {"absent": True}},
    "users": {"alice": {"shell": "/bin/sh", "groups": ["ops"]}, "mallory": {"absent": True}},
    "services": {"ssh": {"enabled": True, "running": True}},
    "engine": {
        **engine(
            **{
                "bip": "10.88.0.1/24",
                "live-restore": True,
                "labels": ["rack=7"],
                "log-driver": "local",
                "registry-mirrors": ["http://198.51.100.2:5000"],
                "insecure-registries": ["198.51.100.2:5000"],
                "mtu": 1400,
                "debug": True,
                "max-concurrent-downloads": 5,
            }
        ),
        "version": "28.5.2",
        "users": ["alice"],
    },
}

_DAEMON = "sed -i 's/{}/{}/' /etc/docker/daemon.json"
#: How a host is broken by hand -> the checks that must fail, and no others. ``restart`` stands for loading the file.
MUTATIONS: list[tuple[str, str, set[str]]] = [
    ("live hostname", "echo other >/proc/sys/kernel/hostname", {"hostname_live web.example.com"}),
    ("hostname at boot", "echo other >/etc/hostname", {"hostname_at_boot web.example.com"}),
    ("hostname in hosts", "sed -i /web.example/d /etc/hosts", {"hostname_resolves web.example.com"}),
    ("file content", "echo theirs >/etc/motd", {"file_content /etc/motd"}),
    ("file mode", "chmod 0600 /etc/motd", {"file_owner_and_mode /etc/motd"}),
    ("file owner", "chown alice /etc/motd", {"file_owner_and_mode /etc/motd"}),
    ("file that must not be", "touch /etc/old", {"file_absent /etc/old"}),
    ("live sysctl", "echo 0 >/proc/sys/net/ipv4/ip_forward", {"sysctl_live net.ipv4.ip_forward"}),
    ("sysctl at boot", "echo net.ipv4.ip_forward=0 >/etc/sysctl.d/zzz.conf", {"sysctl_at_boot net.ipv4.ip_forward"}),
    ("module at boot", "rm /etc/modules-load.d/provision-*", {"module_at_boot overlay"}),
    ("package removed", "dpkg -r tree >/dev/null", {"package_installed tree"}),
    (
        "another archive entry",
        (
            "echo 'deb [signed-by=/etc/apt/keyrings/docker.asc] http://198.51.100.2/docker-ce/linux/debian"
            " trixie stable'"
            " >/etc/apt/sources.list.d/other.list; rm /etc/apt/sources.list.d/docker.sources;"
            " sed -i 's/docker.asc/other.asc/' /etc/apt/sources.list.d/other.list"
        ),
        {"archive docker"},
    ),
    (
        "another key",
        "cp /usr/share/keyrings/lab-archive.asc /etc/apt/keyrings/docker.asc",
        {"archive_key docker"},
    ),
    ("shell of a user", "usermod -s /bin/bash alice", {"user alice"}),
    ("a user that must not be", "useradd mallory", {"user_absent mallory"}),
    ("member of ops", "gpasswd -d alice ops >/dev/null", {"member alice in ops"}),
    ("member of docker", "gpasswd -d alice docker >/dev/null", {"member alice in docker"}),
    ("service disabled", "systemctl -q disable docker", {"service_enabled docker"}),
    (
        "key gone from the file, never loaded",
        _DAEMON.format('"debug": true,', "") + "; sleep 1.1",
        {"daemon_json daemon.json", "daemon_has_loaded_its_file daemon.json"},
    ),
    (
        "file put back, never loaded",
        (
            "cp -p /etc/docker/daemon.json /tmp/d; sed -i 's/7/8/' /etc/docker/daemon.json; sleep 1.1;"
            " systemctl restart docker; sleep 2; cp /tmp/d /etc/docker/daemon.json"
        ),
        {"daemon_key labels", "daemon_has_loaded_its_file daemon.json"},
    ),
    *(
        (
            f"{key} differs, loaded",
            _DAEMON.format(old, new) + "; systemctl restart docker",
            {"daemon_json daemon.json", f"daemon_key {key}"},
        )
        for key, old, new in (
            ("bip", "10.88.0.1", "10.89.0.1"),
            ("live-restore", '"live-restore": true', '"live-restore": false'),
            ("log-driver", '"log-driver": "local"', '"log-driver": "json-file"'),
            ("registry-mirrors", "http:..198.51.100.2:5000", "http:\\/\\/198.51.100.3:5000"),
            ("insecure-registries", '    "198.51.100.2:5000"', '    "198.51.100.4:5000"'),
            ("mtu", "1400", "1300"),
            ("debug", '"debug": true', '"debug": false'),
        )
    ),
]


def failed(outcome: Outcome) -> set[str]:
    return {event["check"] for event in outcome.all("check.done") if event["outcome"] == "failed"}


def test_every_mutation_fails_exactly_its_checks(host: LabHost) -> None:
    done = host.apply(SPEC, "--verify")
    assert done.counts == {"changed": 1}, done.out
    assert len(MUTATIONS) >= 25
    wrong = []
    for name, script, predicted in MUTATIONS:
        host.sh(script)
        seen = failed(host.provision("verify"))
        print(f"{name:40} predicted {sorted(predicted)} failed {sorted(seen)}")
        if seen != predicted:
            wrong.append((name, predicted, seen))
        host.sh("rm -f /etc/sysctl.d/zzz.conf /etc/apt/sources.list.d/other.list")
        healed = host.apply(None, "--verify")
        assert healed.code == 0, f"{name}: {healed.out}"
    assert not wrong


def test_the_daemon_and_the_engine(docker_host: LabHost) -> None:
    """What takes a daemon away, and what an unpinned package is."""
    docker_host.sh("systemctl stop docker.service docker.socket")
    stopped = docker_host.provision("verify")
    assert stopped.code == 3
    assert {"service_running docker", "daemon_answers engine", "daemon_key exec-opts"} <= failed(stopped)
    assert docker_host.apply().code == 0
    pinned = {"engine": {**engine(), "version": "26.1.5"}}
    assert failed(docker_host.provision("verify", spec=pinned)) == {
        "package_pinned docker-ce",
        "package_pinned docker-ce-cli",
        "daemon_version 26.1.5",
    }


def test_junit_and_suites(docker_host: LabHost, tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    outcome = docker_host.provision("verify", "--junit", str(path), "--suite", "daemon")
    assert outcome.code == 0, outcome.out
    assert {event["suite"] for event in outcome.all("check.done")} == {"daemon"}
    cases = list(ElementTree.parse(path).iter("testcase"))  # noqa: S314 - our own file
    assert len(cases) == len(outcome.all("check.done")) > 2
    unknown = docker_host.provision("verify", "--suite", "deamon")
    assert unknown.code == 1
    assert 'did you mean "daemon"?' in unknown.err


def test_a_wrong_host_key_is_refused(host: LabHost, tmp_path: Path) -> None:
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    kind, key = other.with_suffix(".pub").read_text().split()[:2]
    known = tmp_path / "known_hosts"
    known.write_text(f"{host.address} {kind} {key}\n")
    before = host.sessions()
    outcome = host.provision("verify", spec={"packages": []}, provision_known_hosts=str(known))
    assert outcome.code == 3
    assert outcome.done["error"]["kind"] == "host_key"
    assert host.sessions() - before == 1


def test_sudo_and_a_host_that_freezes(new_host: NewHost) -> None:
    good, frozen = new_host(), new_host()
    spec = {"files": {"/etc/secret": {"content": "x", "mode": "0600"}}}
    for host in (good, frozen):
        assert host.apply(spec).code == 0
    lines = [
        f"    {host.name}: {{ansible_host: {host.address}, ansible_user: {user}, {become}"
        f" ansible_ssh_private_key_file: {LAB.store.key}, provision_known_hosts: {LAB.known_hosts}}}\n"
        for host, user, become in (
            (good, "ops", "ansible_become: true, ansible_become_password: lab-secret-1,"),
            (frozen, "root", ""),
        )
    ]
    (good.folder / "inventory.yml").write_text("docker:\n  hosts:\n" + "".join(lines))
    frozen.sh("sed -i '1i kill -STOP $$' /root/.bashrc")
    outcome = good.provision("verify", "--deadline", "5")
    ends = {event["host"]: event["status"] for event in outcome.all("host.done")}
    assert ends == {good.name: "ok", frozen.name: "failed"}, outcome.out


#: A docker that isn't what it seems: case arms of a wrapper -> the checks that must fail.
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
            " /usr/bin/docker run -d --name w --label provision.verify=1 provision-verify sh -c 'touch /written';"
            " sleep 1; /usr/bin/docker commit w provision-verify:latest; exec /usr/bin/docker rm w ;; esac ;;"
        ),
        {"container_layers_are_read_only engine"},
    ),
    ("a stop that does not stop", "stop) exit 0 ;;", {"container_life engine"}),
    (
        "a removal that does not remove",
        "rm) exit 0 ;;",
        {"container_life engine", "nothing_of_ours_is_left engine"},
    ),
]


def test_what_docker_stands_on_can_be_missed(docker_host: LabHost) -> None:
    def verify() -> set[str]:
        return failed(docker_host.provision("verify", "--suite", "foundation"))

    assert verify() == set()
    docker_host.sh("iptables -t nat -F POSTROUTING")
    assert verify() == {"nat docker0"}
    docker_host.sh("systemctl restart docker")
    wrong = []
    for name, arms, predicted in _WRAPPED:
        script = f'#!/bin/sh\ncase $1 in\n{arms}\nesac\nexec /usr/bin/docker "$@"\n'
        subprocess.run(
            [*LAB.ssh(docker_host.name), "cat >/usr/local/bin/docker && chmod +x /usr/local/bin/docker"],
            input=script.encode(),
            check=True,
        )
        seen = verify()
        print(f"{name:40} predicted {sorted(predicted)} failed {sorted(seen)}")
        if seen != predicted:
            wrong.append((name, predicted, seen))
        docker_host.sh(
            "rm /usr/local/bin/docker; docker ps -aq | xargs -r docker rm -f; docker images -q | xargs -r docker rmi -f"
        )
    assert not wrong
    assert verify() == set()
    left = "docker ps -aq; docker images -q; systemctl list-timers --all --no-legend | grep provision-verify || true"
    assert docker_host.sh(left) == ""
