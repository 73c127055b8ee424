"""The identity of a lab host: its host keys are made here, so that known_hosts is correct from the first connection."""

from __future__ import annotations

import socket
from pathlib import Path

from provision.lab.process import run
from provision.lab.store import Record, Store

_KINDS = ("ed25519", "ecdsa")


def ensure(folder: Path, name: str) -> None:
    """The host's keys in ``folder``, made unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in _KINDS:
        key = folder / f"ssh_host_{kind}_key"
        if not key.exists():
            run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", key])


def folder(store: Store, record: Record) -> Path:
    """The directory of a host's keys: in its own file system, or next to its disk."""
    host = store.host(record.lab, record.name)
    return host / "seed/etc/ssh" if record.kind == "vm" else host / "layers/root/etc/ssh"


def known_hosts(store: Store, record: Record) -> list[str]:
    keys = (path.read_text().split()[:2] for path in sorted(folder(store, record).glob("ssh_host_*_key.pub")))
    return [f"{record.address} {kind} {key}" for kind, key in keys]


def answers(record: Record) -> bool:
    """True if the host's sshd shows its banner."""
    try:
        with socket.create_connection((record.address, 22), timeout=2) as peer:
            return peer.recv(4) == b"SSH-"
    except OSError:
        return False


def ssh(store: Store, record: Record, known: Path) -> list[str]:
    """The words of an ``ssh`` command that logs in to the host as root.

    The key exchange is the fastest one: OpenSSH's default is a post-quantum one, which takes nine tenths of a login.
    """
    options = [f"UserKnownHostsFile={known}", "GlobalKnownHostsFile=/dev/null", "IdentitiesOnly=yes"]
    options += ["KexAlgorithms=curve25519-sha256"]
    words = [word for option in options for word in ("-o", option)]
    return ["ssh", "-F", "none", *words, "-i", str(store.key), f"root@{record.address}"]
