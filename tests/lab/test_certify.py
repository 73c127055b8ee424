"""certify on a real host: the whole suite, and a host that breaks a promise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.lab.conftest import LabHost, NewHost, Outcome, engine
from tools.certify.evidence import NEEDED, read

ROOT = Path(__file__).parents[2]
SPEC = {"engine": engine(**{"live-restore": True})}


def certify(host: LabHost, *words: str, spec: dict[str, Any] = SPEC) -> Outcome:
    host.inventory()
    host.playbook({"spec": spec})
    files = [str(host.folder / "site.yml"), "-i", str(host.folder / "inventory.yml")]
    out = ["--out", str(host.folder / "evidence")]
    argv = [sys.executable, "-m", "tools.certify", host.name, *files, *out, "--i-can-lose-this-host", "--json", *words]
    done = subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr)


def results(outcome: Outcome) -> dict[str, tuple[str, str]]:
    return {event["step"]: (event["outcome"], event["text"]) for event in outcome.all("certify.done")}


def test_a_bare_host_is_certified(host: LabHost) -> None:
    outcome = certify(host, "--allow-reboot")
    assert outcome.code == 0, outcome.out + outcome.err
    found = results(outcome)
    assert {name for name, (how, _) in found.items() if how != "passed"} == {"benchmark"}
    assert found["idempotent"][1] == "changes: 0, connections: 1, execs: 1"
    assert found["pinned down"][1] != found["pinned up"][1]
    assert found["daemon reload"][1] == "debug: reloaded, not restarted"
    assert found["daemon deleted"][1] == "debug: restarted"
    assert outcome.done["status"] == "ok"
    (path,) = (host.folder / "evidence").glob("*.json")
    evidence = read(path)
    assert (path.stem, evidence.proves) == ("debian-13-container", True)
    assert evidence.system.virtualization == "systemd-nspawn"
    assert evidence.engine.mirror, "the lab's own packages"
    text = path.read_text() + path.with_suffix(".md").read_text()
    assert host.name not in text
    assert host.address not in text
    # The host itself has ended the run whose connections were cut.
    assert "rolled_back unconfirmed" in host.sh("cat /var/lib/provision/runs/*/result")


def test_a_step_that_fails_is_reported_as_failed(new_host: NewHost) -> None:
    """A spec that the host cannot have: the kernel has no such key."""
    host = new_host("el9")
    outcome = certify(host, spec={**SPEC, "sysctl": {"kernel.nothing": 1}})
    assert outcome.code == 3, outcome.out + outcome.err
    found = results(outcome)
    assert found["applied"][0] == "failed", found
    assert found["idempotent"] == ("skipped", "the step 'applied' failed")
    assert {how for name, (how, _) in found.items() if name not in ("bare", "applied")} == {"skipped"}
    assert set(NEEDED) <= found.keys()
    assert outcome.done["status"] == "failed"
    # The lab marks a host that is not the distribution that its os-release names.
    (path,) = (host.folder / "evidence").glob("*.json")
    assert path.name == "incomplete-rocky-9.4-look-alike.json"
