"""Programs that an inventory needs: inventory scripts, ``ansible-inventory``, scripts that print a vault password."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from provision.errors import UsageError
from provision.secrets import secret
from provision.text import limits

#: The programs that this run has started, and the files that it gave them -> SHA-256; empty for a program on PATH.
_started: dict[str, str] = {}
_approved: list[Mapping[str, str]] = []


def started() -> dict[str, str]:
    """The files of all programs that were started so far, by their path from the working directory."""
    return dict(_started)


def approve(programs: Mapping[str, str] | None) -> None:
    """From now on, start only these programs (the result of :func:`started` in the run that made a plan); with
    ``None`` all."""
    _approved[:] = [] if programs is None else [programs]
    _started.clear()


def _allowed(command: Sequence[str], what: str) -> None:
    for place, word in enumerate(command):
        path = Path(word)
        if place == 0 and shutil.which(path.name) == word:
            name, sum_ = path.name, ""
        elif path.is_file():
            name = os.path.relpath(path)
            sum_ = _started.get(name) or hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            continue
        for approved in _approved:
            if approved.get(name) != sum_:
                why = "has changed since the plan was made" if name in approved else "is not in the approved plan"
                raise UsageError(
                    f"{what}: {name} {why}; it was not run, and no host was touched; provision plan --out makes a new"
                    " plan"
                )
        _started[name] = sum_


def run(command: Sequence[str], what: str, more: Mapping[str, str] | None = None) -> tuple[bytes, str]:
    """A program's output, and its error output. It receives the environment of provision without declared secrets, and
    ``more``. Raises :class:`UsageError` where it can't be started or fails, or where an approved plan does not have
    it."""
    _allowed(command, what)
    try:
        done = subprocess.run(  # noqa: S603 - the operator, or a project that the operator trusts, names it
            list(command),
            capture_output=True,
            env={**secret.environment(), **(more or {})},
            check=False,
        )
    except OSError as error:
        raise UsageError(f"{what}: {command[0]} can't be run: {error.strerror}") from error
    said = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode != 0:
        last = said.rpartition("\n")[2] if said else "it printed no error"
        raise UsageError(f"{what}: {command[0]} failed with exit code {done.returncode}: {secret.mask(last)}")
    if len(done.stdout) > limits.of(limits.FILE):
        raise UsageError(f"{what}: {command[0]} printed {limits.more(limits.FILE)} ({limits.hint(limits.FILE)})")
    return done.stdout, said


def output(command: Sequence[str], what: str) -> bytes:
    return run(command, what)[0]
