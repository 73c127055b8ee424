"""Plans as files: the same after reading, readable by their owner, and signed by whom they should be."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from provision import planfile, signing
from provision.errors import UsageError
from provision.model import Call, Change, Drift, Plan, Platform

PLATFORM = Platform("debian", "13", "trixie", "amd64", "apt", "Debian GNU/Linux 13")
#: What stood in the file is no UTF-8.
CHANGE = Change(
    "file:/etc/x",
    Drift({"content": "ours\n", "mode": "0644"}, {"content": "theirs \udcff\n", "mode": "0644"}, ("content",)),
    (Call("put_file", ("/etc/x", "root", "root", "0644", "text", "ours\n"), replaces=("/etc/x",)),),
)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    planfile.write(path, {"by": "me"}, {"web1": planfile.entry(Plan("web1", PLATFORM, (CHANGE,)))})
    return path


def key(folder: Path, name: str) -> Path:
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
    return path


def allowed(folder: Path, *keys: Path) -> Path:
    path = folder / "allowed_signers"
    path.write_text("".join(f"{one.name}@example.com {one.with_suffix('.pub').read_text()}" for one in keys))
    return path


def test_a_plan_is_the_same_after_reading(plan: Path) -> None:
    found = planfile.read(plan)
    assert found.head == {"by": "me"}
    assert found.hosts == {"web1": planfile.entry(Plan("web1", PLATFORM, (CHANGE,)))}
    assert plan.stat().st_mode & 0o777 == 0o600
    step = found.hosts["web1"]["changes"][0]["steps"][0]
    assert step == {
        "do": "put_file",
        "with": ["/etc/x", "root", "root", "0644", "text", "ours\n"],
        "replaces": ["/etc/x"],
    }


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": "provision-plan-2", "hosts": {}}', '{"hosts": {}}', "\xff"]
)
def test_what_is_no_plan(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match="is no plan"):
        planfile.read(path)
    with pytest.raises(UsageError, match="can't be read"):
        planfile.read(tmp_path / "none.json")


def test_signed_and_by_whom(tmp_path: Path, plan: Path) -> None:
    ours, theirs = key(tmp_path, "ours"), key(tmp_path, "theirs")
    with pytest.raises(UsageError, match="it is not signed"):
        signing.signer(plan, allowed(tmp_path, ours))
    signing.sign(plan, ours)
    assert signing.signer(plan, allowed(tmp_path, ours, theirs)) == "ours@example.com"
    with pytest.raises(UsageError, match="signed by nobody whom"):
        signing.signer(plan, allowed(tmp_path, theirs))
    with pytest.raises(UsageError, match="nobody is named"):
        signing.signer(plan, tmp_path / "none")
    whole = json.loads(plan.read_bytes())
    whole["hosts"]["web1"]["changes"][0]["steps"][0]["with"][5] = "evil\n"
    plan.write_text(json.dumps(whole))
    with pytest.raises(UsageError, match="is not of these bytes"):
        signing.signer(plan, allowed(tmp_path, ours))
    # A signature for something else, by the right one, is none either.
    signing.signature(plan).unlink()
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", ours, "-n", "file", plan], check=True, capture_output=True)
    with pytest.raises(UsageError, match="is not of these bytes"):
        signing.signer(plan, allowed(tmp_path, ours))
    with pytest.raises(UsageError, match="could not be signed"):
        signing.sign(plan, tmp_path / "no-such-key")
