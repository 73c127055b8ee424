"""Check a host's key as OpenSSH does (sshconnect.c, hostfile.c), and never more leniently."""

from __future__ import annotations

import base64
import math
import os
import subprocess
import tempfile
import time
from functools import cached_property
from pathlib import Path

import paramiko
from msgspec import Struct
from paramiko.message import Message
from paramiko.pkey import PKey

from provision import limits
from provision.errors import SpecError
from provision.lines import lines_of
from provision.transport import known_hosts
from provision.transport.failure import HostError
from provision.transport.known_hosts import Known, KnownHosts, fingerprint
from provision.transport.known_hosts_command import Command

_CERTIFICATE = "-cert-v01@openssh.com"
#: Number of fields of a public key between a certificate's nonce and its serial number (PROTOCOL.certkeys).
_FIELDS = {"ssh-ed25519": 1, "ssh-rsa": 2, "ecdsa-sha2-nistp256": 2, "ecdsa-sha2-nistp384": 2, "ecdsa-sha2-nistp521": 2}
_HOST = 2
#: Signatures of a certificate's authority that OpenSSH accepts by default (CASignatureAlgorithms).
CA_SIGNATURES = (
    *("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    *("rsa-sha2-512", "rsa-sha2-256"),
)


class Certificate(Struct, frozen=True):
    """A certificate: its contents, the key that signed it, and the public key that it certifies."""

    kind: int
    identity: str
    principals: tuple[str, ...]
    begins: int
    ends: int
    critical: bytes
    authority: bytes
    signature: bytes
    signed: bytes
    key: bytes

    def problem(self, name: str, algorithms: tuple[str, ...]) -> str:
        """Why the certificate is not valid for the host ``name``; empty where it is valid."""
        now = int(time.time())
        if self.kind != _HOST:
            return "it is not a host certificate"
        if now < self.begins:
            return "it is not valid yet"
        if now >= self.ends:
            return "it has expired"
        if self.critical:
            return "it has critical options"
        if not self.principals:
            return "it names no host"
        if not any(known_hosts.matches(name, principal) for principal in self.principals):
            return f"it is for {', '.join(self.principals)}"
        algorithm = Message(self.signature).get_text()
        if algorithm not in algorithms:
            return f"its signature ({algorithm}) is not accepted"
        return "" if self._genuine() else "its signature is wrong"

    def _genuine(self) -> bool:
        try:
            key = PKey.from_type_string(Message(self.authority).get_text(), self.authority)
            return bool(key.verify_ssh_sig(self.signed, Message(self.signature)))
        except Exception:  # a hostile host can put anything into its key
            return False


def certificate(blob: bytes) -> Certificate | None:
    """Parse a certificate (PROTOCOL.certkeys); ``None`` for a plain key. Raises ``paramiko.SSHException``."""
    message = Message(blob)
    name = message.get_text()
    if not name.endswith(_CERTIFICATE):
        return None
    fields = _FIELDS.get(name.removesuffix(_CERTIFICATE))
    if fields is None:
        raise paramiko.SSHException(f"unknown kind of certificate: {name}")
    message.get_string()
    plain = Message()
    plain.add_string(name.removesuffix(_CERTIFICATE))
    for _ in range(fields):
        plain.add_string(message.get_string())
    message.get_int64()
    kind, identity = message.get_int(), message.get_text()
    listed, principals = Message(message.get_string()), []
    while listed.get_remainder():
        principals.append(listed.get_text())
    begins, ends = message.get_int64(), message.get_int64()
    critical = message.get_string()
    message.get_string()
    message.get_string()
    authority = message.get_string()
    signed = message.get_so_far()
    signature = message.get_string()
    if message.get_remainder():
        raise paramiko.SSHException("there is data after the end of the certificate")
    made = kind, identity, tuple(principals), begins, ends, critical, authority, signature, signed
    return Certificate(*made, plain.asbytes())


def shown(key: PKey) -> bytes:
    """The part of a key that a login shows: its certificate, or the public key."""
    blob = getattr(key, "public_blob", None)
    return key.asbytes() if blob is None else blob.key_blob


class Rules(Struct, frozen=True):
    """How a host's key is checked. ``name`` is ssh's name of the host (HostKeyAlias, or address and port). ``bare`` is
    the name without the port, which ssh looks up second, and only in files. ``host`` is the name that a certificate
    must have. ``accept_new`` stores the key of a host that is in no file, in ``store``; ``strict`` forbids that.
    ``lenient`` means that ssh itself would accept any key. ``command`` prints further lines about ``name``
    (KnownHostsCommand)."""

    name: str
    bare: str
    host: str
    files: tuple[Path, ...]
    store: Path | None = None
    command: Command | None = None
    revoked: Path | None = None
    accept_new: bool = False
    strict: bool = False
    lenient: bool = False
    least_rsa: int = 1024
    ca_algorithms: tuple[str, ...] = CA_SIGNATURES


class Verifier(paramiko.MissingHostKeyPolicy):
    """Checks a host's key against :class:`Rules`. ``until`` is the end of the login (``time.monotonic``), which
    KnownHostsCommand must not exceed. Raises :class:`HostError` of kind ``host_key``."""

    def __init__(self, rules: Rules, until: float = math.inf) -> None:
        self.rules = rules
        self._until = until
        self.files: list[KnownHosts] = [known_hosts.read(path) for path in rules.files]
        self.known = self._found(rules.name)
        # Before the host has shown a key, the command's output only decides which kinds of key are requested.
        self._ordering = self._printed(None)

    def _found(self, name: str) -> list[Known]:
        return [known for file in self.files for known in file.find(name)]

    def _printed(self, key: PKey | None) -> list[Known]:
        """The lines of KnownHostsCommand about the host. ``key`` is the key that the host shows."""
        if self.rules.command is None:
            return []
        blobs = None if key is None else (shown(key), key.asbytes())
        lines = self.rules.command.lines(self.rules.name, blobs, self._until - time.monotonic())
        return lines.find(self.rules.name)

    @cached_property
    def bare(self) -> list[Known]:
        """The files' lines for the host's name without its port. ssh looks this name up last, and does not ask
        KnownHostsCommand about it (``check_host_key``, ``clobber_port``). The property is cached, because a search
        hashes the name once for each hashed line."""
        return [] if self.rules.bare == self.rules.name else self._found(self.rules.bare)

    @property
    def kinds(self) -> set[str]:
        """Kinds of key that can be checked."""
        found = {known.kind for known in [*self.known, *self._ordering] if not known.marker}
        return found or {known.kind for known in self.bare if not known.marker}

    @property
    def has_authority(self) -> bool:
        found = [*self.known, *self._ordering, *self.bare]
        return any(known.marker == "@cert-authority" for known in found)

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: PKey) -> None:
        blob = key.asbytes()
        self.known = [*self.known, *self._printed(key)]
        self._revocations(key)
        self._strong(key)
        vouched = certificate(shown(key))
        problem = self._by_authority(vouched) if vouched is not None else "unsigned"
        if not problem:
            return
        # As ssh does, treat an invalid certificate as the plain key that it contains.
        name = key.get_name()
        if self._plain(name, blob, self.known) or self._plain(name, blob, self.bare):
            return
        if vouched is not None and problem != "unsigned":
            raise self._refused(f"has a certificate {vouched.identity!r} that is not accepted: {problem}")
        self._first_contact(name, blob)

    def _revocations(self, key: PKey) -> None:
        blobs = [key.asbytes()]
        if (vouched := certificate(shown(key))) is not None:
            blobs += [vouched.authority, shown(key)]
        # Stricter than ssh, which looks up the bare name only where it has no key for the name with the port.
        for known in [*self.known, *self.bare]:
            if known.marker == "@revoked" and known.blob in blobs:
                raise self._refused(f"is revoked ({known.where}): {known.shown}")
        if self.rules.revoked is not None:
            for blob in blobs:
                if revoked(self.rules.revoked, blob):
                    raise self._refused(f"is revoked (RevokedHostKeys {self.rules.revoked}): {fingerprint(blob)}")

    def _strong(self, key: PKey) -> None:
        if isinstance(key, paramiko.RSAKey) and key.get_bits() < self.rules.least_rsa:
            raise self._refused(f"is an RSA key of {key.get_bits()} bits; RequiredRSASize is {self.rules.least_rsa}")

    def _by_authority(self, vouched: Certificate) -> str:
        """Why the certificate is not accepted: ``unsigned`` where no known authority has signed it."""
        authorities = {known.blob for known in [*self.known, *self.bare] if known.marker == "@cert-authority"}
        if vouched.authority not in authorities:
            return "unsigned"
        return vouched.problem(self.rules.host, self.rules.ca_algorithms)

    def _plain(self, name: str, blob: bytes, known: list[Known]) -> bool:
        keys = [one for one in known if not one.marker]
        if any(one.blob == blob for one in keys):
            return True
        if keys:
            listed = ", ".join(dict.fromkeys(one.shown for one in keys))
            # ssh would look up the next name; provision never accepts a key that differs from a known one.
            raise self._refused(
                "has changed (possible man-in-the-middle, or the host was reinstalled); nothing was sent: the host "
                f"shows {name} {fingerprint(blob)}, {keys[0].where} has {listed}. If reinstalled: ssh-keygen -R "
                f"'{self.rules.name}' -f {keys[0].where.file}"
            )
        return False

    def _first_contact(self, name: str, blob: bytes) -> None:
        shown = f"{name} {fingerprint(blob)}"
        if self.rules.strict and self.rules.accept_new:
            raise self._refused(f"is not known: {shown} (StrictHostKeyChecking yes forbids --accept-new)")
        if not self.rules.accept_new:
            hint = "check it and add it to known_hosts, or store it at first contact with --accept-new"
            hint += "; StrictHostKeyChecking no is not honoured" if self.rules.lenient else ""
            raise self._refused(f"is not known: {shown} ({hint})")
        if self.rules.store is None:
            raise self._refused(f"is not known: {shown}, and UserKnownHostsFile names no file to store it in")
        # Another login may have stored a key of this name in the meantime: the host must show that one.
        try:
            other = known_hosts.read(self.rules.store).add(self.rules.name, name, blob)
        except (ValueError, SpecError) as error:
            raise self._refused(f"is not known: {shown}, and {error}") from error
        self._plain(name, blob, other)

    def _refused(self, why: str) -> HostError:
        return HostError("host_key", f"the key of {self.rules.name} {why}")


def revoked(path: Path, blob: bytes) -> bool:
    """True if RevokedHostKeys has a key. The file is a list of public keys, or a KRL (ssh-keygen(1)). As ssh does,
    treat every key as revoked where the file can't be read."""
    try:
        data = limits.whole(path)
    except (OSError, SpecError):
        return True
    if not data.startswith(b"SSHKRL\n\0"):
        lines = (line.split() for line in lines_of(data.decode("utf-8", "replace")))
        listed = [words for words in lines if words and not words[0].startswith("#")]
        found = [known_hosts.public_blob(words[0], words[1]) if len(words) > 1 else None for words in listed]
        return None in found or blob in found
    name = Message(blob).get_text()
    with tempfile.NamedTemporaryFile("w", suffix=".pub") as file:
        file.write(f"{name} {base64.b64encode(blob).decode()}\n")
        file.flush()
        try:
            done = subprocess.run(  # noqa: S603 - no shell
                ["ssh-keygen", "-Q", "-f", os.fspath(path), file.name],  # noqa: S607 - the user's own
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=30,
            )
        except (OSError, subprocess.TimeoutExpired):
            return True
    return done.returncode != 0
