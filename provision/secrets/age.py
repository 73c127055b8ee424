"""Encrypt with age, to keys of recipients: age1..., or ssh-ed25519."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from provision.errors import UsageError
from provision.lines import lines_of
from provision.secrets.secret import age_keys, identities
from provision.whole_file import write_anywhere


def recipients(given: Iterable[str] = ()) -> list[Any]:
    """Keys, or files of keys; the operator's own by default. Raises :class:`UsageError` without any recipient."""
    import pyrage

    lines: list[str] = []
    for word in given:
        path = Path(word)
        lines += lines_of(path.read_text()) if path.is_file() else [word]
    if not lines:
        for path in identities():
            if path.is_file() and (keys := age_keys(path.read_bytes())):
                return [key.to_public() for key in keys]
            public = path.with_name(f"{path.name}.pub")
            if public.is_file():
                lines = lines_of(public.read_text())
                break
    try:
        found = [
            pyrage.ssh.Recipient.from_str(line) if line.startswith("ssh-") else pyrage.x25519.Recipient.from_str(line)
            for line in (line.strip() for line in lines)
            if line and not line.startswith("#")
        ]
    except pyrage.RecipientError as error:
        raise UsageError(f"no key to encrypt to: {error}") from error
    if not found:
        raise UsageError(
            "no key to encrypt to: create ~/.ssh/id_ed25519, or name one with provision secrets --recipient"
        )
    return found


def sealed(plain: bytes, to: list[Any]) -> bytes:
    """Encrypt, in the armoured (text) form."""
    import pyrage

    return bytes(pyrage.encrypt(plain, to, armored=True))


def write(path: Path, data: bytes) -> None:
    """Write a file atomically: it is either complete or unchanged. A link is replaced, and never followed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_anywhere(path, data)
