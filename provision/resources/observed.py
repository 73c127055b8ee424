"""How a look reports files, for the resources that are files."""

from __future__ import annotations

import hashlib

from msgspec import Struct

from provision.model import HostReport, Withheld
from provision.remote.frames import STAT
from provision.remote.protocol import WireError
from provision.secrets import disclosure
from provision.secrets.secret import foreign, mask

ABSENT = "absent"


class Observed(Struct, frozen=True):
    """A path as a look found it: ``kind`` in stat(1)'s words, its size in bytes, and its content when the look sent it.
    ``public`` says that every user of the host can read it."""

    kind: str
    mode: str = ""
    owner: str = ""
    group: str = ""
    sha256: str = ""
    content: bytes | None = None
    size: int = 0
    public: bool = False

    @property
    def regular(self) -> bool:
        return self.kind.startswith("regular")


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def observe(report: HostReport, path: str) -> Observed:
    """The state that the look found at ``path``. Raises :class:`WireError` for a path that the look has not read."""
    (stat,) = report.fields("file", path)
    if stat == ABSENT:
        return Observed(ABSENT)
    found = STAT.fullmatch(stat)
    if found is None:
        raise WireError(f"{path!r} without its state: {stat[:80]!r}")
    kind, mode, owner, group = found["kind"], found["mode"], found["owner"], found["group"]
    content = report.content(path)
    sha256 = digest(content) if content is not None else "".join(report.get("sha256", path) or ())
    public = disclosure.readable(report, path, mode)
    return Observed(kind, mode.zfill(4), owner, group, sha256, content, int(found["size"]), public)


def shown(content: bytes) -> str:
    """Bytes as a state's value: the text itself, or its hash when it is not text or too long to show."""
    if len(content) <= 65536 and b"\0" not in content:
        try:
            return foreign(content.decode())
        except UnicodeDecodeError:
            pass
    return Withheld(f"sha256:{digest(content)}")


def disclosed(file: Observed, report: HostReport) -> str:
    """A file's content on the host, as people may see it. Its text is shown only if every user of the host can read it,
    and without the values of this run's secrets."""
    if not file.public:
        return disclosure.withheld(file.sha256, report.salt, file.size)
    if file.content is None:
        return Withheld(f"sha256:{file.sha256}")
    text = shown(file.content)
    return text if isinstance(text, Withheld) else mask(text)
