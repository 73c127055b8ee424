"""Become root by the real su and doas of a host. ``test_transport.py`` tests sudo."""

from __future__ import annotations

import pytest

from tests.lab.conftest import LabHost

pytestmark = pytest.mark.usefixtures("transport")

SPEC = {"files": {"/etc/proof": {"content": "here\n"}}}
SECRET = "lab-secret-2"
#: As su(1) of Debian, but with a count of failed attempts for the target's account.
FAILLOCK = """auth sufficient pam_rootok.so
auth required pam_faillock.so preauth silent deny=10
auth sufficient pam_unix.so
auth required pam_faillock.so authfail deny=10
auth required pam_deny.so
account required pam_unix.so
session required pam_permit.so
"""


def failures(host: LabHost) -> tuple[int, int]:
    """How many passwords su has refused, by pam_unix and by pam_faillock."""
    host.sh("journalctl --sync")
    failed = host.sh("journalctl -q -b | grep -c 'pam_unix(su:auth): authentication failure' || true")
    counted = host.sh("faillock --user root | grep -c ' V$' || true")
    return int(failed), int(counted)


def test_sus_password_is_sent_on_standard_input_only(host: LabHost) -> None:
    host.sh(f"echo root:{SECRET} | chpasswd; cat >/etc/pam.d/su <<'EOF'\n{FAILLOCK}EOF\n")
    su = {"ansible_user": "ops", "ansible_become": True, "ansible_become_method": "su"}
    ask = host.apply(SPEC, **su)
    assert ask.done["error"]["kind"] == "become"
    assert "su asks for a password; give one with -K" in ask.done["error"]["message"], ask.out
    assert "give one" not in host.sh("journalctl -q -b"), "no part of the script is read as a password"
    host.sh("faillock --user root --reset")
    before = failures(host)
    wrong = host.apply(SPEC, **su, ansible_become_password="wrong")
    assert wrong.done["error"]["kind"] == "become"
    assert "su refuses the password" in wrong.done["error"]["message"], wrong.out
    assert host.sh("test -e /etc/proof || echo none") == "none"
    assert [after - earlier for after, earlier in zip(failures(host), before, strict=True)] == [1, 1]
    spy = "while sleep 0.01; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; done >/tmp/spied & echo $!"
    pid = host.sh(f"({spy}) 2>/dev/null </dev/null")
    right = host.apply(SPEC, **su, ansible_become_user="root", ansible_become_password=SECRET)
    host.sh(f"kill {pid}")
    assert right.counts == {"changed": 1}, right.out
    assert SECRET not in right.out + right.err
    assert host.sh("stat -c %U /etc/proof") == "root"
    assert int(host.sh("tr '\\0' ' ' </tmp/spied | grep -ac 'su -s /bin/sh'")) > 0, (
        "the spy must have seen su's command line"
    )
    assert host.sh(f"grep -ac {SECRET} /tmp/spied || true") == "0"
    assert host.sh(f"journalctl -q | grep -c {SECRET} || true") == "0"
    assert host.provision("verify").code == 0


def test_su_works_without_a_password(host: LabHost) -> None:
    host.sh("groupadd admins; usermod -aG admins deploy")
    host.sh("sed -i '1a auth sufficient pam_wheel.so trust group=admins' /etc/pam.d/su")
    su = {"ansible_user": "deploy", "ansible_become": True, "ansible_become_method": "su"}
    assert host.apply(SPEC, **su).counts == {"changed": 1}
    assert host.sh("stat -c %U /etc/proof") == "root"
    # A password that su does not ask for is not executed as a command.
    before = host.sessions()
    outcome = host.apply(SPEC, **su, ansible_become_password="touch /evil")
    assert outcome.counts == {"ok": 1}, outcome.out
    assert host.sessions() - before == 2, "one exec of provision, one of this test"
    assert host.sh("test -e /evil || echo none") == "none"
    # PAM lets only members become root.
    host.sh("sed -i 's/^auth sufficient pam_wheel.*/auth required pam_wheel.so group=nogroup/' /etc/pam.d/su")
    refused = host.apply(SPEC, **su, ansible_become_password="wrong")
    assert refused.done["error"]["kind"] == "become", refused.out


def test_doas_works_with_nopass_only_and_its_refusals_are_errors(host: LabHost) -> None:
    doas = {"ansible_user": "deploy", "ansible_become": True, "ansible_become_method": "doas"}
    absent = host.apply(SPEC, **doas)
    assert absent.done["error"]["kind"] == "become"
    assert "the host has no doas" in absent.done["error"]["message"], absent.out
    host.sh("apt-get -q update && apt-get -q install -y opendoas && echo 'permit ops' >/etc/doas.conf")
    forbidden = host.apply(SPEC, **doas)
    assert "this login may not use doas" in forbidden.done["error"]["message"], forbidden.out
    asks = host.apply(SPEC, **doas | {"ansible_user": "ops"})
    assert asks.done["error"]["kind"] == "become"
    assert "doas asks for a password, which it reads from a terminal only" in asks.done["error"]["message"], asks.out
    host.sh("echo 'permit nopass deploy as root' >/etc/doas.conf")
    assert host.apply(SPEC, **doas, ansible_become_user="root").counts == {"changed": 1}
    assert host.sh("stat -c %U /etc/proof") == "root"
    before = host.sessions()
    assert host.apply(SPEC, **doas).counts == {"ok": 1}
    assert host.sessions() - before == 2, "one exec of provision, one of this test"
    assert host.provision("verify").code == 0
