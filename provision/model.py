"""The data types that all other modules use. They are frozen, and this module imports no other module of provision.

A *State* maps text to text. A missing key means absent, and no value is ever tested for truth: a live sysctl value of
``0`` is a value.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from msgspec import Struct, field

State = Mapping[str, str]

#: The maximum size of one answer of a host, in bytes, unless its inventory sets ``provision_answer_limit``. An answer
#: holds the files that a look compares, and docker's description of each container.
ANSWER_LIMIT = 64 * 1024 * 1024


class Withheld(str):
    """A value of a state that describes a content without showing it: ``120 bytes, not shown``. It never equals a
    shown value, not even the content of a file with exactly this text."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Withheld) and str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((Withheld, str(self)))


#: Seconds without a sign of life after which the host considers a step hung: the usual limit, and the limit for steps
#: that depend on a network, a package manager or an archive.
USUAL, LONG = 180, 1800


@dataclasses.dataclass(frozen=True, slots=True)
class Login:
    """How to reach a host; ``None`` leaves the choice to ssh's configuration and its defaults.

    ``transport`` is ``ssh`` (the built-in one) or ``openssh``. ``ssh_before`` and ``ssh_behind`` are words of ssh's
    command line, before and after the port and user: ssh uses the first value of an option. ``hop`` is a jump host.

    ``password`` and ``become_password`` are left out of every representation of this object. ``answer_limit`` is the
    maximum number of bytes that the host may send in answer to one script.
    """

    address: str
    port: int | None = None
    user: str | None = None
    key_file: Path | None = None
    known_hosts: Path | None = None
    ssh_before: tuple[str, ...] = ()
    ssh_behind: tuple[str, ...] = ()
    transport: str = "ssh"
    hop: bool = False
    password: str | None = dataclasses.field(default=None, repr=False)
    become: bool = False
    become_user: str = "root"
    become_method: str = "sudo"
    become_password: str | None = dataclasses.field(default=None, repr=False)
    answer_limit: int = ANSWER_LIMIT


class Host(Struct, frozen=True):
    """A name of the inventory, its groups (all of them, in Ansible's order) and how to reach it."""

    name: str
    groups: tuple[str, ...]
    login: Login


class Salt(Struct, frozen=True):
    """The key of a run's hashes. A ``stored`` salt is written to a plan file, where a reader could try short passwords
    against a hash: so each hash is made expensive to compute. The salt of any other run stays in memory."""

    text: str = ""
    stored: bool = False


class Platform(Struct, frozen=True):
    """A host's report about itself: the values of ``os-release``, the machine's architecture, and the family of
    package and service manager. The fields from ``docker`` on come from the table of distributions."""

    id: str
    version: str
    codename: str
    architecture: str
    family: str
    name: str = ""
    #: the directory of Docker's packages below ``linux/``; empty where Docker publishes none
    docker: str = ""
    #: the suite of Docker's packages in it (apt)
    suite: str = ""
    #: the part of the version that names a release with separate packages, or the codename where no version is known
    release: str = ""
    #: the key in ``engines`` for the packages of the distribution's own engine; empty where it has none
    engine: str = ""
    #: packages that must be installed before the engine's
    needs: tuple[str, ...] = ()
    #: the day (ISO 8601) on which its security support ends; empty when that is not known
    support_ends: str = ""
    #: the known distribution that it is treated as, where the project's ``distributions.yml`` declares one
    like: str = ""


class Risk(enum.Enum):
    """The risk that a step locks the operator out of a host. A step that is not known to be harmless may do so.

    After a step with ``NONE``, a new login shows that logins still work. ``PROVEN`` needs no login: the step changes
    only what provision itself reads, or what one program loads and confirms with an event.
    """

    PROVEN = "proven"
    NONE = "none"
    CUT_OFF = "cut off"


#: The effect of a change on running services and containers, from least to most: ``stop`` ends containers.
LEVELS = ("none", "reload", "restart", "stop", "reboot")


class Impact(Struct, frozen=True):
    """``level`` is one of :data:`LEVELS`; ``subject`` the resource that causes it (empty in a :class:`Call`, which
    does not know its resource); ``reason`` is text for people."""

    level: str
    subject: str
    reason: str


class Written(Struct, frozen=True):
    """A file whose content a step replaces: its text after the step (in UTF-8, other bytes by surrogateescape), or
    ``None`` where the step removes the file. ``data`` is what a text in JSON means, where that is known."""

    path: str
    content: str | None
    data: Mapping[str, Any] | None = None


class Loading(Struct, frozen=True):
    """How a service loads the files that it watches: by ``verb`` in this step, by ``undo`` after a rollback.

    ``before`` says whether its process had loaded them before the change (``current`` or ``stale``). ``undo_keys`` are
    the keys that need a restart in a rollback. ``live`` says whether the old file has docker's live-restore.
    ``bridge`` names changed keys of docker's bridge; a daemon ignores them while containers run under live-restore.
    ``ran`` says whether the service ran before the change. ``proven`` says that no login depends on what is loaded, and
    that the service reports when it has loaded it.
    """

    unit: str
    watched: str
    verb: str
    undo: str = "restart"
    before: str = "current"
    undo_keys: str = ""
    live: bool = False
    bridge: str = ""
    ran: bool = False
    proven: bool = False


class Effect(Struct, frozen=True):
    """How a running service loads the change of some watched files (``verb``) and why; ``undo`` and ``undo_why`` are
    the same for a rollback.

    ``live`` says whether the old file has docker's live-restore. ``bridge`` are changed keys of docker's bridge; a
    daemon ignores them while containers run under live-restore. ``proven`` is the same as in :class:`Loading`.
    """

    verb: str
    why: str = ""
    undo: str = "restart"
    undo_why: str = ""
    live: bool = False
    bridge: tuple[str, ...] = ()
    proven: bool = False


class Kept(NamedTuple):
    """An item that the host must keep to undo a step: a kind that a resource declares, a key and a value."""

    kind: str
    key: str
    value: str = ""


class Call(Struct, frozen=True):
    """A shell function of provision and its arguments. The call of a look has nothing else. The constructors of
    :mod:`provision.steps` make the steps of a change, and set all that other modules must know about a step. No other
    module reads the function's name or the position of an argument. Only ``script`` turns a call into text.

    What it is:
        ``title`` says what is done, for people, and shows no secret. ``live`` functions report while they run (waiting
        for a lock). ``late`` arguments, the last ones, may be unknown until the step runs: an approved plan does not
        fix them. ``private`` are the positions of arguments that only some users of the host may read: a plan
        file has their keyed hash. ``limit`` is the number of seconds that it may run without a sign of life. After
        that the host considers it hung, and rolls back what is risky.
    What it does:
        ``risk`` says whether it may lock the operator out. ``touches`` are the paths and units by which a spec can
        declare it risky. ``impact`` is its effect on running services and containers. ``writes`` is a file whose
        content it replaces; ``watchers`` are the services that watch that file. ``disturbs`` are services that it
        starts, stops, restarts or reloads. ``engine`` says that it makes docker start (``start``), load its
        files (``load``) or restart for its bridge (``bridge``), or that a package's scripts do so (``package``).
        ``loading`` says how a service loads its files. ``renews`` are other resources whose state it can change, for
        the resources that come after it.
    What it takes:
        ``keeps`` is what the host must keep to undo it. ``sends`` is what must be on the host before it starts.
        ``pulls`` are images that it may fetch from registries.
    """

    function: str
    args: tuple[str, ...] = ()
    title: str = ""
    risk: Risk = Risk.CUT_OFF
    touches: tuple[str, ...] = ()
    impact: Impact | None = None
    writes: Written | None = None
    watchers: tuple[str, ...] = ()
    disturbs: tuple[str, ...] = ()
    engine: Literal["", "start", "load", "bridge", "package"] = ""
    loading: Loading | None = None
    renews: tuple[str, ...] = ()
    keeps: tuple[Kept, ...] = ()
    live: bool = False
    late: int = 0
    sends: tuple[Blob, ...] = ()
    pulls: tuple[str, ...] = ()
    private: tuple[int, ...] = ()
    limit: int = USUAL

    @property
    def replaces(self) -> tuple[str, ...]:
        """Paths that it may overwrite or remove."""
        return tuple(one.key for one in self.keeps if one.kind == "file")

    @property
    def settled(self) -> tuple[str, ...]:
        """The arguments that are known when the plan is made."""
        return self.args[: len(self.args) - self.late]


class Blob(Protocol):
    """Data that is sent to a host apart from a script (:mod:`provision.remote.uploads`); ``name`` is the hash of its
    content."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def spares(self) -> tuple[str, ...]:
        """Ids of images: a host that has one of them does not need the blob."""

    def packed(self) -> Packed:
        """The bytes that are sent, checked against ``name``. Raises :class:`Changed`."""


class Packed(Struct, frozen=True):
    """A file to send: its size in bytes and its SHA-256. The host checks both when all of it has arrived."""

    path: Path
    size: int
    sha256: str


class Changed(Exception):
    """A file or directory on the controller has changed since the plan was made."""


class HostReport(Protocol):
    """The report of a look: fields by kind and key. Raises ``KeyError`` for what no look has read."""

    @property
    def salt(self) -> Salt:
        """The key of the hashes that stand for what is not shown (:mod:`provision.secrets.disclosure`)."""

    @property
    def pending(self) -> frozenset[str]:
        """Paths that earlier resources of the same plan replace, and what else those resources renew."""

    def fields(self, kind: str, key: str = "") -> tuple[str, ...]: ...

    def get(self, kind: str, key: str = "") -> tuple[str, ...] | None: ...

    def all(self, kind: str) -> Mapping[str, tuple[str, ...]]: ...

    def content(self, path: str) -> bytes | None:
        """The bytes of a regular file of at most 64 KiB."""


class Drift(Struct, frozen=True):
    """Where a resource is not in the desired state: ``keys`` are those whose actual and desired values differ."""

    want: State
    seen: State
    keys: tuple[str, ...]

    def __contains__(self, key: str) -> bool:
        return key in self.keys


class Resource(Protocol):
    """One thing that a host should have. Small and frozen; most derive from :class:`provision.resources.base.Base`.

    ``id`` is ``kind:name``, unique on a host. ``makes`` are the manifest entries that a fix leaves on the host, so that
    a later run can remove what is no longer declared. ``place`` says where it is among those of a rollback, or among
    those that remove such objects (:class:`provision.resources.declaration.Place`).
    """

    @property
    def id(self) -> str: ...

    @property
    def makes(self) -> tuple[str, ...]: ...

    @property
    def place(self) -> int: ...

    def want(self) -> State:
        """The state as declared."""

    def look(self) -> tuple[Call, ...]:
        """The calls that read its state. Calls of one function are merged into one: each takes any number of items."""

    def seen(self, report: HostReport) -> State:
        """The state as the look found it; may hold further keys that a fix needs."""

    def fix(self, drift: Drift) -> Iterator[Call]:
        """The steps from the actual state to the desired one, in order."""


class Change(Struct, frozen=True):
    """The drift of one resource, and the steps that correct it."""

    resource: str
    drift: Drift
    calls: tuple[Call, ...]


class Plan(Struct, frozen=True):
    """All that would change on one host, in the order of the steps, and the effect on running services and containers.

    ``entry`` is the form in which it is approved (:mod:`provision.planning.planfile`). Only a plan that another machine
    or process has made has one: the plan's secrets have values only there.
    """

    host: str
    platform: Platform
    changes: tuple[Change, ...] = ()
    impacts: tuple[Impact, ...] = ()
    #: what a rollback of it does to running services and containers, where that is more than the plan itself does
    rollback_impacts: tuple[Impact, ...] = ()
    entry: Mapping[str, Any] | None = None

    @property
    def impact(self) -> str:
        """The highest level of all its impacts."""
        return max((one.level for one in self.impacts), key=LEVELS.index, default="none")


class Failure(Struct, frozen=True):
    """Why a host failed. ``kind`` is one word of :data:`FAILURES`; ``message`` is for people.

    ``detail`` is what the failing program printed. ``done`` and ``undone`` are steps, in order, by their names for
    programs; the ``_titles`` are the same for people. ``rolled_back`` says that the host has rolled back the change,
    and ``left`` what is not as it was before the run (``None`` if the host did not report that).
    """

    kind: str
    message: str
    step: str = ""
    detail: str = ""
    done: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
    rolled_back: bool = False
    title: str = ""
    done_titles: tuple[str, ...] = ()
    undone_titles: tuple[str, ...] = ()
    left: tuple[str, ...] | None = None


#: How a host's run can end, in the order in which the summary counts them.
STATUSES = ("ok", "changed", "failed", "unreachable", "rolled_back", "skipped")

FAILURES = {
    "unreachable": "no connection could be made",
    "host_key": "the host's key is unknown, or differs from the key in known_hosts",
    "auth": "the host refused every login method",
    "become": "the login is not root, and sudo (su, doas) did not make it root",
    "timeout": "the host's deadline passed",
    "disconnected": "the connection was lost during an answer",
    "protocol": "the answer does not come from a script of provision",
    "unsupported": "the host's distribution is not supported",
    "look": "the host's state could not be read",
    "step": "a step of the change failed",
    "locked": "another run works on this host",
    "drifted": "the host, its spec, a secret or a file to send has changed since the plan was made",
    "record": "the host cannot store the data for a rollback; nothing was done",
    "unconfirmed": "the controller could not log in again after the change",
    "left": "Ctrl-C was pressed twice; the host itself finishes the change or rolls it back",
    "interrupted": "the change was interrupted (killed, or a power cut), and the host rolled it back",
    "unhealthy": "docker did not keep running, a container did not start again, or a mirror's name did not resolve",
    "drift": "every step succeeded, but the host is not in the desired state",
    "spec": "the spec can't be applied to this host",
    "unsuited": "the host lacks what an engine needs",
    "impact": "the impact of the change is higher than --max-impact allows",
    "hook": "the play's command after the host failed",
    "verify": "a check found that the host differs from the spec",
    "worker": "the worker of the cluster that processed the host failed",
    "internal": "an internal error of provision",
}


class Event(Struct, frozen=True):
    """Something that happened in a run: a dotted name, the host it is about (or ``""``), and its data."""

    name: str
    host: str = ""
    data: Mapping[str, object] = field(default_factory=dict)
