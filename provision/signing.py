"""Signatures of files with ssh keys, by ssh-keygen's own ``-Y`` (ssh-keygen(1), "ALLOWED SIGNERS")."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from provision.errors import UsageError

#: What a signature is for: one that was made for something else does not count here.
_NAMESPACE = "provision-plan"


def signature(path: Path) -> Path:
    """Where the signature of a file stands."""
    return path.with_name(path.name + ".sig")


def sign(path: Path, key: Path) -> Path:
    """Sign ``path`` with a private key, or with an agent's by its public half; returns the signature's file."""
    made = signature(path)
    made.unlink(missing_ok=True)
    done = _keygen("-Y", "sign", "-f", str(key), "-n", _NAMESPACE, str(path))
    if done.returncode or not made.exists():
        raise UsageError(f"{path} could not be signed with {key}: {_said(done)}")
    return made


def signer(path: Path, allowed: Path) -> str:
    """Who signed ``path``, of those whom ``allowed`` (ssh's allowed_signers) names.

    Raises :class:`UsageError` where there is no signature, or none that counts.
    """
    made = signature(path)
    for one in (made, allowed):
        if not one.is_file():
            what = "it is not signed" if one is made else "nobody is named who may sign"
            raise UsageError(f"{path} is not applied: {what} (there is no {one})")
    found = _keygen("-Y", "find-principals", "-s", str(made), "-f", str(allowed))
    names = found.stdout.decode("utf-8", "replace").split()
    if found.returncode or not names:
        raise UsageError(f"{path} is not applied: it is signed by nobody whom {allowed} names")
    done = _keygen(
        *("-Y", "verify", "-f", str(allowed), "-I", names[0], "-n", _NAMESPACE, "-s", str(made)),
        given=path.read_bytes(),
    )
    if done.returncode:
        raise UsageError(f"{path} is not applied: its signature is not of these bytes: {_said(done)}")
    return names[0]


def _keygen(*words: str, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("ssh-keygen")
    if program is None:
        raise UsageError("signatures need ssh-keygen (OpenSSH's client, 8.2 or later)")
    # The words are paths and names of ours; none is an option that somebody else gave.
    return subprocess.run([program, *words], input=given or b"", capture_output=True, check=False)  # noqa: S603


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    return (done.stderr or done.stdout).decode("utf-8", "replace").strip()
