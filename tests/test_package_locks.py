"""Who holds the lock of a package manager. A user of the host must not be able to name itself as the holder: each step
with packages would wait, and fail."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from provision.remote.script import quote
from tests.shells import each_shell, run, stub

HOLDER = 'lock_holder {}\nemit holder "$lock_pid"'


def holder(shell: list[str], path: Path, before: str = "", programs: Path | None = None) -> str:
    frames, done = run(shell, ["fix/locks.sh"], before + HOLDER.format(quote(str(path))), path=programs, frame="fix.sh")
    ((_, found),) = frames
    assert done.returncode == 0, done.stderr
    return found


@each_shell
def test_the_holder_of_a_lock_is_found_by_the_file(shell: list[str], tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    (tmp_path / "link").symlink_to("lock")
    assert holder(shell, tmp_path / "lock") == ""
    with open(tmp_path / "lock", "w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        assert holder(shell, tmp_path / "lock") == str(os.getpid())
        assert holder(shell, tmp_path / "link") == str(os.getpid())


@each_shell
def test_a_lock_of_another_file_with_the_same_inode_number_is_no_lock(shell: list[str], tmp_path: Path) -> None:
    """``lock`` stands for a file in another file system: nothing there is locked."""
    (tmp_path / "mine").touch()
    (tmp_path / "lock").touch()
    found = (tmp_path / "mine").stat()
    body = f'case "$*" in\n*"%d:%i -- {tmp_path}/lock") echo 1:{found.st_ino} ;;'
    body += f'\n*"%i -- {tmp_path}/lock") echo {found.st_ino} ;;'
    stub(tmp_path / "bin", "stat", f'{body}\n*) exec /usr/bin/stat "$@" ;;\nesac')
    with open(tmp_path / "mine", "w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        assert holder(shell, tmp_path / "mine", programs=tmp_path / "bin") == str(os.getpid())
        assert holder(shell, tmp_path / "lock", programs=tmp_path / "bin") == ""


@each_shell
@pytest.mark.skipif(os.getuid() != 0, reason="it takes a process of another account")
def test_a_users_process_with_the_number_in_a_pid_file_holds_no_lock(shell: list[str], tmp_path: Path) -> None:
    argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", "echo ready; exec sleep 600"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
        (tmp_path / "yum.pid").write_text(f"{other.pid}\n")
        try:
            assert holder(shell, tmp_path / "yum.pid") == ""
        finally:
            other.kill()
