"""Private keys: those in files, with their passphrases, and the agent that holds others."""

from __future__ import annotations

import base64
import contextlib
import io
import math
import os
import re
import socket
import threading
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)
from paramiko.agent import AgentSSH
from paramiko.message import Message
from paramiko.pkey import PKey

from provision import limits
from provision.errors import SpecError, Where
from provision.lines import lines_of
from provision.transport.known_hosts import public_blob
from provision.transport.prompter import Prompter

#: The bytes before an encrypted key's public half in an OpenSSH private key file (PROTOCOL.key).
_MAGIC = b"openssh-key-v1\0"
_CLASSES: tuple[tuple[type, type[PKey]], ...] = (
    (ed25519.Ed25519PrivateKey, paramiko.Ed25519Key),
    (ec.EllipticCurvePrivateKey, paramiko.ECDSAKey),
    (rsa.RSAPrivateKey, paramiko.RSAKey),
)


class Encrypted(Exception):
    """A private key that needs a passphrase."""


class Unprotected(SpecError):
    """A private key that other accounts can read."""


class Keys:
    """Private keys of files. Each file is read once, and each passphrase is asked for once."""

    def __init__(self, prompter: Prompter) -> None:
        self.prompter = prompter
        self._keys: dict[Path, PKey] = {}
        self._public: dict[Path, bytes | None] = {}
        self._passphrases: dict[Path, str | None] = {}
        self._lock = threading.RLock()

    def load(self, path: Path) -> PKey:
        """Raises :class:`Encrypted`, and :class:`SpecError` for a file that is not a private key."""
        with self._lock:
            if path not in self._keys:
                self._keys[path] = _private(path, self._passphrases.get(path))
            return self._keys[path]

    def public(self, path: Path) -> bytes | None:
        """Return :func:`public_half` of a file."""
        with self._lock:
            if path not in self._public:
                self._public[path] = public_half(path)
            return self._public[path]

    def unlock(self, path: Path, until: float = math.inf) -> PKey:
        """Load a key, and ask the operator for its passphrase, up to the time ``until``. Raises :class:`SpecError`
        without a passphrase."""
        with self._lock:
            try:
                return self.load(path)
            except Encrypted:
                if path not in self._passphrases:
                    self._passphrases[path] = self.prompter.ask(
                        str(path), "passphrase of the key", once=True, until=until
                    )
            try:
                return self.load(path)
            except (Encrypted, SpecError) as error:
                raise locked(path, wrong=self._passphrases[path] is not None) from error


def locked(path: Path, wrong: bool = False) -> SpecError:
    """The error for a key that needs a passphrase; ``wrong``: the operator has given another one."""
    said = f"{path}: the passphrase is wrong" if wrong else f"{path} has a passphrase"
    return SpecError(said, where=Where(path, 1), key="ansible_ssh_private_key_file", hint="ssh-add it to an agent")


def _private(path: Path, passphrase: str | None) -> PKey:
    """Parse a key in any format that ssh accepts: OpenSSH's own, PEM, PKCS#8. As ssh does, refuse a file of this
    account that other accounts can read or write (authfile.c, sshkey_perm_ok)."""
    with limits.opened(path) as file:
        stat, data = os.fstat(file.fileno()), limits.content(path, file)
    if b"PRIVATE KEY" in data and stat.st_uid == os.getuid() and stat.st_mode & 0o077:
        said = f"{path} is not used: other accounts can read it (mode {stat.st_mode & 0o7777:04o})"
        raise Unprotected(said, where=Where(path, 1), key="ansible_ssh_private_key_file", hint=f"chmod 600 {path}")
    password = None if passphrase is None else passphrase.encode()
    load = load_ssh_private_key if b"BEGIN OPENSSH PRIVATE KEY" in data else load_pem_private_key
    try:
        loaded = load(data, password=password)
    except TypeError as error:
        raise Encrypted(str(path)) from error
    except Exception as error:  # cryptography raises many types
        if password is None and re.search("passphrase|password|encrypted", str(error), re.IGNORECASE):
            raise Encrypted(str(path)) from error
        raise _no_key(path, str(error)) from error
    for kind, made in _CLASSES:
        if isinstance(loaded, kind):
            text = loaded.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
            return made.from_private_key(io.StringIO(text))
    raise _no_key(path, "its type needs provision_transport: openssh")


def _no_key(path: Path, why: str) -> SpecError:
    return SpecError(f"{path} is not a private key: {why}", where=Where(path, 1), key="ansible_ssh_private_key_file")


def public_half(path: Path) -> bytes | None:
    """The public key of a private key file, without its passphrase: from the file itself, or from the file with
    ``.pub`` next to it, as ssh does."""
    for one in (path, path.with_name(f"{path.name}.pub")):
        with contextlib.suppress(OSError, SpecError):
            found = _public(limits.whole(one))
            if found is not None:
                return found
    return None


def _public(data: bytes) -> bytes | None:
    lines = lines_of(data.decode("utf-8", "replace"))
    if "-----BEGIN OPENSSH PRIVATE KEY-----" in lines:
        text = "".join(line for line in lines if line and not line.startswith("-----"))
        with contextlib.suppress(ValueError):
            packed = base64.b64decode(text)
            if packed.startswith(_MAGIC):
                message = Message(packed[len(_MAGIC) :])
                for _ in range(3):
                    message.get_string()
                return message.get_string() if message.get_int() == 1 else None
        return None
    words = lines[0].split() if lines else []
    return public_blob(words[0], words[1]) if len(words) > 1 else None


class Agent(AgentSSH):
    """The ssh-agent at a socket, for one login: a connection to an agent answers one question at a time."""

    def __init__(self, path: str) -> None:
        super().__init__()
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.settimeout(10)
            sock.connect(path)
            self._connect(sock)  # type: ignore[attr-defined]
        except (OSError, paramiko.SSHException):
            sock.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._close()  # type: ignore[attr-defined]
