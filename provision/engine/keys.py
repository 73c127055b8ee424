"""The table of daemon.json's keys (``keys.yml``): how each version of the engine handles a key, and the effect of a
change.

dockerd reloads a key by SIGHUP, or reads it only at its start (moby, daemon/reload.go). A reloadable key that is
deleted keeps its old value until a restart, unless a reload resets it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct

from provision.model import LEVELS
from provision.text.yamlfile import load

#: The newest engine that the table knows.
NEWEST = (29, 7)
#: The minor version that stands for the newest one, where a version names only the major part.
NEWEST_MINOR = 99

Version = tuple[int, int]
#: No version has longer numbers, and Python converts no text of thousands of digits.
_VERSION = re.compile(r"([0-9]{1,9})(?![^.])(?:\.([0-9]{1,9})(?![^.-]))?")


class Key(Struct, frozen=True):
    """A row of the table, whose head explains the columns. ``type`` is a word, or the list of allowed values; versions
    are (major, minor)."""

    name: str
    type: str | tuple[str, ...]
    effect: str
    since: Version | None = None
    until: Version | None = None
    deprecated: Version | None = None
    instead: str = ""
    ignored: Version | None = None
    gone: Version | None = None
    local: bool = False
    live: tuple[str, ...] = ()
    bridge: Any = None
    range: tuple[int | None, int | None] = (None, None)
    flat: bool = False
    flag: str = ""
    flag_since: Version | None = None
    info: str = ""

    def known_to(self, engine: Version) -> bool:
        end = self.gone or self.until
        return (self.since is None or engine >= self.since) and (end is None or engine < end)

    def read_by(self, engine: Version) -> bool:
        """True if an engine that knows the key decodes its value."""
        return self.ignored is None or engine < self.ignored


def version(text: str) -> Version | None:
    """``5:28.5.2-1~debian``, ``28.5`` or ``28`` -> (28, 5), (28, 5), the newest of 28; ``None`` for other text."""
    found = _VERSION.match(text.rpartition(":")[2])
    return found and (int(found[1]), NEWEST_MINOR if found[2] is None else int(found[2]))


@cache
def keys() -> dict[str, Key]:
    return {name: Key(name, **_row(row)) for name, row in load(Path(__file__).with_name("keys.yml")).items()}


_VERSIONS = ("since", "until", "deprecated", "ignored", "gone", "flag_since")


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a :class:`Key`: versions as numbers, lists as tuples."""
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
    return values | {name: version(row[name]) for name in _VERSIONS if name in row}


def key_effects(old: Mapping[str, Any], new: Mapping[str, Any], engine: Version = NEWEST) -> dict[str, str]:
    """Every key that differs -> ``none``, ``reload`` or ``restart``."""
    changed = [key for key in {**old, **new} if old.get(key) != new.get(key) or (key in old) != (key in new)]
    return {key: _effect(key, old, new, engine) for key in sorted(changed)}


def _effect(key: str, old: Mapping[str, Any], new: Mapping[str, Any], engine: Version) -> str:
    row = keys().get(key)
    if row is None or not row.known_to(engine):
        return "restart"
    if row.ignored:
        return "none"
    if row.effect == "restart" or (row.effect == "reload" and key not in new):
        return "restart"
    before, after = old.get(key), new.get(key)
    return "restart" if row.live and not _parts(before, after) <= set(row.live) else "reload"


def _parts(before: Any, after: Any) -> set[str]:
    """The parts of an object that differ."""
    old, new = (value if isinstance(value, dict) else {} for value in (before, after))
    return {part for part in {**old, **new} if old.get(part) != new.get(part)}


def local(effects: Mapping[str, str]) -> bool:
    """True if dockerd loads each of these changes by a reload, and none of them can affect a login."""
    return bool(effects) and all(effect == "reload" and keys()[key].local for key, effect in effects.items())


def worst(levels: Iterable[str]) -> str:
    return max(levels, key=LEVELS.index, default="none")
