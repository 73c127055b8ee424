"""What a play made on a host, kept on the host: so that what is no longer declared can go.

One file per play, a line per thing, in words that an operator can read at 3 a.m.::

    provision-manifest 1
    play Docker hosts
    file /etc/docker/daemon.json
    sysctl net.ipv4.ip_forward 0
    forward policy ACCEPT
    member docker bob
    hold docker-ce
    container web

A line of a live value (a sysctl, the forward policy) ends with the value from before. Packages, users and data are
never in it: they go only by ``absent``.
"""

from __future__ import annotations

from typing import Self

from msgspec import Struct

from provision.lines import lines_of
from provision.model import Resource
from provision.resources.boot_service import NoBootService
from provision.resources.docker.compose import NoProject, place
from provision.resources.docker.container import NoContainer
from provision.resources.docker.network import NoNetwork
from provision.resources.file import NoFile
from provision.resources.forward import ForwardBefore
from provision.resources.hold import NoHold
from provision.resources.sysctl import SysctlBefore
from provision.resources.user import NoMember

_HEAD = "provision-manifest 1"
#: Kinds of things that have a live value, which goes back to what it was before.
LIVE = ("sysctl", "forward")


class Manifest(Struct, frozen=True):
    """``entries`` maps what was made (``sysctl net.ipv4.ip_forward``) to what was there before, or ``""``."""

    play: str
    slug: str
    entries: dict[str, str]

    @classmethod
    def parse(cls, slug: str, text: str) -> Self:
        """Read a manifest; raises ``ValueError`` for a format that a later version of us has written."""
        head, *lines = lines_of(text) or [""]
        if head != _HEAD:
            raise ValueError(f"the manifest {slug} on the host has the format {head!r}; this version knows {_HEAD!r}")
        play, entries = slug, {}
        for line in lines:
            kind, _, rest = line.partition(" ")
            if kind == "play":
                play = rest
            elif kind in LIVE:
                key, _, before = rest.partition(" ")
                entries[f"{kind} {key}"] = before
            elif kind:
                entries[line] = ""
        return cls(play, slug, entries)

    def text(self) -> str:
        lines = [f"{entry} {before}" if before else entry for entry, before in sorted(self.entries.items())]
        return "\n".join([_HEAD, f"play {self.play}".replace("\n", " "), *lines]) + "\n"


def removal(entry: str, before: str, watchers: dict[str, tuple[str, ...]]) -> Resource | None:
    """The resource that undoes a manifest's entry; ``None`` where nothing is left to do."""
    kind, _, rest = entry.partition(" ")
    if kind == "file":
        return NoFile(rest, watchers.get(rest, ()))
    if kind == "hold":
        return NoHold(rest)
    if kind == "member":
        group, _, user = rest.partition(" ")
        return NoMember(user, group)
    if kind == "sysctl" and before:
        return SysctlBefore(rest, before)
    if kind == "forward" and before in ("ACCEPT", "DROP"):
        return ForwardBefore(before)
    if kind == "container":
        return NoContainer(rest, ours=True)
    if kind == "network":
        return NoNetwork(rest)
    if kind == "compose":
        return NoProject(rest, place(rest))
    if kind == "boot":
        return NoBootService(*rest.split(" "))
    return None
