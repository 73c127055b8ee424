"""A kernel setting: its live value, and the value that the drop-in files would give at the next boot."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping

from msgspec import Struct

from provision.lines import BLANK, lines_of, words_of
from provision.model import Call, Drift, HostReport, Kept, State
from provision.remote.frames import GREP, rows
from provision.resources import declaration as d
from provision.resources.base import Base
from provision.resources.obstacle import Unfixable


def sysctl_set(path: str, *, value: str, before: str | None) -> Call:
    """``path`` is below /proc/sys; ``before`` is the live value (``None``: not known, so no rollback restores it)."""
    return Call(
        "sysctl_set",
        (path, value),
        title=f"set the kernel setting {path} to {value}",
        keeps=(Kept("live", path, before),) if before is not None else (),
    )


class Setting(Base, frozen=True):
    kind = "sysctl"
    place = d.Place.SETTINGS

    key: str
    value: str

    def look(self) -> tuple[Call, ...]:
        return (Call("look_sysctls", (as_path(self.key),)),)


class Sysctl(Setting, frozen=True):
    """``dropin`` is the file of provision that sets it at boot (a separate :class:`~provision.resources.file.File`).
    ``declared`` are the files that the spec itself writes or removes, and the drop-ins of the host's own plays: the
    plan changes what they set. A drop-in of any other play stays, so its value must be the same."""

    entry = "sysctl"

    dropin: str
    declared: frozenset[str] = frozenset()

    def want(self) -> State:
        return {"live": self.value, "boot": self.value}

    def seen(self, report: HostReport) -> State:
        live = _live(report, self.key)
        state = {} if live is None else {"live": live}
        planned = (self.dropin, self.value) if self.dropin in report.pending else None
        found = at_boot(as_path(self.key), *_files(report), planned)
        if found is not None:
            value, place = found
            state["boot"] = value if value == self.value else f"{value} (set by {place})"
            state["later"] = place if value != self.value and self._wins(place, report) else ""
        if rival := self._rival(report):
            value, place = rival
            state |= {"boot": f"{value} (set by {place})", "later": place, "play": _play(place, report)}
        return state

    def fix(self, drift: Drift) -> Iterator[Call]:
        """Raises :class:`Unfixable` where a later third-party file wins: no file of provision can change that."""
        if "boot" in drift and (place := drift.seen.get("later")):
            path = place.rpartition(":")[0]
            if play := drift.seen.get("play"):
                raise Unfixable(
                    f"{self.key} has two values on this host: the play {play!r} has set it too ({place}), and is not"
                    f" in this playbook. Declare it in one of the plays only. If that play has a new name now, or no"
                    f" longer exists, apply a play named {play!r} with an empty spec once: it removes what it made"
                )
            raise Unfixable(
                f"{place} sets {self.key} to another value at boot, and is read after {self.dropin}; remove that line,"
                f" or declare the file: spec.files {{{path}: {{absent: true}}}}, or with other content"
            )
        if "live" in drift:
            yield sysctl_set(as_path(self.key), value=self.value, before=drift.seen.get("live"))

    def _rival(self, report: HostReport) -> tuple[str, str] | None:
        """Another value in the drop-in of a play that this run does not have, and its place."""
        names, lines = _files(report)
        for name in names:
            if name.startswith(_OWN) and name not in self.declared:
                found = at_boot(as_path(self.key), [name], lines)
                if found is not None and found[0] != self.value:
                    return found
        return None

    def _wins(self, place: str, report: HostReport) -> bool:
        """True if the file at ``place`` overrides provision's drop-in, which exists or is in the plan."""
        path = place.rpartition(":")[0]
        names, _ = _files(report)
        declared_here = self.dropin in names or self.dropin in report.pending
        return declared_here and path not in self.declared


class SysctlElsewhere(Struct, frozen=True):
    """A condition: the host's own files already give every one of ``settings`` at boot."""

    settings: Mapping[str, str]

    @property
    def look(self) -> Call:
        return Call("look_sysctls")

    def __call__(self, report: HostReport) -> bool:
        names, lines = _files(report)
        found = {key: at_boot(as_path(key), names, lines) for key in self.settings}
        return all(place is not None and place[0] == self.settings[key] for key, place in found.items())


class SysctlBefore(Setting, frozen=True):
    """A setting that a play made and no longer declares: its live value is restored."""

    def want(self) -> State:
        return {"live": self.value}

    def seen(self, report: HostReport) -> State:
        # Where this look has not read it (it is not declared), provision still has to restore it.
        live = None if report.get("sysctls") is None else _live(report, self.key)
        return {} if live is None else {"live": live}

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield sysctl_set(as_path(self.key), value=self.value, before=drift.seen.get("live"))


_PROC = "/proc/sys/"
#: The beginning of the path of each drop-in of provision.
_OWN = "/etc/sysctl.d/99-zz-provision-"


def _play(place: str, report: HostReport) -> str:
    """The name of the play whose drop-in it is, as the host records it; the name of the record where it has none."""
    slug = place.rpartition(":")[0].removeprefix(_OWN).removesuffix(".conf")
    text = (report.get("manifest", slug) or ("",))[0]
    return next((line.removeprefix("play ") for line in lines_of(text) if line.startswith("play ")), slug)


def _live(report: HostReport, key: str) -> str | None:
    """The live value with its blanks folded; ``None`` for a setting that this kernel does not have."""
    names, lines = report.fields("sysctls")
    path = _PROC + as_path(key)
    if path not in lines_of(names):
        return None
    found = [line.removeprefix(f"{path}:").partition(":")[2] for line in lines_of(lines) if line.startswith(f"{path}:")]
    return " ".join(words_of(" ".join(found)))


def _files(report: HostReport) -> tuple[list[str], list[str]]:
    """The drop-in files and their lines, without the live values that the same look reports."""
    names, lines = report.fields("sysctls")
    return (
        [name for name in lines_of(names) if not name.startswith(_PROC)],
        [line for line in lines_of(lines) if not line.startswith(_PROC)],
    )


def as_path(key: str) -> str:
    """``net.ipv4.conf.eth0/100.forwarding`` -> its path below /proc/sys. The character that comes first, dot or slash,
    separates the names (sysctl.d(5)). Where that is the dot, a slash stands for a dot in a name."""
    dot, slash = key.find("."), key.find("/")
    if slash == -1 or (dot != -1 and dot < slash):
        return key.translate(str.maketrans("./", "/."))
    return key


def at_boot(
    path: str, names: list[str], lines: list[str], planned: tuple[str, str] | None = None
) -> tuple[str, str] | None:
    """The value that the boot gives to ``path``, and the ``file:line`` that sets it (sysctl.d(5)).

    ``names`` are the files that exist; those in the directory with the highest priority come first. ``lines`` are
    ``file:number:text``. Of two files with the same name, the first one counts. Files are read in the order of their
    names, and the last setting wins. A setting by name has priority over one by pattern. ``planned`` is a file of
    provision with its new value.
    """
    counted: dict[str, str] = {}
    for name in [*names, *([planned[0]] if planned else [])]:
        counted.setdefault(name.rpartition("/")[2], name)
    settings: dict[str, list[tuple[str, str, str]]] = {}
    for found in rows("\n".join(lines), GREP, "one of a file of settings"):
        file, number, text = found.groups()
        key, separator, value = text.strip(BLANK).partition("=")
        if separator:
            settings.setdefault(file, []).append(
                (key.strip(BLANK).lstrip("-").strip(BLANK), " ".join(words_of(value)), f"{file}:{number}")
            )
    exact: tuple[str, str] | None = None
    by_pattern: tuple[str, str] | None = None
    for name in sorted(counted):
        file = counted[name]
        if planned and file == planned[0]:
            exact = (planned[1], file)
            continue
        for key, value, place in settings.get(file, []):
            if as_path(key) == path:
                exact = (value, place)
            elif any(character in key for character in "*?[") and fnmatch.fnmatchcase(path, as_path(key)):
                by_pattern = (value, place)
    return exact or by_pattern


_LINE = d.RecordLine("undo_live", lambda line, record: [SysctlBefore(line.word, line.rest)])
DECLARATION = d.Declaration(
    kinds={"live": d.Kind("keep", {"live": _LINE}, d.Stage.SETTINGS)},
    entries={
        "sysctl": d.Entry(lambda rest, before, watchers: SysctlBefore(rest, before) if before else None, live=True)
    },
)
