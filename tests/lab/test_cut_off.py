"""The host rolls back each change that locks the operator out, for all kinds of changes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.conftest import LAB, LabHost, NewHost, engine
from tests.lab.runs import RUNS, leftovers, receipt

SHORT = ("--confirm-within", "6")
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA other\n"
DENY = "auth required pam_deny.so\naccount required pam_deny.so\nsession required pam_deny.so\n"
#: Changes that lock root out.
CASES: dict[str, dict[str, Any]] = {
    "authorized_keys": {"files": {"/root/.ssh/authorized_keys": {"content": OTHER_KEY, "mode": "0600"}}},
    "shell": {"users": {"root": {"shell": "/bin/false"}}},
    "pam": {"files": {"/etc/pam.d/sshd": {"content": DENY}}},
    "sshd_config": {
        "files": {"/etc/ssh/sshd_config.d/x.conf": {"content": "AllowUsers no-such-user\n"}},
        "services": {"ssh": {"watch": ["/etc/ssh/sshd_config.d/x.conf"]}},
    },
}
#: Changes that lock out a login that becomes root by sudo.
SUDO_CASES: dict[str, dict[str, Any]] = {
    "nologin": {"files": {"/etc/nologin": {"content": "maintenance\n"}}},
    "sudoers": {"files": {"/etc/sudoers.d/zz": {"content": "op ALL=(ALL:ALL) !ALL\n", "mode": "0440"}}},
    "group": {"users": {"op": {"groups": ["shut"]}}},
}


def is_rolled_back(host: LabHost, spec: dict[str, Any]) -> None:
    facts = (
        "cat /etc/passwd /etc/shadow /etc/group; "
        "find /root/.ssh /etc/pam.d /etc/ssh /etc/sudoers.d -type f ! -name 'ssh_host_*' "
        "-printf '%p %m %u %g %s\\n' | sort; "
        "cat /root/.ssh/authorized_keys /etc/pam.d/sshd; ls /etc/nologin 2>/dev/null; "
        "dpkg-query -W -f '${db:Status-Abbrev} ${Package}\\n' openssh-server sudo; "
        "systemctl is-enabled ssh.service ssh.socket"
    )
    before = host.within(f"{{ {facts}; }} || true")
    outcome = host.apply(spec, *SHORT)
    assert (outcome.code, outcome.counts) == (3, {"rolled_back": 1}), outcome.out
    assert outcome.done["error"]["kind"] == "unconfirmed"
    print(outcome.done["error"]["message"], "|", outcome.done["error"].get("detail", ""))
    assert receipt(host) == "rolled_back unconfirmed"
    assert host.sh(f"{{ {facts}; }} || true") == before
    assert host.apply({"files": {"/etc/motd": {"content": "in\n"}}}).counts == {"changed": 1}, (
        "the host can be reached again"
    )
    assert leftovers(host) == ""


@pytest.mark.parametrize("name", CASES)
def test_a_change_that_locks_root_out_is_rolled_back(host: LabHost, name: str) -> None:
    is_rolled_back(host, CASES[name])


@pytest.mark.parametrize("name", SUDO_CASES)
def test_a_change_that_locks_a_sudo_login_out_is_rolled_back(new_host: NewHost, name: str) -> None:
    host = new_host(ansible_user="op", ansible_become=True)
    host.sh(
        "groupadd shut && useradd -m -s /bin/sh -G sudo op && "
        "echo 'op ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/op && "
        "mkdir -m 0700 ~op/.ssh && cp ~/.ssh/authorized_keys ~op/.ssh/ && chown -R op: ~op/.ssh && "
        "echo 'DenyGroups shut' >/etc/ssh/sshd_config.d/shut.conf && systemctl reload ssh"
    )
    is_rolled_back(host, SUDO_CASES[name])


#: The installed version of the package, in a repository on the host itself.
REPACK = """
mkdir -p /srv/again /tmp/r/DEBIAN
dpkg -L openssh-server | while read -r f; do
    if [ -d "$f" ] && [ ! -L "$f" ]; then mkdir -p "/tmp/r$f"; else cp -a "$f" "/tmp/r$f"; fi
done
for f in /var/lib/dpkg/info/openssh-server.*; do
    case ${f##*.} in list | md5sums) ;; *) cp "$f" "/tmp/r/DEBIAN/${f##*.}" ;; esac
done
dpkg-query -s openssh-server | sed '/^Status:/d; /^Conffiles:/,/^[^ ]/{/^Conffiles:/d;/^ /d}' >/tmp/r/DEBIAN/control
dpkg-deb -b /tmp/r /srv/again/again.deb >/dev/null
cd /srv/again
{ dpkg-deb -f again.deb; echo "Filename: ./again.deb"; echo "Size: $(stat -c %s again.deb)"
  echo "SHA256: $(sha256sum again.deb | cut -d' ' -f1)"; } >Packages
echo 'deb [trusted=yes] file:/srv/again ./' >/etc/apt/sources.list.d/again.list
apt-get -q update
"""
SERVER = {"packages": {"openssh-server": "absent"}}


def test_sshd_is_removed_only_where_a_rollback_can_install_it_again(host: LabHost) -> None:
    refused = host.apply(SERVER, *SHORT)
    assert refused.done["error"]["step"] == "packages:all pkg_spare", refused.out
    assert "operators log in with" in refused.done["error"]["detail"]
    assert host.sh("dpkg-query -W -f '${db:Status-Abbrev}' openssh-server") == "ii"
    host.sh(REPACK)
    is_rolled_back(host, SERVER)


def logins(host: LabHost) -> int:
    found = "journalctl -q -o cat -t sshd-session -t sshd | grep -c '^Accepted publickey for'"
    return int(host.sh(f"journalctl --sync; {found}"))


def test_each_change_is_followed_by_a_new_login(host: LabHost) -> None:
    before = logins(host)
    harmless = host.apply({"files": {"/etc/motd": {"content": "declared\n"}}})
    assert harmless.counts == {"changed": 1}
    assert harmless.all("armed") == []
    assert logins(host) - before == 1 + 1 + 1, "the look, the confirmation, and the test's own count"
    before = logins(host)
    assert host.apply().counts == {"ok": 1}
    assert logins(host) - before == 1 + 1, "a host in the desired state costs one connection"
    other = host.apply({"files": {"/etc/motd": {"content": "declared\n"}, "/etc/x": {"content": "x\n"}}})
    assert other.counts == {"changed": 1}
    assert len(other.all("armed")) == 1, "this file is not on the list of harmless ones"


def test_an_unreachable_host_after_a_harmless_change_is_a_failure(host: LabHost) -> None:
    """sshd asks a program for root's keys. Once the motd has changed, the program prints no key, although writing the
    motd arms no rollback."""
    host.sh(
        "install -m 0644 /root/.ssh/authorized_keys /etc/ssh/keys && "
        "printf '#!/bin/sh\\ngrep -q declared /etc/motd || cat /etc/ssh/keys\\n' >/usr/local/bin/keys && "
        " chmod 0755 /usr/local/bin/keys && printf '%s\\n' 'AuthorizedKeysFile none' "
        "'AuthorizedKeysCommand /usr/local/bin/keys' 'AuthorizedKeysCommandUser nobody' "
        ">/etc/ssh/sshd_config.d/keys.conf && systemctl reload ssh"
    )
    outcome = host.apply({"files": {"/etc/motd": {"content": "declared\n"}}}, *SHORT)
    assert outcome.code == 3, outcome.out
    assert outcome.counts == {"failed": 1}
    assert outcome.done["error"]["kind"] == "unconfirmed"
    assert "was changed, and can no longer be reached" in outcome.done["error"]["message"]
    assert host.within(f"cat {RUNS}/*/result; cat /etc/motd") == "done\ndeclared"
    host.within("echo >/etc/motd")
    assert LAB.ssh(host.name)
    host.sh("true")


#: The labels of the file, and those that the running docker has loaded.
LABELS = "grep -o 'x=[a-z]*' /etc/docker/daemon.json; docker info --format '{{.Labels}}'"


def test_a_reload_that_proves_itself_needs_no_second_login(docker_host: LabHost) -> None:
    host = docker_host
    assert host.apply({"engine": engine(labels=["x=old"])}).counts == {"changed": 1}
    pid, before = host.dockerd_pid(), logins(host)
    outcome = host.apply({"engine": engine(labels=["x=new"])})
    assert outcome.counts == {"changed": 1}
    assert logins(host) - before == 1 + 1, "the look and the change, and the test's own count"
    assert outcome.all("armed") == []
    steps = [event["step"] for event in outcome.all("step.done")]
    assert steps == [
        "file:/etc/docker/daemon.json svc_mark",
        "file:/etc/docker/daemon.json put_file",
        "service:docker svc_settle",
    ]
    assert host.sh(LABELS) == "x=new\n[x=new]"
    assert (host.dockerd_pid(), receipt(host), leftovers(host)) == (pid, "done", "")
    assert host.sh(f"ls {RUNS}/*/armed {RUNS}/*/confirmed {RUNS}/*/reserve 2>/dev/null || true") == ""
    # The stamp holds: the next look starts no program of systemd.
    host.sh("printf '#!/bin/sh\\nexit 1\\n' >/usr/local/bin/systemctl; chmod 0755 /usr/local/bin/systemctl")
    assert host.apply().counts == {"ok": 1}


def test_a_reload_that_dockerd_refuses_is_rolled_back(docker_host: LabHost) -> None:
    """The file is not validated before the reload: dockerd refuses it, keeps its values, and reports no reload."""
    host = docker_host
    assert host.apply({"engine": engine(labels=["x=old"])}).counts == {"changed": 1}
    before, file = host.dockerd_pid(), host.sh("cat /etc/docker/daemon.json")
    outcome = host.apply({"engine": engine(labels=["x=a", "x=b"])}, "--no-lint")
    assert outcome.counts == {"rolled_back": 1}, outcome.out
    assert outcome.done["error"]["step"] == "service:docker svc_settle"
    assert "did not load its file by SIGHUP" in outcome.done["error"]["detail"]
    assert host.sh("cat /etc/docker/daemon.json") == file
    assert host.sh(LABELS) == "x=old\n[x=old]"
    assert (host.dockerd_pid(), leftovers(host)) == (before, "")
    assert host.apply({"engine": engine(labels=["x=old"])}).counts == {"ok": 1}


def test_a_reload_whose_result_differs_is_rolled_back(docker_host: LabHost) -> None:
    """Another process changes the file after the reload. The run has confirmed itself by then."""
    host = docker_host
    assert host.apply({"engine": engine(labels=["x=old"])}).counts == {"changed": 1}
    spoil = '/bin/sh -c "sleep 1; sed -i s/x=new/x=bad/ /etc/docker/daemon.json"'
    host.sh(
        f"mkdir -p /etc/systemd/system/docker.service.d && printf '[Service]\\nExecReload=%s\\n' '{spoil}' "
        ">/etc/systemd/system/docker.service.d/bad.conf && systemctl daemon-reload"
    )
    outcome = host.apply({"engine": engine(labels=["x=new"])})
    assert (outcome.code, outcome.counts) == (3, {"rolled_back": 1}), outcome.out
    assert outcome.done["error"]["kind"] == "drift"
    assert host.sh("grep -o 'x=[a-z]*' /etc/docker/daemon.json") == "x=old"
    assert receipt(host) == "rolled_back drift"
    assert leftovers(host) == ""
