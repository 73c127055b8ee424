"""Fingerprints of an ASCII-armoured OpenPGP key, computed without a program such as gpg.

RFC 9580: 6.2 (armour), 4.2 (packet headers), 5.5.4 (fingerprints of versions 4 and 6), 10.1 (what a public key is made
of). ``sh/fix/keys.sh`` has the same rules for a key that a host fetches.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator

from provision.lines import lines_of

_BEGIN, _END = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"
_PUBLIC_KEY = 6
#: Public keys, signatures and names. apt and rpm trust a secret key (5) as well, and gpg does not list it as public.
_OF_A_PUBLIC_KEY = frozenset({_PUBLIC_KEY, 14, 2, 13, 17})


def fingerprints(armoured: bytes) -> list[str]:
    """The fingerprints (upper case, no blanks) of all primary keys, from every block of the file: package managers
    trust all of them. Raises ``ValueError`` when the file is not a key, or has more than public keys."""
    packets = [packet for block in _unarmour(armoured) for packet in _packets(block)]
    if others := {tag for tag, _ in packets} - _OF_A_PUBLIC_KEY:
        raise ValueError(f"has an OpenPGP packet of type {min(others)}, which no public key has")
    found = [_fingerprint(body) for tag, body in packets if tag == _PUBLIC_KEY]
    if not found:
        raise ValueError("holds no public key")
    return found


def _unarmour(armoured: bytes) -> list[bytes]:
    """The blocks, at whatever position of a line they begin: rpm searches only for the BEGIN marker."""
    text = armoured.decode("ascii", "replace").replace("\r\n", "\n")
    blocks = [lines_of(rest.split(_END, 1)[0].partition("\n\n")[2]) for rest in text.split(_BEGIN)[1:]]
    if not blocks or text.count("-----BEGIN PGP ") != len(blocks):
        raise ValueError("is not an ASCII-armoured PGP public key")
    try:
        # Without the checksum (RFC 9580, 6.1).
        bodies = ("".join(line for line in lines if not line.startswith("=")) for lines in blocks)
        return [base64.b64decode(body, validate=True) for body in bodies]
    except binascii.Error as error:
        raise ValueError("is not an ASCII-armoured PGP public key") from error


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    try:
        while position < len(data):
            tag = data[position]
            if tag & 0xC0 == 0xC0:
                start, length = _new_length(data, position + 1)
                kind = tag & 0x3F
            elif tag & 0x80:
                size = (1, 2, 4)[tag & 3]
                start = position + 1 + size
                length = int.from_bytes(data[position + 1 : start], "big")
                kind = (tag >> 2) & 0x0F
            else:
                raise ValueError("is not an OpenPGP packet")
            if start + length > len(data):
                raise ValueError("ends in the middle of a packet")
            yield kind, data[start : start + length]
            position = start + length
    except IndexError as error:
        raise ValueError("is not an OpenPGP key") from error


def _new_length(data: bytes, at: int) -> tuple[int, int]:
    first = data[at]
    if first < 192:
        return at + 1, first
    if first < 224:
        return at + 2, ((first - 192) << 8) + data[at + 1] + 192
    if first == 255:
        return at + 5, int.from_bytes(data[at + 1 : at + 5], "big")
    raise ValueError("a key is not sent in parts")


def _fingerprint(body: bytes) -> str:
    if body[0] == 4:
        return hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body).hexdigest().upper()  # noqa: S324 - RFC 9580 fixes it
    if body[0] == 6:
        return hashlib.sha256(b"\x9b" + len(body).to_bytes(4, "big") + body).hexdigest().upper()
    raise ValueError(f"is a key of version {body[0]}, which is not secure")
