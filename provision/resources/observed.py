"""How a look reports files, for the resources that are files."""

from __future__ import annotations

import hashlib

from msgspec import Struct

from provision.model import Report
from provision.secret import foreign

ABSENT = "absent"


class Observed(Struct, frozen=True):
    """A path as seen: ``kind`` in stat(1)'s words, and its bytes when the look sent them."""

    kind: str
    mode: str = ""
    owner: str = ""
    group: str = ""
    sha256: str = ""
    content: bytes | None = None

    @property
    def regular(self) -> bool:
        return self.kind.startswith("regular")


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def observe(report: Report, path: str) -> Observed:
    """What the look saw at ``path``. Raises ``KeyError`` for a path that it was not asked to look at."""
    (stat,) = report.fields("file", path)
    if stat == ABSENT:
        return Observed(ABSENT)
    kind, mode, owner, group, *_ = stat.split(":")
    content = report.content(path)
    sha256 = digest(content) if content is not None else report.get("sha256", path)
    return Observed(
        kind, mode.zfill(4), owner, group, sha256 if isinstance(sha256, str) else "".join(sha256 or ()), content
    )


def shown(content: bytes) -> str:
    """Bytes as a state's value: the text itself, or its hash when it is no text or too long to compare by eye."""
    if len(content) <= 65536 and b"\0" not in content:
        try:
            return foreign(content.decode())
        except UnicodeDecodeError:
            pass
    return f"sha256:{digest(content)}"
