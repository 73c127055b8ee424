"""The blobs that a host has. With the shell of sh/blobs.sh in a directory of this machine."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shells import each_shell, run

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root has directories of provision")

WHOLE = b"the whole blob\n"
SUM = hashlib.sha256(WHOLE).hexdigest()


@pytest.fixture
def home() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="provision-blobs-", dir="/var/lib"))
    yield path / "blobs"
    shutil.rmtree(path)


def ask(shell: list[str], home: Path, *words: str) -> str:
    ((_, answer),), _ = run(shell, [], f"blobs_home={home}\n{' '.join(words)}", frame="blobs.sh")
    return answer


@each_shell
@pytest.mark.parametrize("content", [b"", WHOLE + b"blob\n", b"\0" * len(WHOLE)], ids=["empty", "longer", "zeros"])
def test_a_damaged_blob_is_sent_again(shell: list[str], home: Path, content: bytes) -> None:
    """After a power cut, for example; or two runs have sent the same blob at the same time."""
    home.mkdir()
    (home / "abc").write_bytes(content)
    assert ask(shell, home, "blob_state", "abc", SUM) == "0"
    assert not (home / "abc").exists()
    (home / f"abc.{SUM}.part").write_bytes(WHOLE[:5])
    assert ask(shell, home, "blob_state", "abc", SUM) == "5"
    (home / f"abc.{SUM}.part").write_bytes(WHOLE)
    assert ask(shell, home, "blob_end", "abc", SUM) == "whole"
    assert ask(shell, home, "blob_state", "abc", SUM) == "here"
    assert (home / "abc").read_bytes() == WHOLE


@each_shell
@pytest.mark.parametrize(("content", "answer"), [(WHOLE, "whole"), (WHOLE + WHOLE, "broken")])
def test_another_sender_may_be_the_first_to_end(shell: list[str], home: Path, content: bytes, answer: str) -> None:
    home.mkdir()
    (home / "abc").write_bytes(content)
    assert ask(shell, home, "blob_end", "abc", SUM) == answer
    assert (home / "abc").exists() == (answer == "whole")
