"""The manifest of a play, kept on the host: what the play made, so that provision can remove what no play declares.

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

from typing import Self

from msgspec import Struct

from provision.lines import lines_of
from provision.model import Resource
from provision.planning.undo_kinds import ENTRIES
from provision.resources.declaration import Watchers

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
        return "\n".join([_HEAD, f"play {self.play}".replace("\n", " "), *lines]) + "\n"


def removal(entry: str, before: str, watchers: Watchers) -> Resource | None:
    """The resource that removes what an entry records, or restores its value; ``None`` where nothing is left to do."""
    kind, _, rest = entry.partition(" ")
    return ENTRIES[kind].remove(rest, before, watchers) if kind in ENTRIES else None


def live(entry: str) -> bool:
    """Whether an entry is of a live value, which provision restores to its value from before."""
    kind = entry.partition(" ")[0]
    return kind in ENTRIES and ENTRIES[kind].live
