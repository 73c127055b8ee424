"""The first hour of a new user: from `provision init` at a terminal to a host in the desired state."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import sys
from pathlib import Path

from provision.lab import cgroups, keys, mirror
from tests.lab.conftest import LAB, NewHost
from tests.terminal import Terminal

#: ssh takes the home directory of the account and not $HOME: the new user's ~/.ssh is mounted over it.
_OWN_SSH = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'


def test_from_init_to_the_desired_state(new_host: NewHost, tmp_path: Path) -> None:
    host = new_host()
    own = tmp_path / "ssh"
    own.mkdir(mode=0o700)
    shutil.copy(LAB.store.key, own / "id_ed25519")
    ssh = Path(pwd.getpwuid(os.getuid()).pw_dir) / ".ssh"
    ssh.mkdir(mode=0o700, exist_ok=True)

    def provision(*words: str, folder: Path) -> Terminal:
        argv = ["unshare", "--mount", "sh", "-ec", _OWN_SSH, "sh", str(own), str(ssh)]
        return Terminal([*argv, sys.executable, "-m", "provision", *words], folder)

    terminal = provision("init", "myfleet", folder=tmp_path)
    terminal.answer("Hosts", f"web1={host.address}")
    terminal.answer("User to log in as", "root")
    terminal.answer("Engine", "")
    terminal.answer("Mirror near the hosts", mirror.URL)
    terminal.answer("Keep containers running", "")
    shown = host.sh("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub").split()[1]
    terminal.until(shown)
    assert not (own / "known_hosts").exists()
    terminal.answer("Store the keys of new hosts in known_hosts", "yes")
    assert terminal.close() == 0, terminal.seen
    assert "web1: ok       distribution: Debian" in terminal.seen
    assert "See what would change on the hosts: cd myfleet && provision plan" in terminal.seen
    assert host.address in (own / "known_hosts").read_text()

    project = tmp_path / "myfleet"
    # Settings that only the lab needs: its mirror signs with a separate key, and its hosts use this machine's cgroups.
    variables = project / "inventory/group_vars/docker.yml"
    text = variables.read_text().replace(
        "package_fingerprint: []", f"package_fingerprint: {keys.fingerprint(LAB.store)}"
    )
    variables.write_text(text.replace("cgroup_driver: systemd", f"cgroup_driver: {cgroups.driver()}"))

    for words, expected in (
        (("lint",), "0 errors, 0 warnings"),
        (("plan",), "Plan: 4 to create, 5 to change on 1 host; docker starts on 1, no container stops"),
        (("apply",), "1 changed"),
        (("apply",), "1 ok, 0 changed"),
        (("verify", "--suite", "daemon"), "1 ok"),
    ):
        terminal = provision(*words, folder=project)
        if words == ("apply",) and expected == "1 changed":
            terminal.until("Make 9 changes on 1 host?")
            terminal.write(b"y\n")
        assert terminal.close() == 0, terminal.seen
        assert expected in terminal.seen, shlex.join(words)
