"""The lab's throwaway keys: one for logins, one that signs ``docker-ce``, one that signs the small archive."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from provision.lab.process import output, run
from provision.lab.store import Store
from provision.lines import lines_of

DOCKER, ARCHIVE = "docker", "archive"


@dataclass(frozen=True, slots=True)
class Signer:
    """The key that signs, by its name in a gpg home."""

    name: str
    home: Path


def ensure(store: Store) -> None:
    """Make the missing keys. On a new machine several processes may do this at the same time: gpg would treat two keys
    with the same name as one key, and list both."""
    if all(public(store, name).exists() for name in (DOCKER, ARCHIVE)):
        return
    store.key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with store.building(folder(store)):
        if not store.key.exists():
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "provision-lab", "-f", store.key])
        for name in (DOCKER, ARCHIVE):
            _make(store, name)


def _make(store: Store, name: str) -> None:
    home = gnupg(store)
    # An earlier process may have been stopped between the creation of the keys.
    if f":{owner(name)}:" not in output([*home, "--with-colons", "--list-secret-keys"]):
        run([*home, "--passphrase", "", "--quick-gen-key", owner(name), "rsa3072", "sign", "never"])
    part = public(store, name).with_suffix(".part")
    part.write_text(output([*home, "--armor", "--export", owner(name)]) + "\n")
    part.rename(public(store, name))


def owner(name: str) -> str:
    """The name of a key in gpg."""
    return f"provision lab {name}"


def signer(store: Store, name: str) -> Signer:
    return Signer(owner(name), folder(store))


def public(store: Store, name: str) -> Path:
    """The public key as a mirror publishes it (ASCII armor)."""
    return store.key.parent / f"{name}.asc"


def gnupg(store: Store) -> list[str]:
    """The words of a ``gpg`` command that has the keys."""
    home = folder(store)
    home.mkdir(exist_ok=True, mode=0o700)
    return ["gpg", "--homedir", str(home), "--batch", "--quiet", "--yes", "--pinentry-mode", "loopback"]


def folder(store: Store) -> Path:
    return store.key.parent / "gnupg"


def fingerprint(store: Store, name: str = DOCKER) -> str:
    """The fingerprint of a key, in the form for the spec of ``docker-ce``. On a new machine the key is made first."""
    ensure(store)
    listing = output([*gnupg(store), "--with-colons", "--list-keys", owner(name)])
    return next(line.split(":")[9] for line in lines_of(listing) if line.startswith("fpr:"))
