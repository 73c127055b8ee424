"""Programs that an inventory needs: inventory scripts, ``ansible-inventory``, scripts that print a vault password."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from provision import limits
from provision.errors import UsageError
from provision.inventory import bounded
from provision.lines import lines_of, words_of
from provision.secrets import secret

#: The programs that this run has started, and the files that it gave them -> SHA-256; empty for a program on PATH.
_started: dict[str, str] = {}
_approved: list[Mapping[str, str]] = []
#: The most characters of a failed program's errors that a message has.
_MOST = 4000


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
    """A program's output, and its error output. It has no standard input, and the environment of provision without
    declared secrets, with ``more``. Raises :class:`UsageError` where it can't be started, fails or does not end (it and
    its children are killed then), or where an approved plan does not have it."""
    _allowed(command, what)
    try:
        done = bounded.run(command, limits.of(limits.PROGRAM), limits.of(limits.FILE), more)
    except OSError as error:
        raise _not_started(command, what, error) from error
    except bounded.Beyond as error:
        limit = limits.PROGRAM if error.is_time else limits.FILE
        why = str(error) if error.is_time else f"printed {limits.more(limit)}"
        raise UsageError(f"{what}: {command[0]} {why} ({limits.hint(limit)})") from error
    said = done.stderr.decode("utf-8", "replace").strip()
    if done.status != 0:
        raise _failed(command, what, done.status, said)
    return done.stdout, said


def typed(command: Sequence[str], what: str) -> bytes:
    """The output of a program that may ask the operator, so it has the terminal and no limit of time."""
    _allowed(command, what)
    try:
        done = subprocess.run(  # noqa: S603 - the operator, or a project that the operator trusts, names it
            list(command), capture_output=True, env=secret.environment(), check=False
        )
    except OSError as error:
        raise _not_started(command, what, error) from error
    if done.returncode != 0:
        raise _failed(command, what, done.returncode, done.stderr.decode("utf-8", "replace").strip())
    return done.stdout


def _not_started(command: Sequence[str], what: str, error: OSError) -> UsageError:
    why = f"can't be run: {error.strerror}"
    if isinstance(error, FileNotFoundError) and os.path.isfile(command[0]):
        # execve(2) has one error for a missing file and for a missing interpreter.
        with open(command[0], "rb") as file:
            first = file.readline(256).removesuffix(b"\n").decode("utf-8", "replace")
        if first.startswith("#!"):
            found = first[2:].strip(" \t").partition(" ")[0]
            why = f"can't be run: its first line names {found!r}, which does not exist on this machine"
    return UsageError(f"{what}: {command[0]} {why}")


def _failed(command: Sequence[str], what: str, status: int, said: str) -> UsageError:
    """The error of a program, with its output on one line. Ansible prints the cause above its last line."""
    lines = [" ".join(words) for line in lines_of(secret.mask(said)) if (words := words_of(line))]
    text = " / ".join(lines) or "it printed no error"
    text = text if len(text) <= _MOST else f"... {text[-_MOST:]}"
    return UsageError(f"{what}: {command[0]} failed with exit code {status}: {text}")
