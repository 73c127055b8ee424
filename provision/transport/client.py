"""paramiko's client side of a connection: which algorithms it offers, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import paramiko

from provision.transport import options
from provision.transport.host_keys import Verifier
from provision.transport.ssh_config import Resolved

_CERTIFICATE = "-cert-v01@openssh.com"
#: paramiko still offers these; they are insecure (RFC 8758, OpenSSH 7.4 and later).
_DISABLED = {
    "ciphers": {"3des-cbc", "aes128-cbc", "aes192-cbc", "aes256-cbc"},
    "macs": {"hmac-md5", "hmac-md5-96", "hmac-sha1", "hmac-sha1-96"},
    "kex": {"diffie-hellman-group1-sha1", "diffie-hellman-group14-sha1", "diffie-hellman-group-exchange-sha1"},
    "keys": {"ssh-dss", "ssh-rsa"},
}


@cache
def offered() -> dict[str, tuple[str, ...]]:
    """The algorithms of this paramiko without the disabled ones, in provision's order. The post-quantum key exchange is
    first, then curve25519, which costs a fifth of the older groups. AES-GCM is first because it is the fastest for bulk
    data."""
    of: Any = paramiko.Transport
    found = {
        "ciphers": of._preferred_ciphers,
        "macs": of._preferred_macs,
        "kex": of._preferred_kex,
        "keys": of._preferred_keys,
    }
    left = {name: [one for one in listed if one not in _DISABLED[name]] for name, listed in found.items()}
    left["kex"].sort(key=lambda name: (not name.startswith("mlkem"), not name.startswith("curve25519")))
    left["ciphers"].sort(key=lambda name: not name.endswith("gcm@openssh.com"))
    return {name: tuple(listed) for name, listed in left.items()}


class Algorithms:
    """The algorithms to offer a host: ssh's lists where the operator has changed them, otherwise all safe ones.

    Raises ``SpecError`` where a list would be empty.
    """

    def __init__(self, found: Resolved) -> None:
        have = offered()
        self.ciphers = options.allowed(found, "ciphers", have["ciphers"])
        self.macs = options.allowed(found, "macs", have["macs"])
        self.kex = options.allowed(found, "kexalgorithms", have["kex"])
        keys = (*(f"{name}{_CERTIFICATE}" for name in have["keys"]), *have["keys"])
        self.keys = options.allowed(found, "hostkeyalgorithms", keys)

    def host_keys(self, verifier: Verifier) -> tuple[str, ...]:
        """Kinds of host key; those that can be checked come first (sshconnect2.c, order_hostkeyalgs)."""
        kinds, authority = verifier.kinds, verifier.has_authority

        def order(name: str) -> bool:
            return not name.endswith(_CERTIFICATE) and _kind(name) not in kinds

        # A certificate that no known authority can have signed could only hide the plain key.
        return tuple(sorted((name for name in self.keys if authority or not name.endswith(_CERTIFICATE)), key=order))

    def transport(self, verifier: Verifier) -> Callable[..., paramiko.Transport]:
        """Return the factory of a connection's transport (``transport_factory`` of paramiko's client)."""

        def make(sock: Any, **more: Any) -> paramiko.Transport:
            transport = _Transport(sock, **more)
            security = transport.get_security_options()
            security.kex, security.ciphers, security.digests = self.kex, self.ciphers, self.macs
            transport.host_keys = self.host_keys(verifier)
            return transport

        return make


class _Transport(paramiko.Transport):
    """Offers exactly the given kinds of host key: paramiko itself would ask for certificates last. It also keeps the
    reason that the host gives when it disconnects: paramiko only logs it."""

    host_keys: tuple[str, ...] = ()
    #: the text of the host's SSH_MSG_DISCONNECT (RFC 4253, 11.1), such as "Too many authentication failures"
    farewell: str = ""

    def _parse_disconnect(self, m: paramiko.Message) -> None:
        m.get_int()
        self.farewell = m.get_text()

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        return self.host_keys


def _kind(algorithm: str) -> str:
    """The kind of key of a signature algorithm (RFC 8332: RSA keys sign with SHA-2)."""
    return "ssh-rsa" if algorithm.startswith("rsa-sha2-") else algorithm
