"""What can be undone, one entry a kind. An entry says how a run keeps the old state on the host and how the host
restores it. It also says what ``provision rollback`` makes of the record later, and what removes an undeclared object.

:mod:`provision.planning.prepare` (the undo of a run), :mod:`provision.planning.rollback` and
:mod:`provision.planning.manifest` read this registry, and name no kind themselves.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from provision import spec
from provision.model import HostReport, Resource
from provision.remote.protocol import WireError, decoded, parsed
from provision.resources.boot_service import NoBootService
from provision.resources.docker.compose import NoProject, Project, place
from provision.resources.docker.container import Container, NoContainer
from provision.resources.docker.image import ImageBefore
from provision.resources.docker.network import NetworkBefore, NoNetwork
from provision.resources.file import File, NoFile
from provision.resources.forward import ForwardBefore
from provision.resources.hold import NoHold
from provision.resources.hostname import HostnameBefore
from provision.resources.obstacle import Unfixable
from provision.resources.packages import Packages
from provision.resources.service import Service
from provision.resources.sysctl import SysctlBefore
from provision.resources.user import NoMember
from provision.secrets.disclosure import readable
from provision.secrets.secret import each, recalled

Watchers = Mapping[str, tuple[str, ...]]


class Line(NamedTuple):
    """A line of a run's record on a host (the file ``before``)."""

    kind: str
    word: str
    rest: str


class Record(Struct, frozen=True):
    """A run's record, and what is needed to read it: the spec's ``services`` by unit, the ``watchers`` of each path,
    and the ``secrets`` (tokens) that the spec refers to."""

    lines: tuple[Line, ...]
    report: HostReport
    services: Mapping[str, Service]
    watchers: Watchers
    secrets: Collection[str]
    lock_timeout: int

    @property
    def versions(self) -> dict[str, str]:
        """The versions of packages that the host had before the run."""
        return {word: rest for kind, word, rest in self.lines if kind == "package" and rest != "absent"}


class Place(enum.IntEnum):
    """The order of a rollback, which is that of a spec's resources. docker's objects come last. The
    first of them to be removed are new projects and containers, the last are new networks, which containers may use."""

    SETTINGS = 1
    FILES = 2
    PACKAGES = 3
    SERVICES = 4
    NEW_PROJECTS = 5
    NEW_CONTAINERS = 6
    NETWORKS = 7
    IMAGES = 8
    CONTAINERS = 9
    PROJECTS = 10
    NEW_NETWORKS = 11


Restored = Iterator[tuple[Place, Resource]]


class Kind(Struct, frozen=True):
    """A kind of :class:`~provision.model.Kept`.

    ``keep`` is the shell function that saves the old state (``keep`` itself where it only writes a line). ``lines`` are
    the lines that it writes into the record, by their first word. ``stage`` orders what is saved: files first, services
    last. ``identity`` selects which words of a look on a path must still hold when a job begins. ``entries`` are the
    manifest entries of such an object, by their first word.
    """

    keep: str
    lines: Mapping[str, RecordLine]
    stage: int
    identity: Callable[[str], str] | None = None
    entries: Mapping[str, Entry] = field(default_factory=dict)

    @property
    def functions(self) -> frozenset[str]:
        return frozenset((self.keep, *(line.undo for line in self.lines.values() if line.undo)))


class RecordLine(Struct, frozen=True):
    """``undo`` is the shell function that restores what a line names. It is ``undo_one`` for a line of its own, and
    empty where another line of the same object restores it. ``before`` makes the resources that restore it later."""

    undo: str = ""
    before: Callable[[Line, Record], Restored] | None = None


class Entry(Struct, frozen=True):
    """``remove`` makes the resource that removes what is no longer declared. Its arguments are the rest of the entry,
    the value from before, and the services that watch each path. A ``live`` entry ends with the value from before."""

    remove: Callable[[str, str, Watchers], Resource | None]
    live: bool = False


def _file(line: Line, record: Record) -> Restored:
    path = line.rest
    stat, encoded = record.report.fields("kept", path)
    what, mode, owner, group = stat.rsplit(":", 3)
    if not what.startswith("regular"):
        raise Unfixable(f"{path} was a {what}; restore it by hand")
    # A diff of a file that not every user of the host may read could show a secret.
    private = not readable(record.report, path, mode)
    watchers = record.watchers.get(path, ())
    content, mode = decoded(encoded), f"{int(mode, 8):04o}"
    yield Place.FILES, File(path, content, owner, group, mode, watchers, secret=private, literal=True)


def _new_file(line: Line, record: Record) -> Restored:
    yield Place.FILES, NoFile(line.rest, record.watchers.get(line.rest, ()))


def _package(line: Line, record: Record) -> Restored:
    """All packages change in one transaction: the first line represents all of them."""
    versions = record.versions
    if line.word == next(iter(versions), None):
        yield Place.PACKAGES, Packages(versions, lock_timeout=record.lock_timeout)


def _live(line: Line, record: Record) -> Restored:
    yield Place.SETTINGS, SysctlBefore(line.word, line.rest)


def _forward(line: Line, record: Record) -> Restored:
    yield Place.SETTINGS, ForwardBefore(line.word)


def _hostname(line: Line, record: Record) -> Restored:
    yield Place.SETTINGS, HostnameBefore(line.word)


def _service(line: Line, record: Record) -> Restored:
    if line.word != "none":
        service = record.services.get(line.rest, Service(line.rest))
        enabled, running = "enabled" in line.word, "active" in line.word
        yield (
            Place.SERVICES,
            replace(service, enabled=enabled, running=running, compare=None, agrees=None, effect=None),
        )


def _network(line: Line, record: Record) -> Restored:
    if line.word == "absent":
        yield Place.NEW_NETWORKS, NoNetwork(line.rest)
    else:
        yield Place.NETWORKS, NetworkBefore(line.rest, *record.report.fields("made_of", line.rest))


def _image(line: Line, record: Record) -> Restored:
    """Images that the run added stay: they disturb nothing."""
    if line.word != "absent":
        yield Place.IMAGES, ImageBefore(line.rest, line.word)


def _compose(line: Line, record: Record) -> Restored:
    name, _, file = line.rest.partition(" ")
    if line.word == "absent":
        yield Place.NEW_PROJECTS, NoProject(name, file)
    else:
        yield Place.PROJECTS, Project(name, (file,), 120)


def _container(line: Line, record: Record) -> Restored:
    """A container's label says how provision made it, and the record has its image. provision can't make a container
    again that another party had made."""
    name = line.rest
    if line.word == "absent":
        yield Place.NEW_CONTAINERS, NoContainer(name)
        return
    made = any(one.kind == "made" and one.rest == name for one in record.lines)
    text = record.report.fields("made_of", name)[0] if made else ""
    image, _, label = text.partition("\n")
    if not label:
        raise Unfixable(f"the container {name} was not made by provision, and can't be recreated")
    try:
        before = spec.Container.model_validate(each(parsed(label), partial(recalled, referred=record.secrets)))
    except LookupError as error:
        (token,) = error.args
        message = f"the container {name} had the secret {token}, which this host's spec no longer refers to"
        raise Unfixable(f"{message}; it can't be recreated") from error
    except (ValueError, WireError) as error:
        raise Unfixable(
            f"the label of the container {name} is not what provision wrote; it can't be recreated"
        ) from error
    running = line.word.startswith(("running", "restarting"))
    yield Place.CONTAINERS, Container(name, before.model_copy(update={"running": running, "adopt": True}), image)


def _undeclared_file(rest: str, before: str, watchers: Watchers) -> Resource | None:
    return NoFile(rest, watchers.get(rest, ()))


def _undeclared_hold(rest: str, before: str, watchers: Watchers) -> Resource | None:
    return NoHold(rest)


def _undeclared_member(rest: str, before: str, watchers: Watchers) -> Resource | None:
    group, _, user = rest.partition(" ")
    return NoMember(user, group)


def _undeclared_sysctl(rest: str, before: str, watchers: Watchers) -> Resource | None:
    return SysctlBefore(rest, before) if before else None


def _undeclared_forward(rest: str, before: str, watchers: Watchers) -> Resource | None:
    return ForwardBefore(before) if before in ("ACCEPT", "DROP") else None


def _undeclared_container(rest: str, before: str, watchers: Watchers) -> Resource | None:
    return NoContainer(rest, labelled=True)


def _undeclared_network(rest: str, before: str, watchers: Watchers) -> Resource | None:
    return NoNetwork(rest)


def _undeclared_compose(rest: str, before: str, watchers: Watchers) -> Resource | None:
    return NoProject(rest, place(rest))


def _undeclared_boot(rest: str, before: str, watchers: Watchers) -> Resource | None:
    return NoBootService(*rest.split(" "))


def _whole(seen: str) -> str:
    return seen


def _directory(seen: str) -> str:
    """A directory's words without times and size, which change with its content. See ``base_now`` in the host's
    script."""
    kind, *fields = seen.split(":")
    return ":".join((kind, *fields[:3], *fields[4:5]))


#: Stages of keeping: files and what belongs to them, then packages and live settings, then the rest, then services.
_FILES, _SETTINGS, _OBJECTS, _SERVICES = range(4)

KINDS: Mapping[str, Kind] = {
    # What a new engine wrote to its data-root: undone last, so kept first.
    "store": Kind("keep_store", {"store": RecordLine("undo_store")}, _FILES),
    "file": Kind(
        "keep_file",
        {"file": RecordLine("undo_file", _file), "absent": RecordLine("undo_one", _new_file)},
        _FILES,
        _whole,
        {"file": Entry(_undeclared_file)},
    ),
    # The address of docker's bridge, which belongs to daemon.json.
    "bridge": Kind("keep", {"bridge": RecordLine("undo_bridge")}, _FILES),
    "package": Kind(
        "keep", {"package": RecordLine("", _package)}, _SETTINGS, entries={"hold": Entry(_undeclared_hold)}
    ),
    # A package that the run removes.
    "removed": Kind("keep", {"removed": RecordLine("undo_removed")}, _SETTINGS),
    "live": Kind(
        "keep",
        {"live": RecordLine("undo_one", _live)},
        _SETTINGS,
        entries={"sysctl": Entry(_undeclared_sysctl, live=True)},
    ),
    "forward": Kind(
        "keep",
        {"forward": RecordLine("undo_one", _forward)},
        _SETTINGS,
        entries={"forward": Entry(_undeclared_forward, live=True)},
    ),
    "hostname": Kind("keep", {"hostname": RecordLine("undo_one", _hostname)}, _SETTINGS),
    # An existing directory, and the directories that are created for a file.
    "folder": Kind(
        "keep_folder", {"owned": RecordLine("undo_owned"), "folder": RecordLine("undo_one")}, _OBJECTS, _directory
    ),
    "account": Kind(
        "keep_account",
        {"account": RecordLine("undo_account")},
        _OBJECTS,
        entries={"member": Entry(_undeclared_member)},
    ),
    "network": Kind(
        "keep_network",
        {"network": RecordLine("undo_network", _network), "id": RecordLine()},
        _OBJECTS,
        entries={"network": Entry(_undeclared_network)},
    ),
    "image": Kind(
        "keep_image",
        {"image": RecordLine("undo_image", _image), "spare": RecordLine("undo_spare")},
        _OBJECTS,
    ),
    "container": Kind(
        "keep_container",
        {"container": RecordLine("undo_container", _container), "made": RecordLine()},
        _OBJECTS,
        entries={"container": Entry(_undeclared_container)},
    ),
    "compose": Kind(
        "keep_compose",
        {"compose": RecordLine("undo_compose", _compose)},
        _OBJECTS,
        entries={"compose": Entry(_undeclared_compose)},
    ),
    "service": Kind(
        "keep_service",
        {
            "service": RecordLine("undo_service", _service),
            **dict.fromkeys(("process", "loads", "keys", "watches"), RecordLine()),
        },
        _SERVICES,
        entries={"boot": Entry(_undeclared_boot)},
    ),
}

#: First word of a record's line, and of a manifest's entry -> the registry's entry.
LINES: Mapping[str, RecordLine] = {word: line for kind in KINDS.values() for word, line in kind.lines.items()}
ENTRIES: Mapping[str, Entry] = {word: entry for kind in KINDS.values() for word, entry in kind.entries.items()}
