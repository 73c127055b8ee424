"""The private CA of provision: the certificates that it makes and renews, and that hosts continue to trust them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from provision.errors import UsageError
from provision.secrets.age import recipients, sealed
from provision.secrets.authority import CA_DAYS, CA_LEFT, LEAF_DAYS, LEAF_LEFT, Wanted, due, renew

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ONE = Wanted("lab", "reg.example", ("10.0.0.1",))


@pytest.fixture(autouse=True)
def identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyrage

    (tmp_path / "identity.txt").write_text(f"{pyrage.x25519.Identity.generate()}\n")
    monkeypatch.setenv("PROVISION_IDENTITY", str(tmp_path / "identity.txt"))


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_an_authority_and_its_certificates_are_made(tmp_path: Path) -> None:
    said = renew(tmp_path, "lab", [ONE], recipients(), NOW)
    assert said == ["created the authority lab", "created a certificate of the authority lab for reg.example"]
    ca, leaf = certificate(tmp_path / "lab.crt"), certificate(tmp_path / "lab/reg.example.crt")
    leaf.verify_directly_issued_by(ca)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["reg.example", "10.0.0.1"]
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    for key in ("lab.key.age", "lab/reg.example.key.age"):
        assert (tmp_path / key).read_text().startswith("-----BEGIN AGE ENCRYPTED FILE-----")
    assert b"PRIVATE KEY" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert renew(tmp_path, "lab", [ONE], recipients(), NOW) == []
    assert not due(tmp_path, "lab", [ONE], NOW)


def test_certificates_near_their_end_are_renewed_and_trusted(tmp_path: Path) -> None:
    renew(tmp_path, "lab", [ONE], recipients(), NOW)
    old_ca, old_leaf = certificate(tmp_path / "lab.crt"), certificate(tmp_path / "lab/reg.example.crt")
    later = NOW + timedelta(days=LEAF_DAYS - LEAF_LEFT - 1)
    assert not due(tmp_path, "lab", [ONE], later)
    later += timedelta(days=2)
    assert due(tmp_path, "lab", [ONE], later)
    assert renew(tmp_path, "lab", [ONE], recipients(), later) == [
        "created a certificate of the authority lab for reg.example"
    ]
    much_later = NOW + timedelta(days=CA_DAYS - CA_LEFT + 1)
    assert due(tmp_path, "lab", [], much_later)
    assert renew(tmp_path, "lab", [], recipients(), much_later) == ["renewed the certificate of the authority lab"]
    new_ca = certificate(tmp_path / "lab.crt")
    assert new_ca.not_valid_after_utc > old_ca.not_valid_after_utc
    # A host with the new certificate of the authority trusts the old certificates, and the other way round.
    old_leaf.verify_directly_issued_by(new_ca)
    certificate(tmp_path / "lab/reg.example.crt").verify_directly_issued_by(old_ca)


def test_a_new_name_gets_a_new_certificate(tmp_path: Path) -> None:
    renew(tmp_path, "lab", [ONE], recipients(), NOW)
    more = Wanted("lab", "reg.example", ("10.0.0.1", "other.example"))
    assert due(tmp_path, "lab", [more], NOW)
    assert len(renew(tmp_path, "lab", [more], recipients(), NOW)) == 1


def test_an_authority_without_its_key_is_an_error(tmp_path: Path) -> None:
    renew(tmp_path, "lab", [], recipients(), NOW)
    (tmp_path / "lab.key.age").unlink()
    with pytest.raises(UsageError, match="only one of"):
        renew(tmp_path, "lab", [], recipients(), NOW)


@pytest.mark.parametrize(
    ("key", "message"),
    [(b"no key", "lab.key.age is not a key"), (bytes(16 * 1024 * 1024), "its header has more than 64 KiB")],
)
def test_a_key_that_is_none_is_an_error(tmp_path: Path, key: bytes, message: str) -> None:
    renew(tmp_path, "lab", [], recipients(), NOW)
    (tmp_path / "lab.key.age").write_bytes(sealed(key, recipients()) if len(key) < 1000 else key)
    with pytest.raises(UsageError, match=message):
        renew(tmp_path, "lab", [ONE], recipients(), NOW)


def test_a_certificate_without_names_is_replaced(tmp_path: Path) -> None:
    renew(tmp_path, "lab", [ONE], recipients(), NOW)
    (tmp_path / "lab/reg.example.crt").write_bytes((tmp_path / "lab.crt").read_bytes())
    assert due(tmp_path, "lab", [ONE], NOW)
    assert len(renew(tmp_path, "lab", [ONE], recipients(), NOW)) == 1
    assert not due(tmp_path, "lab", [ONE], NOW)
