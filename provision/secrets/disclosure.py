"""Disclosure of values that a host hides from its own users: one rule for plans, JSON, journals and errors.

A value that every local user of a host can read is shown unchanged. For any other value, only its size and a keyed hash
are shown. The reader of a plan file, a journal or a terminal may have no access to the file itself.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Mapping

from provision.model import HostReport, Salt, Withheld

#: scrypt's cost (RFC 7914): 16 MiB and about 40 ms a guess.
_COST = {"n": 1 << 14, "r": 8, "p": 1}
#: Hexadecimal digits of a hash that people compare by eye.
_SHORT = 16


def new_salt(stored: bool = False) -> Salt:
    return Salt(secrets.token_hex(16), stored)


def fingerprint(content: bytes, salt: Salt) -> str:
    """32 hexadecimal digits that identify ``content`` under this salt only. Raises ``ValueError`` without a salt: a
    plain hash of a short password discloses it."""
    return _fingerprint(hashlib.sha256(content).hexdigest(), salt)


def _fingerprint(sha256: str, salt: Salt) -> str:
    if not salt.text:
        raise ValueError("a fingerprint needs a salt")
    if salt.stored:
        return _slow(sha256, salt.text)
    return hmac.new(salt.text.encode(), sha256.encode(), "sha256").hexdigest()[:32]


_ONE_AT_A_TIME = threading.Lock()


@functools.lru_cache(maxsize=4096)
def _slow(sha256: str, salt: str) -> str:
    # One at a time: fifty threads at once would take 800 MiB.
    with _ONE_AT_A_TIME:
        return hashlib.scrypt(sha256.encode(), salt=salt.encode(), dklen=16, **_COST).hex()


def withheld(sha256: str, salt: Salt, size: int | None = None) -> Withheld:
    """The shown part of a withheld value: its size in bytes, and its hash where there is a salt."""
    length = f"{size} bytes, " if size is not None else ""
    mark = f" (keyed hash {_fingerprint(sha256, salt)[:_SHORT]})" if salt.text and sha256 else ""
    return Withheld(f"{length}not shown{mark}")


def text(value: str, salt: Salt) -> Withheld:
    """The same, for a text."""
    data = value.encode("utf-8", "surrogateescape")
    return withheld(hashlib.sha256(data).hexdigest(), salt, len(data))


def pairs(found: Mapping[str, str], known: Mapping[str, str], salt: Salt) -> str:
    """Names and values as JSON. Only ``known`` values are shown, which a spec has in plain text."""
    told = {name: value if known.get(name) == value else str(text(str(value), salt)) for name, value in found.items()}
    line = json.dumps(told, sort_keys=True)
    return line if told == dict(found) else Withheld(line)


def open_mode(mode: str) -> bool:
    """True if an octal mode gives every user of the host read permission (stat(2), S_IROTH)."""
    return bool(int(mode, 8) & 0o004)


def readable(report: HostReport, path: str, mode: str) -> bool:
    """True if every user of the host can read the file at ``path``: its own ``mode`` and each directory above it must
    permit it (path_resolution(7)). A directory that the look has not read, or that is a link, counts as closed.

    Where an account other than root can change names, no text is shown: that account can put another file at ``path``
    after the look has read the mode, and before it reads the text."""
    if not open_mode(mode):
        return False
    folders = _folders(report)
    parent = path.rpartition("/")[0]
    while parent:
        kind, mode, owner, *_ = [*folders.get(parent, "").split(":"), "0", ""]
        if kind != "directory" or not int(mode, 8) & 0o001 or int(mode, 8) & 0o022 or owner != "root":
            return False
        parent = parent.rpartition("/")[0]
    return True


def _folders(report: HostReport) -> dict[str, str]:
    """Folder -> the output of stat: kind, mode and the rest, separated by colons."""
    names, lines = report.get("folders") or ("", "")
    return dict(zip(names.split("\n"), lines.split("\n"), strict=False))
