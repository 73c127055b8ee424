"""Signatures of files with ssh keys, by ssh-keygen's own ``-Y`` (ssh-keygen(1), "ALLOWED SIGNERS")."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from provision.errors import UsageError
from provision.secrets.private_file import write_private

#: The purpose of a signature: a signature for another purpose is not accepted.
_NAMESPACE = "provision-plan"


def signature(path: Path) -> Path:
    """The path of a file's signature."""
    return path.with_name(path.name + ".sig")


def sign(path: Path, data: bytes, key: Path) -> Path:
    """Sign ``data``, which is the content of ``path``, with a private key, or with an agent by the key's public half.
    Return the signature's file. Raises :class:`UsageError`."""
    # From standard input: this signs the bytes that were made, even if the file has changed since.
    done = _keygen("-Y", "sign", "-f", str(key), "-n", _NAMESPACE, given=data)
    if done.returncode or not done.stdout.startswith(b"-----BEGIN SSH SIGNATURE-----"):
        raise UsageError(f"{path} could not be signed with {key}: {_said(done)}")
    made = signature(path)
    write_private(made, done.stdout.decode("ascii"))
    return made


def signer(path: Path, data: bytes, allowed: Path) -> str:
    """Who signed ``data``, which was read from ``path``, of the signers in ``allowed`` (ssh's allowed_signers).

    The signature and ``allowed`` are read only once too, so both calls of ssh-keygen check the same bytes. Raises
    :class:`UsageError` where there is no signature, or no valid one.
    """
    made = signature(path)
    with tempfile.TemporaryDirectory(prefix="provision-") as folder:
        # Only this user can read them (tempfile: mode 0700).
        copies = {one: Path(folder) / name for one, name in ((made, "signature"), (allowed, "allowed_signers"))}
        for one, copy in copies.items():
            try:
                copy.write_bytes(one.read_bytes())
            except OSError as error:
                what = "it is not signed" if one is made else "there are no allowed signers"
                raise UsageError(f"{path} is not applied: {what} ({one}: {error.strerror})") from error
        given = ("-s", str(copies[made]), "-f", str(copies[allowed]))
        found = _keygen("-Y", "find-principals", *given)
        names = [name.strip() for name in found.stdout.decode("utf-8", "replace").split("\n")]
        if found.returncode or not names[0]:
            raise UsageError(f"{path} is not applied: it is not signed with a key that {allowed} names")
        done = _keygen("-Y", "verify", "-I", names[0], "-n", _NAMESPACE, *given, given=data)
    if done.returncode:
        raise UsageError(f"{path} is not applied: its signature does not match its content: {_said(done)}")
    return names[0]


def _keygen(*words: str, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("ssh-keygen")
    if program is None:
        raise UsageError("signatures need ssh-keygen (OpenSSH's client, 8.2 or later)")
    # A name that begins with a hyphen is still the value of -I (getopt(3)).
    return subprocess.run([program, *words], input=given or b"", capture_output=True, check=False)  # noqa: S603


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    return (done.stderr or done.stdout).decode("utf-8", "replace").strip()
