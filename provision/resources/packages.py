"""All packages of one host together: which must be installed, at which version, and which must be absent.

One resource and not one per package, because they change in one transaction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from msgspec import field

from provision.distros import daemons
from provision.engine.daemon_json import UNIT
from provision.lines import BLANK, lines_of
from provision.model import Call, Drift, HostReport, State
from provision.remote.frames import PACKAGE, rows
from provision.resources import declaration as d
from provision.resources.base import Base
from provision.resources.obstacle import Unfixable
from provision.resources.service import masked, unstartable
from provision.steps.packages import ABSENT, pkg_refresh, pkg_spare, pkg_transaction, pkg_whole

INSTALLED = "installed"
#: Packages that the operator needs to log in or to become root. They are removed only where a rollback could install
#: them again.
_ACCESS = frozenset({"openssh-server", "openssh", "dropbear", "dropbear-bin", "sudo"})


class Packages(Base, frozen=True):
    """``present`` maps a name to its pin, or to ``None`` for any version. A name in ``upgrade`` gets the newest one.

    ``lock_timeout`` is how long (seconds) a transaction waits for another package manager to finish. ``sources`` are
    the source files of provision, whose indexes must be fresh. A look always reads ``possible``: provision knows which
    of them the host needs only when the host has reported its platform. ``repair`` finishes what an interrupted package
    manager left. ``locks`` are packages that make it possible to hold a version: a host that can do this without them
    does not need them. ``programs`` are those of the engine's services (``watchers``), where packages restart no
    service.
    """

    present: Mapping[str, str | None] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    upgrade: frozenset[str] = frozenset()
    lock_timeout: int = 300
    sources: tuple[str, ...] = ()
    possible: tuple[str, ...] = ()
    repair: bool = False
    locks: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    watchers: tuple[str, ...] = ()

    kind = "packages"
    place = d.Place.PACKAGES
    name = "all"

    def want(self) -> State:
        """Per package: ``installed``, the pin, ``newest`` (with an upgrade), or ``absent``."""
        wanted = {name: pin or ("newest" if name in self.upgrade else INSTALLED) for name, pin in self.present.items()}
        return {**wanted, **dict.fromkeys(self.absent, ABSENT)}

    def look(self) -> tuple[Call, ...]:
        calls = tuple(Call("look_packages", (name,)) for name in (*self.present, *self.absent, *self.possible))
        calls = (*calls, *(Call("look_candidates", (name,)) for name in sorted(self.upgrade)))
        return (*calls, Call("look_locks")) if self.locks else calls

    def seen(self, report: HostReport) -> State:
        """The desired value where the host has it (any version, one that the pin means, the newest); else the version
        that the host has."""
        there = installed(report)
        newest = _candidates(report.fields("candidates")[0]) if self.upgrade else {}
        state = {}
        for name, pin in self.present.items():
            version = there.get(name)
            if version is None:
                needless = name in self.locks and report.fields("locks") == ("work",)
                state[name] = INSTALLED if needless else ABSENT
            elif pin is not None:
                state[name] = pin if matches(version, pin) else version
            elif name in self.upgrade:
                state[name] = version if newest.get(name, version) != version else "newest"
            else:
                state[name] = INSTALLED
        for name in self.absent:
            state[name] = there.get(name, ABSENT)
        # No package has such a name.
        return {**state, "docker masked": masked(report, UNIT)}

    def fix(self, drift: Drift) -> Iterator[Call]:
        if (names := drift.seen.get("docker masked")) and not daemons().isdisjoint(drift.keys):
            raise Unfixable(unstartable(UNIT, names))
        yield pkg_whole(lock_timeout=self.lock_timeout, repair=self.repair)
        yield pkg_refresh(lock_timeout=self.lock_timeout, sources=self.sources)
        for name in drift.keys:
            if drift.want[name] == ABSENT and name in _ACCESS:
                yield pkg_spare(name, version=drift.seen[name])
        yield pkg_transaction(
            lock_timeout=self.lock_timeout,
            install={name: self.present[name] for name in drift.keys if drift.want[name] != ABSENT},
            remove=[name for name in drift.keys if drift.want[name] == ABSENT],
            # For a package that differs, the state has the version that is installed.
            before={name: drift.seen[name] for name in drift.keys},
            programs=self.programs,
            watchers=self.watchers,
        )


def installed(report: HostReport) -> dict[str, str]:
    """dpkg-query's ``name status version`` lines -> versions; only a package whose status is installed counts."""
    found = {}
    for line in _listed(report):
        if line[2][1:2] == "i":
            found[line[1]] = line[3]
    return found


def _listed(report: HostReport) -> Iterator[re.Match[str]]:
    return rows(report.fields("packages")[0], PACKAGE, "dpkg-query's name, status and version")


def statuses(report: HostReport) -> dict[str, str]:
    """Name -> dpkg's status letters (``ii``, ``hi`` for a held one). Looks of other package managers use them too."""
    return {line[1]: line[2] for line in _listed(report)}


def matches(version: str, pin: str) -> bool:
    """True if ``pin`` means ``version``: it is the whole version, or its beginning up to a separator, with or without
    the epoch (deb-version(7))."""
    for candidate in (version, version.partition(":")[2] or version):
        if candidate == pin or (candidate.startswith(pin) and candidate[len(pin)] in "-.+~"):
            return True
    return False


def _candidates(policy: str) -> dict[str, str]:
    """apt-cache policy -> the newest version by package."""
    found, name = {}, ""
    for line in lines_of(policy):
        if line and not line[0].isspace():
            name = line.rstrip(":")
        elif line.strip(BLANK).startswith("Candidate:"):
            version = line.split(":", 1)[1].strip(BLANK)
            if version != "(none)":
                found[name] = version
    return found


def _restored(line: d.Line, record: d.Record) -> d.Restored:
    """All packages change in one transaction: the first line represents all of them."""
    versions = record.versions
    if line.word == next(iter(versions), None):
        declared = next((one for one in record.desired if isinstance(one, Packages)), Packages())
        yield Packages(
            versions, lock_timeout=record.lock_timeout, programs=declared.programs, watchers=declared.watchers
        )


_LINE = d.RecordLine(
    before=_restored,
    stays=lambda line, report: f"package {line.word}, which the run installed" if line.rest == ABSENT else "",
)
DECLARATION = d.Declaration(
    kinds={
        "package": d.Kind("keep", {"package": _LINE}, d.Stage.SETTINGS),
        # A package that the run removes.
        "removed": d.Kind("keep", {"removed": d.RecordLine("undo_removed")}, d.Stage.SETTINGS),
    }
)
