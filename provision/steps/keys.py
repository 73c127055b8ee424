"""Steps for the keys that sign package repositories."""

from __future__ import annotations

from collections.abc import Sequence

from provision.model import LONG, Call, Kept, Risk


def key_fetch(path: str, *, url: str, field: str, fingerprints: Sequence[str]) -> Call:
    """Fetch a key from ``url``. The file must have no other keys than ``fingerprints`` (any key, when there are none).
    ``field`` is the key of the spec that declares them. The URL may contain a password, so no title shows it."""
    return Call(
        "key_fetch",
        (url, path, field, *fingerprints),
        title=f"fetch the signing key {path}",
        risk=Risk.NONE,
        touches=(path,),
        keeps=(Kept("file", path),),
        limit=LONG,
    )


def key_distrust(fingerprints: Sequence[str]) -> Call:
    """``fingerprints`` are in lower case."""
    return Call(
        "key_distrust", tuple(fingerprints), title=f"withdraw the trust in the signing key {', '.join(fingerprints)}"
    )
