"""Fingerprints as gpg prints them: recorded with gpg 2.2 (``gpg --with-colons --list-keys``) from keys that gpg
made."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.resources.openpgp import fingerprints

DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize("name", ["ed25519", "rsa2048"])
def test_the_fingerprint_equals_gpgs(name: str) -> None:
    expected = (DATA / f"{name}.fingerprint").read_text().strip()
    assert fingerprints((DATA / f"{name}.asc").read_bytes()) == [expected]
    with_newlines = (DATA / f"{name}.asc").read_bytes().replace(b"\n", b"\r\n")
    assert fingerprints(with_newlines) == [expected]


def test_the_fingerprints_of_all_primary_keys_are_returned() -> None:
    """A second key in the file would be trusted as well."""
    expected = {(DATA / f"{name}.fingerprint").read_text().strip() for name in ("ed25519", "rsa2048")}
    assert set(fingerprints((DATA / "two.asc").read_bytes())) == expected


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<html>not found</html>",
        b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n-----END PGP PUBLIC KEY BLOCK-----",
        b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----",
        b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEawVXgRYJ\n-----END PGP PUBLIC KEY BLOCK-----",
    ],
)
def test_invalid_keys_are_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"is not|holds no|is no|ends in"):
        fingerprints(text)
