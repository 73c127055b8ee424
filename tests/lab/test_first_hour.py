"""The first hour of a new user: each line of the README, from the installation to a host in the desired state."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from provision.lab import cgroups, keys, mirror
from tests.lab.conftest import LAB, NewHost
from tests.lab.controllers import PYTHONS, Controller
from tests.terminal import ROOT


def readme(section: str) -> list[str]:
    """The command lines of a section of README.md, without their comments."""
    text = (ROOT / "README.md").read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    block = text.partition("```sh\n")[2].partition("```")[0]
    return [re.sub(r"\s+#.*", "", line) for line in block.splitlines()]


@pytest.mark.parametrize("suite", PYTHONS)
def test_each_line_of_the_readme(suite: str, new_host: NewHost, tmp_path: Path) -> None:
    controller = Controller(LAB.store, suite, tmp_path)
    from_checkout, from_wheel = readme("Install")
    assert "pipx install" in from_checkout
    controller.run(from_checkout)
    assert controller.run("provision --version").startswith("provision ")
    controller.run("pipx uninstall provision-hosts")
    controller.run(from_wheel)

    init, *others = readme("The first host in five lines")
    assert init == "provision init myfleet && cd myfleet"
    assert others == ["provision lint", "provision plan", "provision apply", "provision verify"]
    host = new_host()
    known_hosts = controller.home / ".ssh/known_hosts"
    terminal = controller.terminal(init)
    terminal.answer("Hosts", f"web1={host.address}")
    terminal.answer("User to log in as", "root")
    terminal.answer("Engine", "")
    terminal.answer("Mirror near the hosts", mirror.URL)
    terminal.answer("Keep containers running", "")
    shown = host.sh("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub").split()[1]
    terminal.until(shown)
    assert not known_hosts.exists()
    terminal.answer("Store the keys of new hosts in known_hosts", "yes")
    assert terminal.close() == 0, terminal.seen
    assert "web1: ok       distribution: Debian" in terminal.seen
    assert "See what would change on the hosts: cd myfleet && provision plan" in terminal.seen
    assert host.address in known_hosts.read_text()

    # Settings that only the lab needs: its mirror signs with a separate key, and its hosts use this machine's cgroups.
    variables = controller.home / "myfleet/inventory/group_vars/docker.yml"
    text = variables.read_text().replace(
        "package_fingerprint: []", f"package_fingerprint: {keys.fingerprint(LAB.store)}"
    )
    variables.write_text(text.replace("cgroup_driver: systemd", f"cgroup_driver: {cgroups.driver()}"))

    for line, expected in (
        ("provision lint", "0 errors, 0 warnings"),
        ("provision plan", "Plan: 4 to create, 5 to change on 1 host; docker starts on 1, no container stops"),
        ("provision apply", "1 changed"),
        ("provision apply", "1 ok, 0 changed"),
        ("provision verify --suite daemon", "1 ok"),
    ):
        terminal = controller.terminal(line, "/home/ops/myfleet")
        if expected == "1 changed":
            terminal.until("Make 9 changes on 1 host?")
            terminal.write(b"y\n")
        assert terminal.close() == 0, terminal.seen
        assert expected in terminal.seen, line
