"""known_hosts files: which keys a host may show. Read once, looked up by name (sshd(8), "SSH_KNOWN_HOSTS")."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import threading
from functools import cache
from pathlib import Path

import paramiko
from msgspec import Struct, field
from paramiko.pkey import PKey

from provision.errors import SpecError, Where
from provision.lines import lines_of


class KnownHosts(Struct):
    """Keys by host name, as the file writes it: ``name`` or ``[name]:port``. Hashed names are found too."""

    path: Path
    plain: dict[str, list[PKey]] = field(default_factory=dict)
    hashed: list[tuple[bytes, bytes, PKey]] = field(default_factory=list)
    revoked: set[bytes] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def keys(self, name: str) -> list[PKey]:
        found = list(self.plain.get(name, []))
        for salt, digest, key in self.hashed:
            if hmac.compare_digest(hmac.new(salt, name.encode(), hashlib.sha1).digest(), digest):
                found.append(key)
        return [key for key in found if key.asbytes() not in self.revoked]

    def add(self, name: str, key: PKey) -> None:
        """Store a key of a first contact, durable against other runs that append at the same time."""
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(self.path, "a+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                file.seek(0, 2)
                size = file.tell()
                file.seek(max(0, size - 1))
                newline = b"" if size == 0 or file.read(1) == b"\n" else b"\n"
                file.write(newline + f"{name} {key.get_name()} {key.get_base64()}\n".encode())
            self.plain.setdefault(name, []).append(key)


@cache
def read(path: Path) -> KnownHosts:
    """Parse ``path``; a file that does not exist knows nobody. Lines that can't be read are passed over, as ssh
    does; ``@cert-authority`` lines are not supported and count as unknown."""
    known = KnownHosts(path)
    try:
        lines = lines_of(path.read_text(errors="replace"))
    except FileNotFoundError:
        return known
    except OSError as error:
        raise SpecError(
            f"can't be read: {error.strerror}", where=Where(path, 1), key="provision_known_hosts"
        ) from error
    for line in lines:
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) < 3 or words[0].startswith("#") or marker == "@cert-authority":
            continue
        try:
            key = PKey.from_type_string(words[1], base64.b64decode(words[2]))
        except (paramiko.SSHException, ValueError):  # a kind of key that paramiko does not know
            continue
        if marker == "@revoked":
            known.revoked.add(key.asbytes())
        elif words[0].startswith("|1|"):
            _, _, salt, digest = words[0].split("|")
            known.hashed.append((base64.b64decode(salt), base64.b64decode(digest), key))
        else:
            for name in words[0].split(","):
                known.plain.setdefault(name, []).append(key)
    return known


def entry(address: str, port: int) -> str:
    return address if port == 22 else f"[{address}]:{port}"
