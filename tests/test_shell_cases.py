"""The shell functions of resources, as data: the part ``shell`` of a resource's cases, under each shell.

``files`` are the files before (``content`` or ``link``), ``programs`` replace the host's programs, ``run`` is the call.
``emits`` are the frames of a look, ``leaves`` the files afterwards (``null`` for none). ``says`` is the report of a
rollback, ``fails`` a part of the message with which a step fails. The absolute paths in the resource's file and in a
case are below a directory of the test.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision.remote.script import quote
from provision.remote.sources import SH
from tests.shells import each_shell, run, stub
from tests.test_cases import FOLDER

CASES = [
    pytest.param(path.stem, case, id=f"{path.stem}-{name}")
    for path in sorted(FOLDER.glob("*.yml"))
    for name, case in yaml.safe_load(path.read_text()).get("shell", {}).items()
]
#: An absolute path at the begin of a word, as a shell file has it.
_PATH = re.compile(r"(?<![\w$}/.*)-])/(?=(?:etc|usr|proc|run|var)/)")


def below(root: Path, text: str) -> str:
    return _PATH.sub(f"{root}/", text)


def make(root: Path, files: dict[str, dict[str, str]]) -> None:
    for name, file in files.items():
        path = Path(f"{root}{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        if "link" in file:
            path.symlink_to(below(root, file["link"]))
        else:
            path.write_text(file["content"])


def found(root: Path, name: str) -> dict[str, str] | None:
    path = Path(f"{root}{name}")
    if path.is_symlink():
        return {"link": str(path.readlink()).removeprefix(str(root))}
    return {"content": path.read_text()} if path.exists() else None


@each_shell
@pytest.mark.parametrize(("resource", "case"), CASES)
def test_shell_case(shell: list[str], resource: str, case: dict[str, Any], tmp_path: Path) -> None:
    root = tmp_path / "root"
    for folder in (root / "etc", tmp_path / "run", tmp_path / "bin"):
        folder.mkdir(parents=True)
    make(root, case.get("files", {}))
    for name, body in case.get("programs", {}).items():
        stub(tmp_path / "bin", name, below(root, body))
    source = tmp_path / "source.sh"
    source.write_text(below(root, (SH / f"resources/{resource}.sh").read_text()))
    look = case["run"].startswith("look_")
    # A step runs in a separate shell, and has no descriptor for frames.
    # Only a rollback sets the bound of docker's commands, and says what it restores.
    bound = "undo_bounded=yes" if case["run"].startswith("undo_") else "undo_bounded="
    lines = (
        case["run"]
        if look
        else f"run={quote(str(tmp_path / 'run'))} {bound}\n( set -eu; exec 3>&-; {case['run']} )\nexit $?"
    )
    files = [str(source)] if look else [str(source), "fix/files.sh"]
    frames, done = run(shell, files, lines, path=tmp_path / "bin", frame="look.sh" if look else "fix.sh")
    if "emits" in case:
        assert [tuple(field.replace(str(root), "") for field in frame) for frame in frames] == [
            tuple(map(str, frame)) for frame in case["emits"]
        ], done.stderr
    assert (done.returncode != 0) is ("fails" in case), done.stderr
    assert case.get("fails", "") in done.stderr.decode()
    assert {name: found(root, name) for name in case.get("leaves", {})} == case.get("leaves", {}), done.stderr
    said = tmp_path / "run/undo.said"
    assert (said.read_text() if said.exists() else "") == (f"{case['says']}\n" if "says" in case else "")
