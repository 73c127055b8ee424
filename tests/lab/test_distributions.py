"""Hosts that the table of distributions does not know, and engines that provision did not install."""

from __future__ import annotations

from tests.lab.conftest import LabHost, NewHost, engine

_OS_RELEASE = """\
NAME="New Linux"
ID="newlinux"
ID_LIKE="rhel centos fedora"
VERSION_ID="3"
PLATFORM_ID="platform:el9"
PRETTY_NAME="New Linux 3"
"""


def test_the_row_of_the_error_message_makes_a_derivative_work(new_host: NewHost) -> None:
    host = new_host("el9")
    host.sh(f"cat >/etc/os-release <<'END'\n{_OS_RELEASE}END")
    refused = host.apply({"engine": {**engine(), "version": "26.1.5"}})
    assert refused.code == 3
    assert refused.done["error"]["kind"] == "unsupported"
    message = refused.done["error"]["message"]
    print(f"\n{message}")
    line = message.partition("next to the playbook: ")[2]
    assert line == "newlinux: {like: centos, version: 9}"
    (host.folder / "distributions.yml").write_text(f"{line}\n")
    assert host.apply().counts == {"changed": 1}
    assert host.apply().counts == {"ok": 1}
    checked = host.provision("verify")
    assert checked.counts == {"ok": 1}, checked.failed
    assert "/linux/centos/9/" in host.sh("cat /etc/yum.repos.d/docker-ce.repo")
    # The plugin that holds versions works on this host, so no package is installed for it.
    missing = "package python3-dnf-plugin-versionlock is not installed"
    assert host.sh("rpm -q python3-dnf-plugin-versionlock", check=False) == missing
    host.sh("dnf -q -y upgrade")
    assert host.docker_info("ServerVersion").startswith("26.1.5"), "its version is held"
    verdicts = {event["subject"]: event["text"] for event in host.provision("doctor").all("verdict")}
    assert verdicts["distribution"].startswith("New Linux 3, served as centos 9 (distributions.yml)")


def _packages(host: LabHost) -> str:
    return host.sh("dpkg-query -W; ls /etc/apt/sources.list.d /etc/apt/keyrings")


def test_an_engine_that_provision_did_not_install(host: LabHost) -> None:
    """As on a read-only image: provision leaves packages and repositories alone, and everything else works."""
    host.sh("touch /run/ostree-booted")
    spec = {"engine": {"source": "installed", "daemon": {**engine()["daemon"], "live-restore": True}}}
    absent = host.plan(spec)
    assert absent.code == 3
    assert "this host has no docker.service: install Docker" in absent.done["error"]["message"]
    host.sh("apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install docker.io docker-cli")
    before = _packages(host)
    refused = host.plan({"engine": engine()})
    assert refused.code == 3
    assert "is a read-only image: set engine.source: installed" in refused.done["error"]["message"]
    assert host.apply(spec).counts == {"changed": 1}
    assert host.docker_info("LiveRestoreEnabled") == "true"
    assert host.apply().counts == {"ok": 1}
    checked = host.provision("verify")
    assert checked.counts == {"ok": 1}, checked.failed
    print(f"\nverify: {len(checked.all('check.done'))} checks", end="")
    assert _packages(host) == before
