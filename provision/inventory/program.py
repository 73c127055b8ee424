"""Programs that an inventory needs: inventory scripts, ``ansible-inventory``, scripts that print a vault password."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from provision.errors import UsageError
from provision.secrets import secret
from provision.text import limits


def run(command: Sequence[str], what: str, more: Mapping[str, str] | None = None) -> tuple[bytes, str]:
    """A program's output, and its error output. It receives the environment of provision without declared secrets, and
    ``more``. Raises :class:`UsageError` where it can't be started or fails."""
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
