"""The table of daemon.json's keys (``daemon_keys.yml``), and how an engine of a given version handles each key."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from msgspec import Struct

from provision.text.yamlfile import load

#: The newest engine that the table knows.
NEWEST = (29, 7)
#: The minor version that stands for the newest one, where a version names only the major part.
NEWEST_MINOR = 99

Version = tuple[int, int]


class Key(Struct, frozen=True):
    """``type`` is a word of the table, or the list of allowed values; versions are (major, minor)."""

    name: str
    type: str | tuple[str, ...]
    effect: str
    since: Version | None = None
    until: Version | None = None
    deprecated: Version | None = None
    instead: str = ""
    ignored: Version | None = None
    gone: Version | None = None

    def known_to(self, engine: Version) -> bool:
        end = self.gone or self.until
        return (self.since is None or engine >= self.since) and (end is None or engine < end)

    def read_by(self, engine: Version) -> bool:
        """Whether an engine that knows the key decodes its value."""
        return self.ignored is None or engine < self.ignored


def version(text: str) -> Version | None:
    """``5:28.5.2-1~debian``, ``28.5`` or ``28`` -> (28, 5), (28, 5), the newest of 28; ``None`` for other text."""
    words = text.rpartition(":")[2].split(".")
    if not words[0].isdigit():
        return None
    minor = words[1].partition("-")[0] if len(words) > 1 else ""
    return int(words[0]), int(minor) if minor.isdigit() else NEWEST_MINOR


@cache
def keys() -> dict[str, Key]:
    found = {}
    for name, row in load(Path(__file__).with_name("daemon_keys.yml")).items():
        parts = ("since", "until", "deprecated", "ignored", "gone")
        versions = {part: version(row[part]) for part in parts if part in row}
        kind = tuple(row["type"]) if isinstance(row["type"], list) else row["type"]
        found[name] = Key(name, kind, row["effect"], instead=row.get("instead", ""), **versions)
    return found
