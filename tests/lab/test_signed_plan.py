"""A signed plan binds where its hosts are, and the programs of the inventory."""

from __future__ import annotations

import subprocess

from tests.lab.conftest import LAB, NewHost, inventory_of


def test_a_signed_plan_sends_nothing_to_another_machine(new_host: NewHost) -> None:
    """The inventory changes after the signature: another machine, whose key it also declares, and programs."""
    first, other = new_host(), new_host()
    inventory, marker = first.folder / "inventory.yml", first.folder / "ran"
    before = inventory_of(first, other)
    inventory.write_text(before)
    first.playbook({"spec": {"files": {"/etc/bound": {"content": "x\n"}}}})
    plan, key, signers = first.folder / "plan.json", first.folder / "key", first.folder / "allowed_signers"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    signers.write_text(f"me@example.com {key.with_suffix('.pub').read_text()}")
    assert first.provision("plan", "--out", str(plan), "--sign", str(key), "--limit", first.name).code == 0
    words = ("--plan", str(plan), "--signers", str(signers), "--limit", first.name)
    sessions = [host.sessions() for host in (first, other)]
    line = f"{first.name}: {{ansible_host: {first.address}"
    known = first.folder / "known"
    known.write_text(LAB.known_hosts.read_text().replace(other.address, first.address))
    for text, named in (
        (before.replace(line, f"{first.name}: {{ansible_host: {other.address}"), "address: "),
        (before.replace(line, f"{line}, ansible_port: 2222"), "port: none -> 2222"),
        (before.replace(line, f"{line}, ansible_ssh_common_args: -o ProxyCommand='touch {marker}'"), "ssh words: "),
        (before.replace(str(LAB.known_hosts), str(known), 1), "host keys: "),
    ):
        assert text != before
        inventory.write_text(text)
        refused = first.apply(None, *words)
        assert (refused.code, named in refused.err) == (1, True), refused.err
    inventory.write_text(before)
    script = first.folder / "more"
    script.write_text(f"#!/bin/sh\ntouch {marker}\necho '{{}}'\n")
    script.chmod(0o755)
    refused = first.apply(None, *words, "-i", str(script))
    assert (refused.code, "is not in the approved plan; it was not run" in refused.err) == (1, True), refused.err
    assert not marker.exists()
    assert [host.sessions() for host in (first, other)] == [count + 1 for count in sessions], "only this test's own"
    assert first.apply(None, *words).counts == {"changed": 1}
