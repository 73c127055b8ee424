"""Run the machine's own programs (mount, ip, mmdebstrap ...) with errors that say what failed."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from provision.errors import LabError
from provision.lines import lines_of


def run(
    argv: Sequence[str | Path],
    *,
    check: bool = True,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run ``argv`` without a shell and return its finished process.

    Raises :class:`LabError` with the program's own last lines when it fails and ``check`` is set.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            env=env,
            cwd=cwd,
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(f"{words[0]} is not installed (Debian's packages for the lab: scripts/machine-setup)") from error
    if check and done.returncode != 0:
        tail = lines_of((done.stderr or done.stdout).decode(errors="replace").strip())[-8:]
        raise LabError(f"{' '.join(words[:6])} exited with {done.returncode}:\n  " + "\n  ".join(tail))
    return done


def output(argv: Sequence[str | Path], **options: object) -> str:
    """The standard output of :func:`run`, decoded and stripped."""
    return run(argv, **options).stdout.decode().strip()  # type: ignore[arg-type]  # run() checks the options
