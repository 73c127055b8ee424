"""Secrets: read from their sources, and never shown."""

from __future__ import annotations

import base64
import os
import pickle
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pyrage
import pytest

from provision import limits
from provision.distros import platform
from provision.errors import SpecError, UsageError, Where
from provision.model import Call, Plan
from provision.remote.script import job_script, submit_script
from provision.remote.transaction import Step, Work
from provision.secrets import secret
from tests.conftest import Project

HUSH = "hush-hush-7c1f"


@pytest.fixture(autouse=True)
def _no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret, "_KNOWN", {})


def declared(given: object, file: Path = Path("site.yml")) -> str:
    return secret.declare("db.password", given, Where(file, 3))


def test_an_encrypted_file_is_not_written_through_a_link(tmp_path: Path) -> None:
    from provision.secrets.age import write

    other = tmp_path / "other"
    other.write_text("stays")
    for name in ("x.age", ".x.age.new"):
        (tmp_path / name).symlink_to(other)
    write(tmp_path / "x.age", b"sealed")
    assert (tmp_path / "x.age").read_bytes() == b"sealed"
    assert not (tmp_path / "x.age").is_symlink()
    assert other.read_text() == "stays"


def test_each_source_of_a_secret_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyrage

    key = pyrage.x25519.Identity.generate()
    (tmp_path / "identity").write_text(f"# mine\n{key}\n")
    monkeypatch.setenv("PROVISION_IDENTITY", str(tmp_path / "identity"))
    monkeypatch.setenv("HUSH", HUSH)
    (tmp_path / "plain").write_text(f"{HUSH}\n")
    (tmp_path / "sealed").write_bytes(pyrage.encrypt(HUSH.encode(), [key.to_public()]))
    armoured = pyrage.encrypt(HUSH.encode(), [key.to_public()], armored=True).decode()
    here = tmp_path / "site.yml"
    for given in ({"env": "HUSH"}, {"file": "plain"}, {"age": "sealed"}, armoured):
        assert secret.reveal(f"a {declared(given, here)} b") == f"a {HUSH} b"


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = pyrage.x25519.Identity.generate()
    (tmp_path / "identity").write_text(f"{made}\n")
    monkeypatch.setenv("PROVISION_IDENTITY", str(tmp_path / "identity"))
    return made.to_public()


@pytest.mark.parametrize("armoured", [False, True])
def test_a_header_of_an_age_file_is_bounded(key: Any, armoured: bool) -> None:
    """Decryption of a file with 60,000 recipients did not end in a quarter of an hour."""
    for recipients in (1, 300):
        made = bytes(pyrage.encrypt(HUSH.encode(), [key] * recipients, armored=armoured))
        assert secret.decrypted(made) == HUSH
    stanza = "-> X25519 " + "A" * 43 + "\n" + "B" * 43 + "\n"
    made = ("age-encryption.org/v1\n" + stanza * 60_000 + "--- " + "C" * 43 + "\n").encode()
    if armoured:
        made = f"{secret.ARMOUR}\n".encode() + base64.encodebytes(made) + b"-----END AGE ENCRYPTED FILE-----\n"
    with pytest.raises(UsageError, match="its header has more than 64 KiB"):
        secret.decrypted(made)


@pytest.mark.parametrize("kind", ["file", "age"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pipe", "is a pipe, not a file"),
        ("large", "has more than .* bytes"),
        ("/dev/zero", "has more than .* bytes"),
        ("a\0b", "site.yml:3: can't be read: embedded null byte"),
        ("\ud800", "site.yml:3: can't be read: 'utf-8' codec"),
    ],
)
def test_a_secret_is_not_read_without_a_limit(key: Any, tmp_path: Path, kind: str, name: str, message: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", limits.FILE.default + 1)
    with pytest.raises(SpecError, match=message):
        secret.reveal(declared({kind: name}, tmp_path / "site.yml"))


def test_an_ssh_key_decrypts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = tmp_path / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    monkeypatch.setenv("PROVISION_IDENTITY", str(key))
    argv = [sys.executable, "-m", "provision", "secrets", "encrypt"]
    done = subprocess.run(argv, input=HUSH, capture_output=True, text=True, check=True)
    assert HUSH not in done.stdout
    assert secret.reveal(declared(done.stdout)) == HUSH


def test_secrets_edit_keeps_the_file_encrypted_and_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = tmp_path / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    editor = tmp_path / "editor"
    editor.write_text(f'#!/bin/sh\nstat -c %a "$1" >{tmp_path}/mode\necho more-{HUSH} >>"$1"\n')
    editor.chmod(0o755)
    monkeypatch.setenv("PROVISION_IDENTITY", str(key))
    monkeypatch.setenv("EDITOR", str(editor))
    argv = [sys.executable, "-m", "provision", "secrets", "edit", str(tmp_path / "x.age")]
    for expected in (f"more-{HUSH}", f"more-{HUSH}more-{HUSH}"):
        subprocess.run(argv, check=True)
        assert (tmp_path / "mode").read_text() == "600\n"
        assert HUSH.encode() not in (tmp_path / "x.age").read_bytes()
        assert secret.decrypted((tmp_path / "x.age").read_bytes()).replace("\n", "") == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"env": "NOT_THERE"}, "site.yml:3: the environment variable NOT_THERE is not set"),
        ({"file": "not-there"}, "can't be read: No such file or directory"),
        ("not armoured", "!secret takes one source"),
        ({"env": "A", "file": "b"}, "!secret takes one source"),
        ({"vault": "x"}, "!secret takes one source"),
    ],
)
def test_an_invalid_source_is_an_error(given: object, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        secret.reveal(declared(given))
    assert message in str(caught.value)


def test_a_secret_cannot_be_printed_or_pickled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUSH", HUSH)
    token = declared({"env": "HUSH"})
    assert secret.reveal(token) == HUSH
    one = secret._KNOWN[token]
    shown = [repr(one), str(one), f"{one}", f"{one!r:>80}", f"{[one]}", repr({"a": one})]
    try:
        raise ValueError(one)
    except ValueError as error:
        shown.append("".join(traceback.format_exception(error)))
    with pytest.raises(TypeError):
        pickle.dumps(one)
    assert not any(HUSH in text for text in shown)
    said = f"x {HUSH} {base64.b64encode(HUSH.encode()).decode()} {HUSH.encode().hex()} y"
    assert secret.mask(said) == f"x {token} {token} {token} y"


def test_the_script_of_a_job_has_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUSH", HUSH)
    token = declared({"env": "HUSH"})
    on = platform("debian", "13", "trixie")
    assert on is not None
    step = Step("file:/etc/x", Call("put_file", ("/etc/x", "root", "root", "0600", "text", f"it's {token}\n")))
    secrets: dict[str, str] = {}
    allowed = frozenset({token})
    job = job_script(Work("run", Plan("web1", on), (step,), (), (), secrets=allowed), [], secrets)
    assert HUSH not in job
    assert token not in job
    assert """'it'\\''s '"${secret_0}"'\n'""" in job
    assert f"secret_0={HUSH}" in submit_script("run", job, secrets, allowed)


SPEC = """\
files:
  /etc/app: {content: "password {{ password }}\\n", mode: "0600"}
"""


def test_a_plan_has_no_secret(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from provision.cli import main

    monkeypatch.setenv("HUSH", HUSH)
    project.spec(SPEC)
    project.write("inventory/group_vars/all.yml", "password: !secret {env: HUSH}\n")
    monkeypatch.chdir(project.folder)
    for words in (["render", "web1"], ["inventory", "--host", "web1"], ["lint"]):
        main(words)
    said = capsys.readouterr()
    assert "password «secret:password:" in said.out
    assert HUSH not in said.out + said.err


def test_a_carriage_return_in_a_secret_file_is_kept(tmp_path: Path) -> None:
    """Only the end of the last line is not part of the value."""
    for content, value in ((b"a\r\nb\rc\n", "a\r\nb\rc"), (b"a\r\n", "a"), (b"a\n\n", "a\n"), (b"a", "a")):
        secret._KNOWN.clear()
        (tmp_path / "plain").write_bytes(content)
        assert secret.reveal(declared({"file": "plain"}, tmp_path / "site.yml")) == value
