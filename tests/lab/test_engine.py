"""Bare hosts become Docker hosts, on real systemd, sshd, apt and dockerd."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lab import images
from tests.lab.conftest import LabHost, NewHost, engine

REFERENCE_SETUP = {
    "hostname": "{{ inventory_hostname }}.example.com",
    "sysctl": {"net.ipv4.ip_forward": 1},
    "users": {"alice": {"groups": ["ops"]}},
    "files": {"/etc/motd": {"content": "managed\n", "mode": "0644"}},
    "packages": ["tree"],
}


def reference_setup() -> dict[str, object]:
    return {
        **REFERENCE_SETUP,
        "engine": {**engine(**{"bip": "10.77.0.1/24", "live-restore": True}), "users": ["alice"]},
    }


def test_a_bare_host_gets_docker_and_the_second_run_changes_nothing(host: LabHost) -> None:
    for program in ("python3", "curl", "gpg"):
        assert host.sh(f"command -v {program} || echo none") == "none", "a fresh host must not have it"
    planned = host.plan(reference_setup(), "--detailed-exitcode")
    assert planned.code == 2
    assert "create packages:all" in planned.items
    assert "change service:docker" in planned.items
    first = host.apply()
    assert first.code == 0, first.out + first.err
    assert first.counts == {"changed": 1}
    assert first.done["changes"] == len(planned.items)
    before = host.sessions()
    second = host.apply()
    assert second.code == 0
    assert second.counts == {"ok": 1}
    assert second.done["changes"] == 0
    # One exec by provision, and one by the count before it.
    assert host.sessions() - before == 2
    assert host.plan(None, "--detailed-exitcode").code == 0

    assert host.docker_info("LiveRestoreEnabled") == "true"
    assert host.sh("docker network inspect bridge --format '{{(index .IPAM.Config 0).Gateway}}'") == "10.77.0.1"
    assert host.sh("cat /proc/sys/net/ipv4/ip_forward") == "1"
    assert host.sh("hostname") == host.sh("cat /etc/hostname") == f"{host.name}.example.com"
    assert host.sh(f"getent hosts {host.name}.example.com").startswith("127.0.1.1")
    assert "docker" in host.sh("id -nG alice").split()
    assert "ops" in host.sh("id -nG alice").split()
    assert host.sh("command -v tree") == "/usr/bin/tree"
    assert host.sh("command -v python3 || echo none") == "none"


def test_dockerd_starts_the_first_time_with_the_declared_settings(host: LabHost) -> None:
    host.apply({"sysctl": {"net.ipv4.ip_forward": 1}, "engine": engine(bip="10.77.0.1/24")})
    starts = host.sh("journalctl -q -u docker -o cat | grep -c 'API listen on /run/docker.sock'")
    assert starts == "1", "dockerd must not have been restarted to get its configuration"
    assert host.docker_info("ServerVersion")


def test_one_changed_key_costs_one_restart(docker_host: LabHost) -> None:
    pid = docker_host.dockerd_pid()
    outcome = docker_host.apply({"engine": engine(debug=True, labels=["rack=7"], icc=False)})
    assert outcome.counts == {"changed": 1}
    assert docker_host.docker_info("Debug") == "true"
    assert docker_host.docker_info("Labels") == "[rack=7]"
    assert docker_host.dockerd_pid() != pid
    starts = int(docker_host.sh("journalctl -q -u docker -o cat | grep -c 'API listen on /run/docker.sock'"))
    assert starts == 2
    # A file that is no longer declared is removed.
    docker_host.apply({"engine": engine()})
    assert docker_host.docker_info("Debug") == "false"
    assert "debug" not in json.loads(docker_host.sh("cat /etc/docker/daemon.json"))


def test_a_pinned_version_is_kept_and_upgrade_changes_it(host: LabHost) -> None:
    spec = {"engine": {**engine(), "version": "26.1.5"}}
    assert host.apply(spec).counts == {"changed": 1}
    assert host.docker_info("ServerVersion").startswith("26.1.5")
    assert host.apply(spec).counts == {"ok": 1}
    assert set(host.sh("apt-mark showhold").split()) == {"docker-ce", "docker-ce-cli"}
    # Without a pin the installed version is accepted, and no longer held. Only --upgrade changes it.
    unpinned = {"engine": engine()}
    assert host.apply(unpinned).counts == {"changed": 1}
    assert host.sh("apt-mark showhold") == ""
    assert host.apply(unpinned).counts == {"ok": 1}
    planned = host.plan(unpinned, "--upgrade")
    assert "docker-ce: 5:26.1.5-1~debian.13~trixie -> newest" in planned.all("host.plan")[0]["items"][0]["diff"]
    assert host.apply(unpinned, "--upgrade").counts == {"changed": 1}
    assert host.docker_info("ServerVersion").startswith("28.5.2")
    assert host.apply(unpinned, "--upgrade").counts == {"ok": 1}
    # A pin downgrades it again.
    assert host.apply(spec).counts == {"changed": 1}
    assert host.docker_info("ServerVersion").startswith("26.1.5")
    missing = host.apply({"engine": {**engine(), "version": "19.03"}})
    assert missing.code == 3
    assert "no version of docker-ce matches 19.03" in missing.done["error"]["detail"]
    assert "28.5.2" in missing.done["error"]["detail"], "the error must list the known versions"


def test_an_upgrade_under_policy_rc_d_starts_the_new_engine(host: LabHost) -> None:
    """policy-rc.d forbids that the package restarts docker. In an earlier version the old engine ran on."""
    host.sh("printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d")
    assert host.apply({"engine": {**engine(), "version": "26.1.5"}}).counts == {"changed": 1}
    assert host.apply({"engine": engine()}).counts == {"changed": 1}
    upgraded = host.apply(None, "--upgrade")
    assert upgraded.counts == {"changed": 1}
    assert any("policy-rc.d" in event["text"] for event in upgraded.all("note"))
    assert host.docker_info("ServerVersion").startswith("28.5.2")
    assert host.plan(None, "--upgrade").counts == {"ok": 1}
    # Another party replaces the program, and does not restart docker.
    host.sh("cp -p /usr/bin/dockerd /usr/bin/dockerd.new; mv /usr/bin/dockerd.new /usr/bin/dockerd")
    assert host.provision("verify", "--suite", "daemon").failed == {"daemon_program engine"}
    pid = host.dockerd_pid()
    assert host.plan().items == ["change service:docker"]
    assert host.apply().counts == {"changed": 1}
    assert host.dockerd_pid() != pid
    assert host.provision("verify", "--suite", "daemon").failed == set()
    assert host.apply().counts == {"ok": 1}


def test_conflicting_packages_are_removed(host: LabHost) -> None:
    # A package that has only the name of docker.io: the test checks that it is removed in the same transaction.
    host.sh(
        "mkdir -p /tmp/p/DEBIAN && printf 'Package: docker.io\\nVersion: 1\\nArchitecture: all\\n"
        "Maintainer: x <x@example.com>\\nDescription: x\\n' >/tmp/p/DEBIAN/control && dpkg-deb -b /tmp/p /tmp/p.deb"
        " && dpkg -i /tmp/p.deb"
    )
    outcome = host.apply({"engine": engine()})
    assert outcome.counts == {"changed": 1}, outcome.out
    assert "docker.io: 1 -> absent" in str(outcome.all("host.plan")[0]["items"])
    assert host.sh("dpkg-query -W -f '${db:Status-Abbrev}' docker.io 2>/dev/null || echo gone") in ("gone", "rc", "un")


def test_the_reference_setup_on_bookworm(new_host: NewHost) -> None:
    host = new_host("bookworm")
    assert host.apply(reference_setup()).counts == {"changed": 1}
    assert host.docker_info("ServerVersion").startswith("26.1")
    assert host.apply().counts == {"ok": 1}


def test_a_wrong_fingerprint_installs_nothing(host: LabHost) -> None:
    spec = {"engine": {**engine(), "fingerprint": "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"}}
    outcome = host.apply(spec)
    assert outcome.code == 3
    error = outcome.done["error"]
    assert error["kind"] == "step"
    assert "not 9DC858229FC7DD38854AE2D88D81803C0EBFCD88" in error["detail"]
    assert host.sh("ls /etc/apt/keyrings") == ""
    assert host.sh("test -e /etc/apt/sources.list.d/docker.sources || echo none") == "none"
    assert host.sh("command -v dockerd || echo none") == "none"


def _undeclared() -> dict[str, Any]:
    """The lab's mirror signs with its own key, and here no spec declares the key."""
    return {key: value for key, value in engine().items() if key != "fingerprint"}


def test_a_mirror_with_another_key_than_the_published_one_is_refused(host: LabHost) -> None:
    shown, published = engine()["fingerprint"], "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"
    outcome = host.apply({"engine": _undeclared()})
    assert outcome.code == 3, outcome.out
    error = outcome.done["error"]
    assert error["kind"] == "step"
    assert f"has the fingerprint {shown}, not {published}" in error["detail"]
    assert f"declare engine.fingerprint: {shown}" in error["detail"]
    assert host.sh("ls -A /etc/apt/keyrings") == ""
    assert host.sh("test -e /etc/apt/sources.list.d/docker.sources || echo none") == "none"
    assert host.sh("command -v dockerd || echo none") == "none"
    # The spec that the message recommends, as a list, for a fleet with several mirrors.
    declared = {**engine(), "fingerprint": [published, shown]}
    assert host.apply({"engine": declared}).counts == {"changed": 1}
    assert host.apply({"engine": declared}).counts == {"ok": 1}
    assert host.provision("verify", "--suite", "settings").failed == set()


def test_another_key_that_a_host_trusts_is_replaced(docker_host: LabHost) -> None:
    """A host that was set up when provision accepted any key of the mirror: the plan shows that key, and apply removes
    it."""
    shown, published = engine()["fingerprint"], "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"
    pid = docker_host.dockerd_pid()
    key = docker_host.sh("cat /etc/apt/keyrings/docker.asc")
    planned = docker_host.plan({"engine": _undeclared()}, "--detailed-exitcode")
    assert planned.code == 2
    assert planned.items == ["change key:/etc/apt/keyrings/docker.asc"]
    assert f"key: {shown} -> {published}" in str(planned.all("host.plan")[0]["items"])
    outcome = docker_host.apply()
    assert outcome.code == 3
    assert f"declare engine.fingerprint: {shown}" in outcome.done["error"]["detail"]
    assert docker_host.sh("cat /etc/apt/keyrings/docker.asc") == key, "a refused change leaves the old file"
    assert docker_host.dockerd_pid() == pid
    assert docker_host.provision("verify", "--suite", "settings").failed == {"archive_key docker"}
    # A key of a third party in the file is replaced by the declared one.
    docker_host.sh("cp /usr/share/keyrings/debian-archive-keyring.gpg /etc/apt/keyrings/docker.asc")
    assert docker_host.apply({"engine": engine()}).counts == {"changed": 1}
    assert docker_host.sh("cat /etc/apt/keyrings/docker.asc") == key


def test_an_unsupported_distribution_is_named_and_the_host_untouched(host: LabHost) -> None:
    host.sh("rm /etc/os-release && printf 'ID=plan9\\nVERSION_ID=4\\nPRETTY_NAME=\"Plan 9\"\\n' >/etc/os-release")
    outcome = host.apply(reference_setup())
    assert outcome.code == 3
    assert outcome.done["error"]["kind"] == "unsupported"
    assert "Plan 9" in outcome.done["error"]["message"]
    assert "provision explain unsupported" in outcome.done["error"]["message"]
    assert host.sh("test -e /run/provision || echo none") == "none"


@pytest.mark.parametrize("own", ["sources", "list"])
def test_a_host_in_the_desired_state_set_up_by_hand_needs_no_change(host: LabHost, own: str) -> None:
    """A host that was set up by hand by Docker's pages, with other file names and another form of daemon.json."""
    uri = f"{engine()['package_mirror']}/linux/debian"
    key = "/etc/apt/keyrings/docker.asc"
    entry = {
        "sources": f"Types: deb\\nURIs: {uri}/\\nSuites: trixie\\nComponents: stable\\nSigned-By: {key}\\n",
        "list": f"deb [arch=amd64 signed-by={key}] {uri} trixie stable\\n",
    }[own]
    driver = engine()["daemon"]["exec-opts"][0]
    host.sh(
        f"""set -e
        /usr/lib/apt/apt-helper download-file {uri}/gpg /etc/apt/keyrings/docker.asc
        printf '{entry}' >/etc/apt/sources.list.d/my-docker.{own}
        mkdir /etc/docker
        printf '{{"live-restore":true, "exec-opts" : ["{driver}"]}}' >/etc/docker/daemon.json
        echo net.ipv4.ip_forward=1 >/etc/sysctl.d/50-mine.conf
        echo 1 >/proc/sys/net/ipv4/ip_forward
        sleep 1.1
        apt-get -qq update
        DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends docker-ce >/dev/null 2>&1
        """
    )
    pid = host.dockerd_pid()
    spec = {"sysctl": {"net.ipv4.ip_forward": 1}, "engine": engine(**{"live-restore": True})}
    outcome = host.apply(spec)
    assert outcome.counts == {"ok": 1}, outcome.out
    assert host.dockerd_pid() == pid
    assert host.sh("test -e /var/lib/provision || echo none") == "none"


def test_an_older_repository_with_another_key_is_switched_off(host: LabHost) -> None:
    uri = f"{engine()['package_mirror']}/linux/debian"
    host.sh(
        f"echo 'deb [signed-by=/usr/share/keyrings/old.gpg] {uri} trixie stable' >/etc/apt/sources.list.d/docker.list;"
        f"printf 'deb {uri} trixie stable\\n# a note\\ndeb http://example.com/x y z\\n' >/etc/apt/sources.list"
    )
    outcome = host.apply({"engine": engine()})
    assert outcome.counts == {"changed": 1}, outcome.out
    assert "# deb [signed-by=/usr/share/keyrings/old.gpg]" in host.sh("cat /etc/apt/sources.list.d/docker.list")
    kept = host.sh("cat /etc/apt/sources.list").splitlines()
    assert "deb http://example.com/x y z" in kept
    assert "# a note" in kept
    assert f"deb {uri} trixie stable" not in kept
    host.sh("sed -i '/example.com/d' /etc/apt/sources.list")
    assert host.apply().counts == {"ok": 1}


def test_the_indexes_follow_a_source_that_changes_alone(host: LabHost) -> None:
    uri = f"{engine()['package_mirror']}/linux/debian"
    signed = {"key_url": f"{uri}/gpg", "fingerprint": engine()["fingerprint"]}

    def spec(suite: str) -> dict[str, Any]:
        return {"repositories": {"tools": {"url": uri, "suites": [suite], "components": ["stable"], **signed}}}

    for suite in ("bookworm", "trixie"):
        outcome = host.apply(spec(suite))
        assert outcome.counts == {"changed": 1}, outcome.out
        assert f"~{suite}" in host.sh("apt-cache policy docker-ce | grep Candidate")
        assert host.provision("verify", "--suite", "settings").failed == set()
    assert host.apply().counts == {"ok": 1}
    # A package that the mirror does not have fails this run, and not the next installation.
    outcome = host.apply(spec("forky"))
    assert outcome.counts == {"rolled_back": 1}, outcome.out
    assert outcome.done["error"]["step"] == "indexes:all pkg_refresh"
    assert "Suites: trixie" in host.sh("cat /etc/apt/sources.list.d/tools.sources")
    assert host.apply(spec("trixie")).counts == {"ok": 1}


def test_an_engine_that_is_no_longer_declared_keeps_its_store(docker_host: LabHost) -> None:
    """Without the daemon.json that an earlier run made, dockerd would use another store at its next start."""
    host = docker_host
    images.archive(host.folder / "app.tar", "app:1")
    there = {"engine": engine(features={"containerd-snapshotter": True}), "images": {"app:1": {"archive": "app.tar"}}}
    assert host.apply(there).counts == {"changed": 1}
    assert host.docker_info("Driver") == "overlayfs"
    before = host.sh("cat /etc/docker/daemon.json; docker image ls -q")
    gone = {"files": {"/etc/other": {"content": "other\n"}}}
    refused = host.apply(gone)
    assert refused.done["error"]["kind"] == "unsuited", refused.out
    for word in ("snapshots of overlayfs in /var/lib/containerd", "[features", "are no longer declared"):
        assert word in refused.done["error"]["message"], refused.done["error"]
    assert host.sh("cat /etc/docker/daemon.json; docker image ls -q; ls /etc/other 2>/dev/null || true") == before
    # The solution that the message names.
    left = host.apply({"engine": {**engine(), "existing_store": "leave"}})
    assert left.counts == {"changed": 1}, left.out
    assert host.docker_info("Driver") == "overlay2"
    assert host.apply(gone).counts == {"changed": 1}
    assert host.sh("ls /etc/docker/daemon.json 2>/dev/null || echo none") == "none"
    assert host.apply(gone).counts == {"ok": 1}


def test_the_engine_can_be_removed(docker_host: LabHost) -> None:
    """No daemon is left that could be healthy: the run is not rolled back."""
    docker_host.apply({})
    packages = dict.fromkeys(("docker-ce", "docker-ce-cli", "containerd.io"), "absent")
    removed = docker_host.apply({"packages": packages})
    assert removed.counts == {"changed": 1}, removed.out + removed.err
    assert docker_host.sh("command -v dockerd || echo none") == "none"
    assert docker_host.apply().counts == {"ok": 1}
