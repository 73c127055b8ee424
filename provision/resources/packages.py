"""Packages, all of one host together: what must be there, at which version, and what must not be.

One resource and not one per package, because they change in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from provision.lines import BLANK, lines_of, words_of
from provision.model import Call, Drift, HostReport, State
from provision.steps.packages import ABSENT, pkg_refresh, pkg_spare, pkg_transaction, pkg_whole

INSTALLED = "installed"
#: Packages that let the operator in. They are removed only where a rollback could install them again.
_ACCESS = frozenset({"openssh-server", "openssh", "dropbear", "dropbear-bin", "sudo"})


class Packages(Struct, frozen=True):
    """``present`` maps a name to its pin, or to ``None`` for any version; with ``upgrade``, the newest.

    ``lock_timeout`` is how long (seconds) a transaction waits for another package manager to finish; ``sources``
    are our own source files, whose indexes must be fresh; ``possible`` are looked at in any case: which of them a host
    wants is only known when it has said what it runs. ``repair`` finishes what an interrupted package manager left.
    ``locks`` are packages that make holding a version possible: a host that can do so without them needs none of them.
    """

    present: Mapping[str, str | None] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    upgrade: frozenset[str] = frozenset()
    lock_timeout: int = 300
    sources: tuple[str, ...] = ()
    possible: tuple[str, ...] = ()
    repair: bool = False
    locks: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return "packages:all"

    @property
    def makes(self) -> tuple[str, ...]:
        return ()

    def want(self) -> State:
        """Per package: ``installed``, the pin, or ``absent``. With an upgrade, what is wanted is ``newest``."""
        wanted = {name: pin or ("newest" if name in self.upgrade else INSTALLED) for name, pin in self.present.items()}
        return {**wanted, **dict.fromkeys(self.absent, ABSENT)}

    def look(self) -> tuple[Call, ...]:
        calls = tuple(Call("look_packages", (name,)) for name in (*self.present, *self.absent, *self.possible))
        calls = (*calls, *(Call("look_candidates", (name,)) for name in sorted(self.upgrade)))
        return (*calls, Call("look_locks")) if self.locks else calls

    def seen(self, report: HostReport) -> State:
        """What is wanted where it is so (any version, a version that the pin means, the newest); else the version."""
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
        return state

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield pkg_whole(lock_timeout=self.lock_timeout, repair=self.repair)
        yield pkg_refresh(lock_timeout=self.lock_timeout, sources=self.sources)
        for name in drift.keys:
            if drift.want[name] == ABSENT and name in _ACCESS:
                yield pkg_spare(name, version=drift.seen[name])
        yield pkg_transaction(
            lock_timeout=self.lock_timeout,
            install={name: self.present[name] for name in drift.keys if drift.want[name] != ABSENT},
            remove=[name for name in drift.keys if drift.want[name] == ABSENT],
            # What differs is seen as the version that the host has.
            before={name: drift.seen[name] for name in drift.keys},
        )


def installed(report: HostReport) -> dict[str, str]:
    """dpkg-query's ``name status version`` lines -> versions; only a package whose status is installed counts."""
    found = {}
    for line in lines_of(report.fields("packages")[0]):
        name, status, *version = words_of(line)
        if status[1:2] == "i":
            found[name] = version[0]
    return found


def statuses(report: HostReport) -> dict[str, str]:
    """Name -> dpkg's status letters (``ii``, ``hi`` for a held one); other package managers speak in them too."""
    return {words_of(line)[0]: words_of(line)[1] for line in lines_of(report.fields("packages")[0])}


def matches(version: str, pin: str) -> bool:
    """Whether ``version`` is one that ``pin`` means: the whole of it, or its beginning up to a separator, with
    or without the epoch (deb-version(7))."""
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
