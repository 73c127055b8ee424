"""The shells that a host may have as /bin/sh, and a way to run provision's functions in them."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from provision.remote.protocol import Frames
from provision.remote.script import quote
from provision.remote.sources import SH

SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "sh"]}
each_shell = pytest.mark.parametrize("shell", [pytest.param(argv, id=name) for name, argv in SHELLS.items()])


@cache
def programs_first(program: str) -> str:
    """Shell that makes a busybox run the programs on PATH where its build prefers its own applets.

    Debian's ``busybox-static`` has such a build (``FEATURE_SH_STANDALONE``): it would call neither a stub on PATH nor
    the host's own programs. The shell uses an alias, and not a function, because ``exec`` takes no function. Builtins
    keep their meaning. Empty for other shells.
    """
    alone = subprocess.run([program, "sh", "-c", "PATH=/nonexistent; stat /"], capture_output=True, check=False)
    if program != "busybox" or alone.returncode != 0:
        return ""
    applets = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split("\n")
    ask = 'for name; do case $(type "$name") in *builtin*) ;; *) echo "$name" ;; esac; done'
    argv = [program, "sh", "-c", ask, "sh", *filter(str.isidentifier, applets)]
    names = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    return (
        "".join(f"alias {name}='/usr/bin/env {name}'\n" for name in names) + "alias exec='exec ' command='command '\n"
    )


def run(
    shell: list[str],
    files: list[str],
    lines: str,
    *,
    path: Path | None = None,
    frame: str = "look.sh",
) -> tuple[list[tuple[str, ...]], subprocess.CompletedProcess[bytes]]:
    """Run ``lines`` with provision's shell ``files`` read in. ``path`` holds stub commands that come first on PATH."""
    assert shutil.which(shell[0]), f"{shell[0]} is needed for this test (make setup installs it)"
    more = ["fix/place.sh", "fix/transaction.sh", "fix/restore.sh"] if frame == "fix.sh" else []
    text = "\n".join((SH / name).read_text() for name in ["environment.sh", "prelude.sh", *files, *more, frame])
    before = f"PATH={quote(str(path))}:$PATH\n" if path else ""
    script = f"{programs_first(shell[0])}main() {{\n{text}\nbegin\n{before}{lines}\nexit 0\n}}\nmain\n"
    done = subprocess.run(shell, input=script.encode("utf-8", "surrogateescape"), capture_output=True, check=False)
    return list(Frames().feed(done.stdout)), done


def stub(folder: Path, name: str, body: str) -> None:
    """A command that gives the recorded answer of the real one."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
