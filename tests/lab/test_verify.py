"""verify is useful only if its checks can fail: for each check, the test breaks a host so that this check fails."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from provision.lab import mirror
from tests.lab.conftest import LAB, LabHost, NewHost, engine, inventory_of

SPEC: dict[str, Any] = {
    "hostname": "web.example.com",
    "packages": ["tree"],
    "sysctl": {"net.ipv4.ip_forward": 1},
    "modules": ["overlay"],
    "files": {"/etc/motd": {"content": "declared\n", "mode": "0640"}, "/etc/old": {"absent": True}},
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
#: Keys whose values another check also has: the daemon may trust no other registries.
_ALSO = {key: {"daemon_registries daemon.json"} for key in ("registry-mirrors", "insecure-registries")}
#: How a host is broken by hand -> the checks that must fail, and no others. ``restart`` means that dockerd loads the
#: file.
MUTATIONS: list[tuple[str, str, set[str]]] = [
    ("live hostname", "echo other >/proc/sys/kernel/hostname", {"hostname_live web.example.com"}),
    ("hostname at boot", "echo other >/etc/hostname", {"hostname_at_boot web.example.com"}),
    ("hostname in hosts", "sed -i /web.example/d /etc/hosts", {"hostname_resolves web.example.com"}),
    ("file content", "echo operator >/etc/motd", {"file_content /etc/motd"}),
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
            f"echo 'deb [signed-by=/etc/apt/keyrings/docker.asc] {mirror.URL}/linux/debian trixie stable'"
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
        "file restored, never loaded",
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
            {"daemon_json daemon.json", f"daemon_key {key}"} | _ALSO.get(key, set()),
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


def test_each_mutation_fails_exactly_its_checks(host: LabHost) -> None:
    done = host.apply(SPEC, "--verify")
    suites = ("--suite", "settings", "--suite", "daemon")
    assert done.counts == {"changed": 1}, done.out
    assert len(MUTATIONS) >= 25
    wrong = []
    for name, script, predicted in MUTATIONS:
        host.sh(script)
        seen = host.provision("verify", *suites).failed
        print(f"{name:40} predicted {sorted(predicted)} failed {sorted(seen)}")
        if seen != predicted:
            wrong.append((name, predicted, seen))
        host.sh("rm -f /etc/sysctl.d/zzz.conf /etc/apt/sources.list.d/other.list")
        healed = host.apply()
        assert healed.code == 0, f"{name}: {healed.out}"
    assert not wrong
    assert host.provision("verify").failed == set()


def test_a_stopped_daemon_and_an_unpinned_package_fail_their_checks(docker_host: LabHost) -> None:
    """A stopped daemon, and an unpinned package."""
    docker_host.sh("systemctl stop docker.service docker.socket")
    stopped = docker_host.provision("verify")
    assert stopped.code == 3
    assert {"service_running docker", "daemon_answers engine", "daemon_key exec-opts"} <= stopped.failed
    assert docker_host.apply().code == 0
    pinned = {"engine": {**engine(), "version": "26.1.5"}}
    assert docker_host.provision("verify", spec=pinned).failed == {
        "package_pinned docker-ce",
        "package_pinned docker-ce-cli",
        "package_held docker-ce",
        "package_held docker-ce-cli",
        "daemon_version 26.1.5",
    }


def test_junit_has_the_checks_of_the_selected_suites(docker_host: LabHost, tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    outcome = docker_host.provision("verify", "--junit", str(path), "--suite", "daemon")
    assert outcome.code == 0, outcome.out
    assert {event["suite"] for event in outcome.all("check.done")} == {"daemon"}
    cases = list(ElementTree.parse(path).iter("testcase"))  # noqa: S314 - written by provision
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


def test_verify_works_over_sudo_and_reports_a_frozen_host(new_host: NewHost) -> None:
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
    outcome = good.provision("verify", "--deadline", "15")
    ends = {event["host"]: event["status"] for event in outcome.all("host.done")}
    assert ends == {good.name: "ok", frozen.name: "failed"}, outcome.out


def test_custom_tests_run_next_to_the_playbook(new_host: NewHost) -> None:
    """Tests next to the playbook, for the hosts of their play, with the host's spec, and with fixtures and classes if
    needed."""
    one, other = new_host(), new_host()
    tests = one.folder / "tests"
    tests.mkdir()
    (tests / "test_motd.py").write_text(
        "import pytest\n"
        "@pytest.fixture\n"
        "def wanted(spec): return spec['files']['/etc/motd']['content']\n"
        "def test_motd(host, wanted): assert host.file('/etc/motd').content_string == wanted\n"
        "def test_host(host, spec): assert host.check_output('uname -n') == spec['hostname']\n"
        "class TestUsers:\n"
        "    @pytest.mark.parametrize('name', ['root', 'no-such-user'])\n"
        "    def test_user(self, host, name): assert host.user(name).exists\n"
    )
    (one.folder / "inventory.yml").write_text(inventory_of(one, other))
    one.playbook(
        {
            "hosts": one.name,
            "spec": {"hostname": "a.example", "files": {"/etc/motd": {"content": "hi\n"}}},
            "verify": "tests",
        },
        {"name": "All", "hosts": "docker", "spec": {"packages": []}},
    )
    assert one.apply().code == 0
    outcome = one.provision("verify", "--suite", "motd")
    assert outcome.code == 3
    ends = {(event["host"], event["check"]): event["outcome"] for event in outcome.all("check.done")}
    assert ends == {
        (one.name, "motd"): "passed",
        (one.name, "host"): "passed",
        (one.name, "TestUsers.user root"): "passed",
        (one.name, "TestUsers.user no-such-user"): "failed",
    }
    one.playbook({"spec": {"packages": []}, "verify": ["test"]})
    missing = one.provision("verify")
    assert missing.code == 1
    assert "[0].verify: no such tests: test" in missing.err


def test_hosts_are_rebooted_and_verified_one_at_a_time(new_host: NewHost) -> None:
    """A host is checked after its reboot. A host that is not as it should be ends the run for the hosts after it."""
    hosts = [new_host() for _ in range(3)]
    first = hosts[0]
    (first.folder / "inventory.yml").write_text(inventory_of(*hosts))
    spec = {"hostname": "{{ inventory_hostname }}", "services": {"ssh": {"enabled": True, "running": True}}}
    assert first.apply(spec).code == 0
    before = [host.sh("cut -d ' ' -f 22 /proc/1/stat") for host in hosts]
    outcome = first.provision("verify", "--reboot")
    assert outcome.counts == {"ok": 3}, outcome.out
    after = [host.sh("cut -d ' ' -f 22 /proc/1/stat") for host in hosts]
    assert all(old != new for old, new in zip(before, after, strict=True))
    marks = [
        (event["event"], event["host"]) for event in outcome.events if event["event"] in ("host.begin", "host.done")
    ]
    assert marks == [(event, host.name) for host in hosts for event in ("host.begin", "host.done")]
    hosts[1].sh("echo other >/etc/hostname")
    assert first.provision("verify").failed == {f"hostname_at_boot {hosts[1].name}"}
    stopped = first.provision("verify", "--reboot")
    assert stopped.code == 3
    ends = {event["host"]: event["status"] for event in stopped.all("host.done")}
    assert ends == {hosts[0].name: "ok", hosts[1].name: "failed", hosts[2].name: "skipped"}
    assert stopped.failed == {f"hostname_at_boot {hosts[1].name}", f"hostname_live {hosts[1].name}"}


def test_the_suites_run_by_plain_pytest(docker_host: LabHost, tmp_path: Path) -> None:
    """The suites without provision's command line: over the inventory's verified connections, and over testinfra's own
    ssh."""
    config = tmp_path / "ssh_config"
    config.write_text(f"Host *\n  User root\n  IdentityFile {LAB.store.key}\n  UserKnownHostsFile {LAB.known_hosts}\n")
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "provision.verify.standalone"]
    argv += ["--provision-inventory", str(docker_host.folder / "inventory.yml")]
    argv += ["--provision-playbook", str(docker_host.folder / "site.yml"), "--ssh-config", str(config), "--pyargs"]
    argv += ["provision.verify.suites.test_settings", "provision.verify.suites.test_daemon"]

    def run(hosts: str) -> tuple[int, int, int]:
        done = subprocess.run([*argv, f"--hosts={hosts}"], capture_output=True, text=True, check=False, cwd=tmp_path)
        counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed)", done.stdout)}
        return done.returncode, counts.get("passed", 0), counts.get("failed", 0)

    code, passed, bad = run("provision://all")
    assert (code, bad) == (0, 0)
    assert passed > 15
    assert run(f"ssh://{docker_host.address}") == (0, passed, 0)
    docker_host.sh("systemctl disable -q docker")
    assert run(f"provision://{docker_host.name}") == (1, passed - 1, 1)
    assert run(f"ssh://{docker_host.address}") == (1, passed - 1, 1)
