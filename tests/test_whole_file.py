"""Files that provision writes for other programs: complete or unchanged, and never through a link of another user."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from provision.commands.reporters import writable
from provision.errors import UsageError
from provision.report.files import Junit, Metrics
from provision.secrets.private_file import check_private, write_private
from provision.whole_file import write_whole
from tests.test_report import ENDS


def _reported(path: Path) -> None:
    for reporter in (Metrics(path, "site.yml"), Junit(path)):
        for event in ENDS:
            reporter(event)


def test_no_report_is_written_through_a_link(tmp_path: Path) -> None:
    """In a directory that others can write, every name that can be guessed may be another user's link."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path = tmp_path / "shared/report"
    path.parent.mkdir()
    path.symlink_to(victim)
    (path.parent / f".{path.name}.{os.getpid()}").symlink_to(victim)
    _reported(path)
    assert victim.read_text() == "precious"
    assert path.is_file()
    assert not path.is_symlink()


def test_a_pipe_stays_a_pipe(tmp_path: Path) -> None:
    """As root, a new file in the place of /dev/null or /dev/stdout would break every program of the machine."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert writable(pipe) == pipe
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    junit = Junit(pipe)
    for event in ENDS:
        junit(event)
    reader.join()
    assert read[0].startswith("<?xml")
    for refused in (pipe, Path("/dev/stdout"), Path("/proc/self/fd/1")):
        with pytest.raises(UsageError, match="is not a regular file"):
            check_private(refused)
    with pytest.raises(UsageError, match="is not a regular file"):
        write_private(pipe, "secret")
    assert pipe.is_fifo()


def test_a_file_that_can_not_be_written_is_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_private(path, "old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(UsageError, match="No space left"):
        write_private(path, "new")
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")
    assert path.read_text() == "old"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
