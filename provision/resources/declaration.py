"""The declaration of a resource's module: its part of a host's catalog, the old state that its steps keep on a host for
an undo, and its entries of a manifest. :mod:`provision.resources.discovery` finds it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from msgspec import Struct, field

from provision.model import HostReport, Resource
from provision.spec import Spec

Watchers = Mapping[str, tuple[str, ...]]


class Place(enum.IntEnum):
    """The order of a host's resources: of those that a spec declares, of those that a rollback makes, and of those that
    remove what is no longer declared.

    ``SETTINGS`` come before the files and the packages. ``ACCOUNTS``, and settings that need a package, come after
    them. docker's objects come last. Of these, a rollback first removes new projects and containers. It removes new
    networks last, because containers may use them.
    """

    SETTINGS = 1
    FILES = 2
    PACKAGES = 3
    ACCOUNTS = 4
    SERVICES = 5
    NEW_PROJECTS = 6
    NEW_CONTAINERS = 7
    NETWORKS = 8
    IMAGES = 9
    CONTAINERS = 10
    PROJECTS = 11
    NEW_NETWORKS = 12


class Stage(enum.IntEnum):
    """The order in which a host keeps the old state: files and what belongs to them, then packages and live settings,
    then the rest, then services."""

    FILES = 0
    SETTINGS = 1
    OBJECTS = 2
    SERVICES = 3


class Line(NamedTuple):
    """A line of a run's record on a host (the file ``before``)."""

    kind: str
    word: str
    rest: str


class Record(Struct, frozen=True):
    """The record of ``run``, and the data that is needed to read it. ``desired`` are the resources that the spec
    declares, ``watchers`` the services that watch each path, and ``secrets`` the tokens that the spec refers to.
    ``lock_timeout`` is in seconds."""

    lines: tuple[Line, ...]
    report: HostReport
    desired: tuple[Resource, ...]
    watchers: Watchers
    secrets: Collection[str]
    lock_timeout: int
    run: str = ""

    @property
    def versions(self) -> dict[str, str]:
        """The versions of packages that the host had before the run."""
        return {word: rest for kind, word, rest in self.lines if kind == "package" and rest != "absent"}


Restored = Iterable[Resource]


class RecordLine(Struct, frozen=True):
    """``undo`` is the shell function that restores what a line names: ``undo_`` and the line's first word. It is
    ``undo_one`` if the frame itself restores the object, and empty if another line of the same object restores it.
    ``before`` makes the resources that restore it later. ``stays`` says what such a rollback leaves as it is, for the
    operator, from the line and the state of the host now, or returns an empty text."""

    undo: str = ""
    before: Callable[[Line, Record], Restored] | None = None
    stays: Callable[[Line, HostReport], str] | None = None


class Kind(Struct, frozen=True):
    """A kind of :class:`~provision.model.Kept`.

    ``keep`` is the shell function that saves the old state (``keep`` itself where it only writes a line with the value
    that the plan knows). ``lines`` are the lines that it writes into the record, by their first word. ``identity``
    selects the words of a look at a path that must be unchanged when a job begins.
    """

    keep: str
    lines: Mapping[str, RecordLine]
    stage: Stage
    identity: Callable[[str], str] | None = None

    @property
    def functions(self) -> frozenset[str]:
        return frozenset((self.keep, *(line.undo for line in self.lines.values() if line.undo)))


class Entry(Struct, frozen=True):
    """An entry of a manifest. ``remove`` makes the resource that removes what is no longer declared. Its arguments are
    the rest of the entry, the value from before, and the services that watch each path. A ``live`` entry ends with the
    value from before: what the resource has seen under the key ``live``. ``field`` is the field of a spec that can
    declare such an object ``absent``, by the rest of the entry; the object then has a resource of its own."""

    remove: Callable[[str, str, Watchers], Resource | None]
    live: bool = False
    field: str = ""


class Part(Struct, frozen=True):
    """The resources that ``make`` makes of a spec, at their ``place`` in the catalog."""

    place: Place
    make: Callable[[Spec], Iterable[Resource]]


class Declaration(Struct, frozen=True):
    """``kinds`` and ``entries`` are by name: a kind's name, and an entry's first word. ``part`` is given where the
    resources follow from the spec alone; all others are made in :mod:`provision.catalog`."""

    part: Part | None = None
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    entries: Mapping[str, Entry] = field(default_factory=dict)
