"""A certificate authority for private registries, in ``ca/`` in the playbook's directory.

``NAME.crt`` is its certificate and ``NAME.key.age`` its key, encrypted with age. ``NAME/`` has the certificates that it
has issued, a pair of files each. All files may be kept in version control. A certificate that expires soon is renewed.
A renewal keeps the authority's key and name. So a host that trusts the old or the new authority certificate accepts
certificates from before and after the renewal (RFC 5280, 4.1: the key signs). Only :func:`renew` writes these files;
:func:`certificate` reads them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from provision import limits
from provision.errors import UsageError
from provision.secrets.age import sealed, write
from provision.secrets.secret import decrypted

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

#: Days that a certificate is valid, and the number of days before its end when a renewal is due.
CA_DAYS, CA_LEFT = 3650, 365
LEAF_DAYS, LEAF_LEFT = 365, 60


class Wanted(Struct, frozen=True):
    """A certificate that an authority must issue: for a name, and further names and addresses."""

    authority: str
    name: str
    more: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.name, *self.more)))


def ca_file(folder: Path, authority: str) -> Path:
    return folder / f"{authority}.crt"


def leaf_files(folder: Path, wanted: Wanted) -> tuple[Path, Path]:
    """The paths of the certificate and of its (encrypted) key."""
    return folder / wanted.authority / f"{wanted.name}.crt", folder / wanted.authority / f"{wanted.name}.key.age"


def renew(
    folder: Path,
    authority: str,
    wanted: Iterable[Wanted],
    to: list[Any],
    now: datetime | None = None,
    force: bool = False,
) -> list[str]:
    """Make missing files, and renew those that expire soon (all, with ``force``); return what was done. ``to`` are age
    recipients. Raises :class:`UsageError` where a key can't be read."""
    now = now or datetime.now(UTC)
    said = []
    file, key_file = ca_file(folder, authority), folder / f"{authority}.key.age"
    if file.exists() != key_file.exists():
        raise UsageError(f"{folder} has only one of {file.name} and {key_file.name}")
    if not file.exists():
        key = _new_key()
        write(key_file, sealed(_pem(key), to))
        write(file, _ca(authority, key, now))
        said.append(f"created the authority {authority}")
    elif force or _ends_within(file, CA_LEFT, now):
        write(file, _ca(authority, _key(key_file), now))
        said.append(f"renewed the certificate of the authority {authority}")
    for one in wanted:
        if not force and not _stale(folder, one, now):
            continue
        leaf, leaf_key = leaf_files(folder, one)
        key = _new_key()
        write(leaf_key, sealed(_pem(key), to))
        write(leaf, _leaf(one, key, file, _key(key_file), now))
        said.append(f"created a certificate of the authority {authority} for {one.name}")
    return said


def due(folder: Path, authority: str, wanted: Iterable[Wanted], now: datetime | None = None) -> bool:
    """True if :func:`renew` has something to do."""
    now = now or datetime.now(UTC)
    file = ca_file(folder, authority)
    if not file.exists() or _ends_within(file, CA_LEFT, now):
        return True
    return any(_stale(folder, one, now) for one in wanted)


def _stale(folder: Path, one: Wanted, now: datetime) -> bool:
    """True if a certificate is missing, expires soon, has other names, or was signed by another key."""
    leaf, key = leaf_files(folder, one)
    if not (leaf.exists() and key.exists()) or _ends_within(leaf, LEAF_LEFT, now):
        return True
    return set(_names(leaf)) != set(one.names) or not _signed_by(leaf, ca_file(folder, one.authority))


def _ca(name: str, key: EllipticCurvePrivateKey, now: datetime) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    subject = _subject(f"{name} (provision)")
    made = (
        _builder(subject, subject, key.public_key(), now, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def _leaf(
    wanted: Wanted, key: EllipticCurvePrivateKey, ca: Path, ca_key: EllipticCurvePrivateKey, now: datetime
) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import ExtendedKeyUsageOID

    issuer = _certificate(ca).subject
    made = (
        _builder(_subject(wanted.name), issuer, key.public_key(), now, LEAF_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in wanted.names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def _builder(subject: x509.Name, issuer: x509.Name, key: Any, now: datetime, days: int) -> x509.CertificateBuilder:
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # The clocks of hosts differ.
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(signs: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _subject(name: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _new_key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _pem(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _key(path: Path) -> EllipticCurvePrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        found = serialization.load_pem_private_key(decrypted(limits.whole(path)).encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{path} is not a key: {error}") from error
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise UsageError(f"{path} is not a key that this authority can use")
    return found


def _certificate(path: Path) -> x509.Certificate:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(limits.whole(path))
    except ValueError as error:
        raise UsageError(f"{path} is not a certificate: {error}") from error


def _ends_within(path: Path, days: int, now: datetime) -> bool:
    return _certificate(path).not_valid_after_utc < now + timedelta(days=days)


def _names(path: Path) -> list[str]:
    from cryptography import x509

    try:
        found = _certificate(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return []
    return [str(one.value) for one in found]


def _signed_by(path: Path, ca: Path) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        _certificate(path).verify_directly_issued_by(_certificate(ca))
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
