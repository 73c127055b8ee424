"""known_hosts files: which keys a host may present. Each file is read once; keys are found by name (sshd(8))."""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import fnmatch
import hashlib
import hmac
import re
import threading
from functools import cache
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct, field

from provision import limits
from provision.errors import SpecError, Where
from provision.lines import lines_of

#: What has a meaning of its own in the first column of known_hosts (sshd(8)).
_NOT_A_NAME = re.compile(r"[*?!,|\s\x00-\x1f\x7f]|^[#@]|^$")


class Known(Struct, frozen=True):
    """A line's key: its marker (empty, ``@cert-authority``, ``@revoked``), its kind (``ssh-ed25519``), its public half,
    and the file and line."""

    marker: str
    kind: str
    blob: bytes
    where: Where

    @property
    def shown(self) -> str:
        return f"{self.kind} {fingerprint(self.blob)}"


def fingerprint(blob: bytes) -> str:
    """The fingerprint as ssh-keygen -l prints it."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode()
    return f"SHA256:{digest.rstrip('=')}"


class KnownHosts(Struct):
    """The lines of one file by host name, in the form that ssh looks up: ``name`` or ``[name]:port``, in lower case."""

    path: Path
    plain: dict[str, list[Known]] = field(default_factory=dict)
    #: lines with wildcards or negations: the names
    patterns: list[tuple[list[str], Known]] = field(default_factory=list)
    hashed: list[tuple[bytes, bytes, Known]] = field(default_factory=list)
    #: the bytes of the file that were read
    size: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, name: str) -> list[Known]:
        """The lines of the file for a host."""
        name = name.lower()
        found = list(self.plain.get(name, []))
        found += [known for names, known in self.patterns if _among(names, name)]
        data = name.encode("utf-8", "surrogateescape")
        for salt, digest, known in self.hashed:
            if hmac.compare_digest(hmac.digest(salt, data, "sha1"), digest):
                found.append(known)
        return found

    def add(self, name: str, kind: str, blob: bytes) -> list[Known]:
        """Store the key of a first contact, safely against other processes that append at the same time. Return the
        keys that such a process has stored for this name; then nothing is stored.

        Raises ``ValueError`` for a name that ssh would read as several names, as a pattern, or as a marker: the key
        would then be accepted for other hosts; and :class:`SpecError` for a file that has become too large.
        """
        if _NOT_A_NAME.search(name):
            raise ValueError(f"{name!r} can't be stored in known_hosts: it is not the name of one host")
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(self.path, "a+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                self._read_on(file)
                if found := [known for known in self.find(name) if not known.marker]:
                    return found
                file.seek(max(0, self.size - 1))
                newline = b"" if self.size == 0 or file.read(1) == b"\n" else b"\n"
                file.write(newline + f"{name} {kind} {base64.b64encode(blob).decode()}\n".encode())
                self.size = file.tell()
            self.plain.setdefault(name.lower(), []).append(Known("", kind, blob, Where(self.path, 1)))
        return []

    def _read_on(self, file: BinaryIO) -> None:
        """Read the lines that were appended since the last time; all of them where the file was replaced."""
        end = file.seek(0, 2)
        begin = self.size if self.size <= end else 0
        file.seek(begin)
        for line in lines_of(limits.content(self.path, file).decode("utf-8", "replace")):
            _add(self, line, Where(self.path, 1))
        self.size = end


@cache
def read(path: Path) -> KnownHosts:
    """Parse ``path``; a file that does not exist has no lines. As ssh does, skip invalid lines.

    Raises :class:`SpecError` for a file without read permission.
    """
    try:
        data = limits.whole(path)
        known = parsed(path, data.decode("utf-8", "replace"))
        known.size = len(data)
        return known
    except (FileNotFoundError, NotADirectoryError):
        return KnownHosts(path)
    except OSError as error:
        raise SpecError(
            f"can't be read: {error.strerror}", where=Where(path, 1), key="provision_known_hosts"
        ) from error


def parsed(path: Path, text: str) -> KnownHosts:
    """The lines of a text; ``path`` is what messages name."""
    known = KnownHosts(path)
    for number, line in enumerate(lines_of(text), 1):
        _add(known, line, Where(path, number))
    return known


def _add(known: KnownHosts, line: str, where: Where) -> None:
    words = line.split()
    marker = words.pop(0) if words and words[0].startswith("@") else ""
    if marker not in ("", "@cert-authority", "@revoked") or len(words) < 3 or words[0].startswith("#"):
        return
    if (blob := public_blob(words[1], words[2])) is None:
        return
    one = Known(marker, words[1], blob, where)
    if words[0].startswith("|"):
        parts = words[0].split("|")
        with contextlib.suppress(IndexError, ValueError):
            known.hashed.append((base64.b64decode(parts[2]), base64.b64decode(parts[3]), one))
        return
    names = words[0].lower().split(",")
    if any(set(name) & set("*?!") for name in names):
        known.patterns.append((names, one))
        return
    for name in names:
        known.plain.setdefault(name, []).append(one)


def _among(names: list[str], name: str) -> bool:
    """True if a pattern of a line matches, and no negated pattern does."""
    matching = {one.startswith("!") for one in names if _compiled(one.removeprefix("!")).match(name)}
    return matching == {False}


def public_blob(kind: str, text: str) -> bytes | None:
    """Decode a public key in base64; ``None`` unless it is of that kind."""
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    named = kind.encode("ascii", "replace")
    return blob if blob[:4] == len(named).to_bytes(4, "big") and blob[4 : 4 + len(named)] == named else None


def entry(address: str, port: int) -> str:
    """The name that ssh looks a host up by."""
    return address if port == 22 else f"[{address}]:{port}"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern.lower().replace("[", "[[]")))


def matches(name: str, pattern: str) -> bool:
    """True if a name matches one pattern of ``*`` and ``?``."""
    return _compiled(pattern).match(name.lower()) is not None
