"""Packages, all of one host together: what must be there, at which version, and what must not be.

One resource and not one per package, because they change in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from provision.lines import BLANK, lines_of, words_of
from provision.model import LONG, Call, Drift, HostReport, State

INSTALLED, ABSENT = "installed", "absent"
#: Packages that let the operator in. They are removed only where a rollback could install them again.
_ACCESS = frozenset({"openssh-server", "openssh", "dropbear", "dropbear-bin", "sudo"})


class Packages(Struct, frozen=True):
    """``present`` maps a name to its pin, or to ``None`` for any version; with ``upgrade``, the newest.

    ``lock_timeout`` is how long (seconds) a transaction waits for another package manager to finish; ``sources``
    are our own source files, whose indexes must be fresh; ``possible`` are looked at in any case: which of them a host
    wants is only known when it has said what it runs. ``repair`` finishes what an interrupted package manager left.
    """

    present: Mapping[str, str | None] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    upgrade: frozenset[str] = frozenset()
    lock_timeout: int = 300
    sources: tuple[str, ...] = ()
    possible: tuple[str, ...] = ()
    repair: bool = False

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
        calls = [Call("look_packages", (name,)) for name in (*self.present, *self.absent, *self.possible)]
        return (*calls, *(Call("look_candidates", (name,)) for name in sorted(self.upgrade)))

    def seen(self, report: HostReport) -> State:
        """What is wanted where it is so (any version, a version that the pin means, the newest); else the version."""
        there = installed(report)
        newest = _candidates(report.fields("candidates")[0]) if self.upgrade else {}
        state = {}
        for name, pin in self.present.items():
            version = there.get(name)
            if version is None:
                state[name] = ABSENT
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
        limit = LONG + self.lock_timeout
        yield Call("pkg_whole", (str(self.lock_timeout), "repair" if self.repair else "-"), live=True, limit=limit)
        yield Call("pkg_refresh", (str(self.lock_timeout), *self.sources), live=True, limit=limit)
        for name in drift.keys:
            if drift.want[name] == ABSENT and name in _ACCESS:
                yield Call("pkg_spare", (name, drift.seen[name]))
        words = [str(self.lock_timeout)]
        for name in drift.keys:
            action = "remove" if drift.want[name] == ABSENT else "install"
            words += [action, name, self.present.get(name) or "-"]
        yield Call("pkg_transaction", tuple(words), live=True, limit=limit)


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
