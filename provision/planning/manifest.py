"""The manifest of a play, kept on the host: what the play made, so that provision can remove what no play declares.
Also the kinds that can be undone, and the entries of a manifest: the modules of the resources declare them
(:mod:`provision.resources.declaration`), and no module of this package names one itself.

One file per play, one line per object, readable by an operator without tools::

    provision-manifest 1
    play Docker hosts
    file /etc/docker/daemon.json
    sysctl net.ipv4.ip_forward 0
    forward policy ACCEPT
    member docker bob
    hold docker-ce
    container web

A line of a live value (a sysctl, the forward policy) ends with the value from before. A manifest never has packages,
users or data: provision removes them only by ``absent``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from msgspec import Struct

from provision.lines import lines_of
from provision.model import Resource
from provision.remote.script import MANIFESTS
from provision.resources.declaration import Entry, Kind, RecordLine, Watchers
from provision.resources.discovery import entries, kinds

_HEAD = "provision-manifest 1"


class Manifest(Struct, frozen=True):
    """``entries`` maps what was made (``sysctl net.ipv4.ip_forward``) to the value from before, or ``""``."""

    play: str
    slug: str
    entries: dict[str, str]

    @classmethod
    def parse(cls, slug: str, text: str) -> Self:
        """Read a manifest. Raises ``ValueError`` for the format of a later version of provision."""
        head, *lines = lines_of(text) or [""]
        if head != _HEAD:
            raise ValueError(f"the manifest {slug} on the host has the format {head!r}; this version knows {_HEAD!r}")
        play, entries = slug, {}
        for line in lines:
            kind, _, rest = line.partition(" ")
            if kind == "play":
                play = rest
            elif live(line):
                key, _, before = rest.partition(" ")
                entries[f"{kind} {key}"] = before
            elif kind:
                entries[line] = ""
        return cls(play, slug, entries)

    def text(self) -> str:
        lines = [f"{entry} {before}" if before else entry for entry, before in sorted(self.entries.items())]
        return "\n".join([_HEAD, f"play {_line(self.play)}", *lines]) + "\n"


def shared_record(manifests: Mapping[str, Manifest], play: str, slug: str) -> str:
    """The error where the record of a play is another play's: names that differ only in capitals, blanks or marks have
    the same record. Empty for a record that is the play's own, or that does not exist."""
    there = manifests.get(slug)
    if there is None or there.play == _line(play):
        return ""
    return (
        f"the plays {there.play!r} and {play!r} have the same record on the host ({MANIFESTS}/{slug}), so that each"
        f" would remove what the other has made; give one of them a name that differs in its letters or digits. If it"
        f" is one play with a new name, change the line {f'play {there.play}'!r} of that file"
    )


def _line(play: str) -> str:
    return play.replace("\n", " ")


def removal(entry: str, before: str, watchers: Watchers) -> Resource | None:
    """The resource that removes what an entry records, or restores its value; ``None`` where nothing is left to do."""
    kind, _, rest = entry.partition(" ")
    return ENTRIES[kind].remove(rest, before, watchers) if kind in ENTRIES else None


def live(entry: str) -> bool:
    """True if an entry is of a live value, which provision restores to its value from before."""
    kind = entry.partition(" ")[0]
    return kind in ENTRIES and ENTRIES[kind].live


KINDS: Mapping[str, Kind] = kinds()
#: First word of a manifest's entry -> what the registry has for it; the same for a record's line.
ENTRIES: Mapping[str, Entry] = entries()
LINES: Mapping[str, RecordLine] = {word: line for kind in KINDS.values() for word, line in kind.lines.items()}
