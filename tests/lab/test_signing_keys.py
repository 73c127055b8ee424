"""Keys that a mirror serves: what real package managers would trust, and what provision stores."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from provision.lab import keys, mirror
from tests.lab.conftest import LAB, NewHost, engine


class Served(NamedTuple):
    """A file on the lab's mirror: the accepted public key, and behind it the secret key of an attacker."""

    url: str
    text: str
    attacker: str
    signature: str


@pytest.fixture
def served(lab: object, tmp_path: Path) -> Iterator[Served]:
    home = tmp_path / "gpg"
    home.mkdir(mode=0o700)

    def gpg(*words: str, given: bytes = b"") -> bytes:
        argv = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback", *words]
        return subprocess.run(argv, input=given, capture_output=True, check=True).stdout

    gpg("--passphrase", "", "--quick-gen-key", "attacker", "ed25519", "sign", "never")
    listing = gpg("--with-colons", "--list-keys").decode()
    attacker = next(line.split(":")[9] for line in listing.split("\n") if line.startswith("fpr:"))
    accepted = gpg("--dearmor", given=keys.public(LAB.store, keys.DOCKER).read_bytes())
    body = base64.encodebytes(accepted + gpg("--export-secret-keys")).decode()
    text = f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{body}-----END PGP PUBLIC KEY BLOCK-----\n"
    signature = gpg("--armor", "--detach-sign", given=b"a package index\n").decode()
    gpg_agent = ["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"]
    subprocess.run(gpg_agent, check=True)
    file = mirror.path(LAB.store) / "docker-ce" / f"key-{os.getpid()}.asc"
    file.write_text(text)
    yield Served(f"{mirror.URL}/{file.name}", text, attacker, signature)
    file.unlink()


@pytest.mark.parametrize("like", ["trixie", "el9"])
def test_a_secret_key_behind_the_accepted_key_is_refused(new_host: NewHost, served: Served, like: str) -> None:
    """gpg lists it as ``sec`` and not as ``pub``, and apt 3 (sqv) and rpm 4.20 trust it."""
    host = new_host(like)
    host.sh(f"cat >/tmp/key.asc <<'KEY'\n{served.text}KEY\ncat >/tmp/sig <<'SIG'\n{served.signature}SIG")
    if like == "trixie":
        signer = host.sh("echo 'a package index' >/tmp/index; sqv --keyring /tmp/key.asc /tmp/sig /tmp/index")
        assert signer == served.attacker, "the attack is real: sqv accepts what the attacker signs"
    else:
        host.sh("rpm --import /tmp/key.asc")
        short = served.attacker.lower()[-8:]
        assert f"gpg-pubkey-{short}-" in host.sh("rpm -q gpg-pubkey"), "the attack is real: rpm imports both keys"
        host.sh(f"rpm -e --allmatches gpg-pubkey-{short}")
    signed = {"key_url": served.url, "fingerprint": engine()["fingerprint"]}
    place = {"suites": ["trixie"], "components": ["stable"]} if like == "trixie" else {}
    url = f"{mirror.URL}/linux/{'debian' if like == 'trixie' else 'centos/9/x86_64/stable'}"
    outcome = host.apply({"repositories": {"tools": {"url": url, **place, **signed}}})
    assert outcome.code == 3, outcome.out
    assert "has an OpenPGP packet of type 5, which no public key has" in outcome.done["error"]["detail"]
    stored = "/etc/apt/keyrings" if like == "trixie" else "/etc/pki/rpm-gpg"
    assert "tools" not in host.sh(f"ls -A {stored}; ls -A {stored} | grep provision || true")


@pytest.mark.parametrize("like", ["trixie", "el9"])
def test_a_key_without_end_is_not_stored(new_host: NewHost, lab: object, like: str) -> None:
    host = new_host(like)
    file = mirror.path(LAB.store) / "docker-ce" / f"large-{os.getpid()}.asc"
    with open(file, "wb") as large:
        large.truncate(50_000_000)
    try:
        signed = {"key_url": f"{mirror.URL}/{file.name}", "fingerprint": engine()["fingerprint"]}
        place = {"suites": ["trixie"], "components": ["stable"]} if like == "trixie" else {}
        outcome = host.apply({"repositories": {"tools": {"url": f"{mirror.URL}/linux/debian", **place, **signed}}})
    finally:
        file.unlink()
    assert outcome.code == 3, outcome.out
    assert "has 1 MiB or more, so it is not a key" in outcome.done["error"]["detail"]
    assert host.sh("find / -xdev -size +40M -name '*provision*' | head -1") == ""
