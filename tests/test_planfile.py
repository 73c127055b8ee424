"""Plans as files: unchanged after reading, readable by their owner only, and signed by an allowed signer."""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from provision.commands import selection
from provision.errors import UsageError, Where
from provision.model import Call, Change, Drift, Impact, Plan, Platform, Salt
from provision.planning import planfile
from provision.secrets import secret, signing
from provision.secrets.disclosure import new_salt
from provision.steps.files import put_file
from tests.conftest import Project

PLATFORM = Platform("debian", "13", "trixie", "amd64", "apt", "Debian GNU/Linux 13")
SALT = Salt("5a17", stored=True)
#: The old content of the file is not UTF-8.
CHANGE = Change(
    "file:/etc/x",
    Drift({"content": "declared\n", "mode": "0644"}, {"content": "operator \udcff\n", "mode": "0644"}, ("content",)),
    (put_file("/etc/x", content=b"declared\n"),),
)
PLAN = Plan(
    "web1",
    PLATFORM,
    (CHANGE,),
    (Impact("restart", "service:docker", "daemon.json has changed"),),
    (Impact("stop", "containers", "would be stopped: web (no restart policy)"),),
)
ROLLOUT: dict[str, Any] = {"plays": {}, "hosts": {}, "files": {}}
MADE = planfile.PlanFile({"by": "me"}, SALT, ROLLOUT, {"web1": planfile.entry(PLAN, SALT)})


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    planfile.write(path, planfile.text(MADE))
    return path


def key(folder: Path, name: str) -> Path:
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
    return path


def allowed(folder: Path, *keys: Path) -> Path:
    path = folder / "allowed_signers"
    path.write_text("".join(f"{one.name}@example.com {one.with_suffix('.pub').read_text()}" for one in keys))
    return path


def test_a_plan_is_unchanged_after_reading(plan: Path) -> None:
    found = planfile.parse(plan, planfile.load(plan))
    assert found == MADE
    assert plan.stat().st_mode & 0o777 == 0o600
    host = found.hosts["web1"]
    assert host["changes"][0]["steps"][0] == {
        "do": "put_file",
        "with": ["/etc/x", "root", "root", "0644", "text", "declared\n"],
        "replaces": ["/etc/x"],
    }
    assert host["impacts"] == [
        {"level": "restart", "subject": "service:docker", "reason": "daemon.json has changed"}
    ], "the plan covers restarts"
    assert host["rollback_impacts"] == [
        {"level": "stop", "subject": "containers", "reason": "would be stopped: web (no restart policy)"}
    ], "the plan covers what its rollback ends"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"format": 2, "hosts": {}}', '{"hosts": {}}', '{"format": "provision-plan-3"}', "\xff"],
)
def test_an_invalid_plan_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match="is not a plan"):
        planfile.parse(path, planfile.load(path))
    with pytest.raises(UsageError, match="can't be read"):
        planfile.load(tmp_path / "none.json")


def test_a_plan_of_an_older_version_is_refused_and_says_why(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"the format provision-plan-2, this version knows provision-plan-3; write a new one"
    ):
        planfile.parse(tmp_path / "plan.json", b'{"format": "provision-plan-2", "hosts": {}}')


def test_a_plan_is_accepted_with_a_signature_of_an_allowed_signer_only(tmp_path: Path, plan: Path) -> None:
    signer, other = key(tmp_path, "signer"), key(tmp_path, "other")
    data = plan.read_bytes()
    with pytest.raises(UsageError, match="it is not signed"):
        signing.signer(plan, data, allowed(tmp_path, signer))
    signing.sign(plan, data, signer)
    assert signing.signer(plan, data, allowed(tmp_path, signer, other)) == "signer@example.com"
    with pytest.raises(UsageError, match="not signed with a key that"):
        signing.signer(plan, data, allowed(tmp_path, other))
    with pytest.raises(UsageError, match="there are no allowed signers"):
        signing.signer(plan, data, tmp_path / "none")
    with pytest.raises(UsageError, match="does not match its content"):
        signing.signer(plan, data.replace(b"declared", b"tampered"), allowed(tmp_path, signer))
    # A signature by an allowed key, but for another purpose, is invalid too.
    signing.signature(plan).unlink()
    subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-f", signer, "-n", "file", plan], check=True, capture_output=True
    )
    with pytest.raises(UsageError, match="does not match its content"):
        signing.signer(plan, data, allowed(tmp_path, signer))
    with pytest.raises(UsageError, match="could not be signed"):
        signing.sign(plan, data, tmp_path / "no-such-key")


def arguments(project: Project, plan: Path, signers: Path | None = None) -> argparse.Namespace:
    playbook = project.folder / "playbooks/site.yml"
    return argparse.Namespace(plan=plan, signers=signers, limit=None, playbook=playbook)


def test_the_plan_is_made_of_the_verified_bytes(
    tmp_path: Path, plan: Path, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process replaces the file while its signature is verified, and the signature and the signers too."""
    signer = key(tmp_path, "signer")
    signers = allowed(tmp_path, signer)
    signing.sign(plan, plan.read_bytes(), signer)
    keygen = signing._keygen

    def swapping(*words: str, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        plan.write_bytes(planfile.text(planfile.PlanFile({"by": "mallory"}, SALT, ROLLOUT, {})))
        signing.signature(plan).write_bytes(b"")
        signers.write_bytes(b"")
        return keygen(*words, given=given)

    monkeypatch.setattr(signing, "_keygen", swapping)
    found = selection.approved_plan(arguments(project, plan, signers))
    assert found == MADE


def test_the_signed_bytes_are_the_written_plan(tmp_path: Path, plan: Path) -> None:
    data, signer = plan.read_bytes(), key(tmp_path, "signer")
    plan.write_text("another plan, since it was written")
    signing.sign(plan, data, signer)
    assert signing.signer(plan, data, allowed(tmp_path, signer)) == "signer@example.com"


def with_secret(value: str, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setenv("HUSH", value)
    monkeypatch.setattr(secret, "_KNOWN", {})
    token = secret.declare("password", {"env": "HUSH"}, Where(Path("site.yml"), 3))
    call = Call("put_file", ("/etc/x", "root", "root", "0644", "text", f"password {token}\n"))
    return Plan("web1", PLATFORM, (Change("file:/etc/x", Drift({"content": token}, {}, ("content",)), (call,)),))


def test_a_plan_covers_the_values_of_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    approved = planfile.entry(with_secret("hush-7c1f", monkeypatch), SALT)
    assert planfile.entry(with_secret("hush-7c1f", monkeypatch), SALT) == approved
    other = planfile.entry(with_secret("hush-another", monkeypatch), SALT)
    assert other["changes"] != approved["changes"]
    assert "hush-7c1f" not in json.dumps(approved)
    elsewhere = planfile.entry(with_secret("hush-7c1f", monkeypatch), new_salt(stored=True))
    assert elsewhere != approved, "another plan has another salt: the hashes of two plans cannot be compared"


PACED = """\
- name: Site
  hosts: docker
  rollout:
    serial: 1
    reboot: if-needed
    before: {{host: ["./drain", "{{{{ pool }}}}"]}}
    after: {{wave: [sh, tell]}}
  vars: {{pool: {pool}}}
  spec: {{packages: []}}
"""


def rollout(project: Project, text: str = PACED, pool: str = "a") -> dict[str, Any]:
    project.write("playbooks/site.yml", text.format(pool=pool))
    found: dict[str, Any] = planfile.rollout(project.load().configs, project.folder / "playbooks")
    return found


def test_a_plan_covers_the_rollout_and_its_commands(project: Project) -> None:
    project.write("playbooks/drain", "#!/bin/sh\n")
    project.write("playbooks/tell", "true\n")
    approved = rollout(project)
    assert approved == json.loads(json.dumps(approved))
    assert approved["hosts"] == {"web1": {"play": "Site", "before": ["./drain", "a"]}}

    def other(now: dict[str, Any]) -> list[str]:
        return planfile.other_rollout(approved, now, ["web1"])

    assert other(rollout(project)) == []
    assert other(rollout(project, pool="b")) == ["the play or the commands of web1"]
    assert other(rollout(project, PACED.replace("tell", "tell-all"))) == ["after of the play 'Site'"]
    assert other(rollout(project, PACED.replace("if-needed", "never"))) == ["reboot of the play 'Site'"]
    assert other(rollout(project, PACED.replace("serial: 1", "serial: 50%"))) == ["serial of the play 'Site'"]
    no_pace = "- {{name: Site, hosts: docker, spec: {{packages: []}}}}\n"
    assert other(rollout(project, no_pace)) == ["the play or the commands of web1"]
    project.write("playbooks/drain", "#!/bin/sh\nreboot\n")
    assert other(rollout(project)) == ["the file ./drain"]


def test_a_different_rollout_is_refused_before_a_host_is_touched(project: Project, plan: Path) -> None:
    approved = rollout(project)
    planfile.write(plan, planfile.text(planfile.PlanFile({}, SALT, approved, {"web1": {"changes": []}})))
    args = arguments(project, plan)
    found = selection.approved_plan(args)
    assert found is not None
    assert selection.approved_entries(args, found, project.load()) == {"web1": {"changes": []}}
    rollout(project, PACED.replace("sh, tell", "sh, -c, reboot"))
    with pytest.raises(UsageError, match=r"no host was touched: the rollout .* \(after of the play 'Site'\)"):
        selection.approved_entries(args, found, project.load())
