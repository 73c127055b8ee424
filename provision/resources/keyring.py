"""The key that signs a package repository."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from provision.lines import words_of
from provision.model import LONG, Call, Drift, HostReport, Kept, Risk, State
from provision.resources.base import Base
from provision.resources.observed import ABSENT, observe
from provision.resources.openpgp import fingerprints
from provision.steps.packages import pkg_refresh, pkg_transaction


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


class Keyring(Base, frozen=True):
    """A signing key that the host fetches from ``url``. ``fingerprints`` are those of the keys that the file may hold
    (any key, when there are none). ``field`` is the key of the spec that declares them. ``tools`` are what the host
    needs to fetch it: name -> (a path that exists when it is installed, the package that brings it)."""

    kind = "key"
    entry = "file"

    path: str
    url: str
    fingerprints: tuple[str, ...]
    field: str
    tools: Mapping[str, tuple[str, str]]
    lock_timeout: int = 300

    def want(self) -> State:
        return {"key": self._accepted, "tools": "present"}

    def look(self) -> tuple[Call, ...]:
        paths = tuple(Call("look_paths", (path,)) for path, _ in self.tools.values())
        return (Call("look_files", (self.path,)), *paths)

    def seen(self, report: HostReport) -> State:
        key = self._key(report)
        missing = [package for path, package in self.tools.values() if report.fields("path", path) == (ABSENT,)]
        # Tools are only needed to fetch a key: a host with an accepted key needs none of them.
        if missing and key != self._accepted:
            return {"key": key, "tools": f"{' '.join(missing)} missing"}
        return {"key": key, "tools": "present"}

    def fix(self, drift: Drift) -> Iterator[Call]:
        if "tools" in drift:
            missing = words_of(drift.seen["tools"])[:-1]
            yield pkg_refresh(lock_timeout=self.lock_timeout)
            yield pkg_transaction(lock_timeout=self.lock_timeout, install=dict.fromkeys(missing))
        yield key_fetch(self.path, url=self.url, field=self.field, fingerprints=self.fingerprints)
        # After the fetch: when a mirror serves no accepted key, the host must keep the keys that it has.
        if replaced := tuple(key.lower() for key in _FINGERPRINT.findall(drift.seen["key"])):
            kept = {key.lower() for key in self.fingerprints}
            if refused := tuple(key for key in replaced if key not in kept):
                yield key_distrust(refused)

    @property
    def _accepted(self) -> str:
        return " or ".join(self.fingerprints) or "present"

    def _key(self, report: HostReport) -> str:
        file = observe(report, self.path)
        if file.content is None:
            return ABSENT if file.kind == ABSENT else f"not a key but a {file.kind}"
        try:
            found = fingerprints(file.content)
        except ValueError as error:
            return f"a file that {error}"
        if not self.fingerprints or set(found) <= set(self.fingerprints):
            return self._accepted
        return " and ".join(found)


_FINGERPRINT = re.compile(r"\b(?:[0-9A-F]{64}|[0-9A-F]{40})\b")
