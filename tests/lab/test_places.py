"""Accounts of a host against provision on that host: files that they own, or have made first, give no access to root's
files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.conftest import LabHost, engine
from tests.lab.runs import leftovers

#: A file of root's that an account of the host wants to write.
ROOTS = (
    "stat -c '%n %a %U %G %h' / /etc /etc/sysctl.d /etc/shadow /etc/victim; "
    "sha256sum /etc/shadow /etc/victim; ls /etc/sysctl.d"
)

#: Waits until provision makes a file there, and swaps links into its place. (perl: Debian always has it.)
SWAP = r"""
chdir "/home/deploy" or die;
my $n = 0;
sub swap {
    my ($name, $to, $wait) = @_;
    rename $name, "aside$n"; symlink $to, $name; select undef, undef, undef, $wait;
    unlink $name; rename "aside$n", $name; unlink "aside$n"; $n++;
}
while (1) {
    if (-e ".provision.new") { swap(".provision.new", "/etc/victim", 0.002); swap("app.conf", "/etc/victim", 0.002); }
    if ($ARGV[0] eq "all" && time % 2) { swap(".docker", "/etc", 0.002); swap("conf", "/etc", 0.002); }
    open my $told, ">", "swapping";
}
"""


@pytest.fixture(autouse=True)
def password() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLACES_PASSWORD", "not-shown")
        yield


def declare(host: LabHost, number: int) -> None:
    login = {"user": "ci", "password": "{{ places }}", "accounts": ["deploy"]}
    files = {
        path: {"content": f"{number}\n", "owner": "deploy", "group": "deploy"}
        for path in ("/home/deploy/app.conf", "/home/deploy/conf/victim")
    }
    spec: dict[str, Any] = {"users": {"deploy": {}}, "files": files}
    spec["engine"] = {**engine(), "registries": {f"r{number}.test": {"login": login}}}
    path = host.playbook({"vars": "secret", "spec": spec})
    path.write_text(path.read_text().replace("vars: secret", "vars: {places: !secret {env: PLACES_PASSWORD}}"))


def test_an_account_that_swaps_links_gets_no_access_to_files_of_root(docker_host: LabHost) -> None:
    host = docker_host
    host.sh("echo root >/etc/victim; chmod 600 /etc/victim")
    declare(host, 0)
    assert host.apply().counts == {"changed": 1}
    assert host.apply().counts == {"ok": 1}, "directories and files of the account are in the desired state"
    assert host.sh(
        "stat -c '%U %a' /home/deploy/.docker /home/deploy/app.conf /home/deploy/conf /home/deploy/conf/victim"
    ) == ("deploy 700\ndeploy 644\nroot 755\ndeploy 644")
    before = host.sh(ROOTS)
    host.sh(f"cat >/tmp/swap.pl <<'END'\n{SWAP}\nEND\nchmod 644 /tmp/swap.pl")
    number = 0
    ends: list[str] = []
    for what in ("files", "all"):
        host.sh(
            f"rm -f /home/deploy/swapping; systemd-run -q --unit=swap -p User=deploy perl /tmp/swap.pl {what}; "
            "until [ -e /home/deploy/swapping ]; do sleep 0.1; done"
        )
        for _ in range(3):
            number += 1
            declare(host, number)
            outcome = host.apply()
            ends.append(*outcome.counts)
            assert host.sh(ROOTS) == before, outcome.out
        host.sh("systemctl stop swap")
    print(ends)
    host.sh("rm -rf /home/deploy/* /home/deploy/.provision.new /home/deploy/.docker")
    assert host.apply().counts == {"changed": 1}
    assert (
        host.sh("cat /home/deploy/app.conf /home/deploy/conf/victim; stat -c %U /home/deploy/app.conf")
        == f"{number}\n{number}\ndeploy"
    )
    assert leftovers(host) == ""
    assert host.sh("ls -A /home/deploy | grep provision || true") == ""


def test_a_link_of_another_account_is_named_and_not_followed(docker_host: LabHost) -> None:
    host = docker_host
    host.sh(
        "echo root >/etc/victim; chmod 600 /etc/victim; useradd -m deploy; "
        "su deploy -c 'ln -s /etc ~/.docker; ln -s /etc ~/conf'"
    )
    before = host.sh(ROOTS)
    declare(host, 0)
    outcome = host.apply()
    assert outcome.code == 3
    assert "/home/deploy/.docker is a symbolic link, but a directory is declared here" in outcome.out
    host.sh("rm /home/deploy/.docker")
    outcome = host.apply()
    assert outcome.code == 3
    assert outcome.done["error"]["message"] == (
        "the host cannot store the data for a rollback, so nothing was changed: "
        "/home/deploy/conf/victim: /home/deploy/conf "
        "is a symbolic link of deploy in place of a directory; provision does not follow a link that an account other "
        "than root can make or replace"
    )
    assert host.sh(ROOTS) == before
    assert host.sh("ls -A /home/deploy | grep -v '^[.]bash\\|^[.]profile\\|^[.]ssh'") == "conf", "nothing was changed"
    host.sh("rm /home/deploy/conf")
    assert host.apply().counts == {"changed": 1}


def test_a_directory_that_another_account_made_first_is_not_used(docker_host: LabHost) -> None:
    host = docker_host
    host.sh("echo root >/etc/victim; rm -rf /run/provision")
    before = host.sh(ROOTS)
    plant = "ln -s /etc/sysctl.d/pwn /run/provision/daemon.json"
    spec = {"engine": engine(debug=True)}
    for folder in ("/run/provision", "/var/lib/provision"):
        host.sh(f"mv {folder} {folder}.aside 2>/dev/null || true")
        other = " is not a directory of root's, for root only: "
        for planted, said in (
            (f"install -d -o nobody {folder}; {plant}", f"{other}it belongs to another account; remove it, and"),
            (f"install -d -o nobody /tmp/other; ln -sn /tmp/other {folder}; {plant}", f"{other}it is something else;"),
            (f"touch {folder}", f"{other}it is something else; remove it, and"),
            (f"install -d -m 1777 {folder}; {plant}", ": accounts other than root can write in it (mode 1777), so its"),
        ):
            host.sh(planted.replace("/run/provision/", f"{folder}/"))
            outcome = host.apply(spec)
            assert outcome.code in (3, 4)
            error = outcome.done["error"]
            assert error["kind"] in ("look", "record"), error
            assert f"{folder}{said}" in str(error)
            assert host.sh(ROOTS) == before
            assert "debug" not in host.sh("cat /etc/docker/daemon.json")
            host.sh(f"rm -rf {folder} /tmp/other")
        host.sh(f"mv {folder}.aside {folder} 2>/dev/null || true")
    assert host.apply(spec).counts == {"changed": 1}
    assert host.sh("stat -c '%a %U' /run/provision /var/lib/provision") == "700 root\n700 root"


def test_a_rollback_restores_a_fifo_and_names_what_it_cannot_restore(host: LabHost) -> None:
    host.sh("mkfifo -m 620 /etc/pipe; chown daemon /etc/pipe; echo before >/etc/linked; ln /etc/linked /etc/other")
    files = {path: {"content": "declared\n"} for path in ("/etc/pipe", "/etc/linked")}
    outcome = host.apply({"files": files, "packages": ["no-such-package"]})
    assert outcome.counts == {"rolled_back": 1}, outcome.out
    assert host.sh("stat -c '%F %a %U' /etc/pipe; cat /etc/linked") == "fifo 620 daemon\nbefore"
    linked = "has 2 names (hard links): the others keep the old content, and a rollback restores a file of its own"
    assert [event["text"] for event in outcome.all("note") if "/etc/" in event["text"]] == [f"/etc/linked {linked}"]
    host.sh("rm /etc/pipe; perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => \"/etc/pipe\", Listen => 1)'")
    outcome = host.apply({"files": files})
    assert (outcome.code, outcome.done["error"]["kind"]) == (3, "record")
    assert "/etc/pipe is a socket, which a rollback could not restore; remove it" in outcome.done["error"]["message"]
    assert host.sh("cat /etc/linked; ls /var/lib/provision/runs | wc -l") == "before\n1", "nothing was changed"
