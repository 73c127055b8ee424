"""One host's part of a run: the steps of its plan, what is risky about them, and what the host needs to undo them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from secrets import token_hex

from msgspec import Struct

from provision.distros import daemons
from provision.lines import lines_of, words_of
from provision.model import Call, Change, Plan, Report

#: Files that a wrong word in can cut a host off, or take its containers away.
RISKY_FILES = (
    "/etc/docker/daemon.json",
    "/etc/systemd/system/docker.service.d/",
    "/etc/containerd/config.toml",
    "/etc/firewalld/",
    "/etc/network",
    "/etc/netplan/",
    "/etc/sysconfig/network",
    "/etc/ssh/",
)
#: Services whose restart moves interfaces, routes or rules.
_RISKY_UNITS = frozenset(
    {"docker", "containerd", "firewalld", "network", "networking", "systemd-networkd", "ssh", "sshd"}
)
#: What takes a container away that serves, or moves networks.
_RISKY_OBJECTS = ("container_", "network_", "compose_")
_ENGINE = "docker"


class Step(Struct, frozen=True):
    """``risky`` steps are put back by the host itself unless somebody who came in anew confirms them."""

    resource: str
    call: Call
    risky: bool = False

    @property
    def name(self) -> str:
        return f"{self.resource} {self.call.function}"


class Work(Struct, frozen=True):
    """``base`` is what the plan was made on and ``keep`` what must be kept to undo it: (kind, key, value) each.
    ``confirm_within`` is in seconds."""

    run: str
    plan: Plan
    steps: tuple[Step, ...]
    base: tuple[tuple[str, str, str], ...]
    keep: tuple[tuple[str, str, str], ...]
    confirm_within: int = 60
    #: what the engine must show after it was disturbed: seconds that it stays, and names that resolve
    health: tuple[str, ...] = ("0",)
    #: the tokens that the host's own configuration refers to: no other is sent to it
    secrets: frozenset[str] = frozenset()

    @property
    def risky(self) -> bool:
        return any(step.risky for step in self.steps)

    @property
    def disturbs_engine(self) -> bool:
        """Whether a step (re)starts or reloads docker, so that its containers are to be counted before and after."""
        return _disturbs_engine(self.plan.changes, self.steps)


def new_run() -> str:
    """A name for a run: when it began (UTC), and a word that makes it unique. In order of time when sorted."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{token_hex(4)}"


def work(
    run: str,
    plan: Plan,
    report: Report,
    remember: Sequence[Call] = (),
    forget: Sequence[Call] = (),
    risky: Iterable[str] = (),
    confirm_within: int = 60,
    health: tuple[str, ...] = ("0",),
    secrets: frozenset[str] = frozenset(),
    data_root: str = "",
) -> Work:
    """What is about to be made is remembered before it is made, and forgotten only after it is gone: a run that dies
    in between loses nothing. ``risky`` are further paths and units that the spec calls so; ``data_root`` is where the
    engine of the spec keeps its data."""
    more = tuple(risky)
    steps = (
        *(Step("manifest", call) for call in remember),
        *(Step(change.resource, call, _risky(call, more)) for change in plan.changes for call in change.calls),
        *(Step("manifest", call) for call in forget),
    )
    base, keep = tuple(_base(steps, report)), tuple(_keep(plan.changes, steps, report))
    if data_root and _disturbs_engine(plan.changes, steps):
        # First, so that it is undone last: docker must not start by its new files again.
        keep = (("store", data_root, ""), *keep)
    return Work(run, plan, steps, base, keep, confirm_within, health, secrets)


def _disturbs_engine(changes: tuple[Change, ...], steps: tuple[Step, ...]) -> bool:
    """A package's own scripts restart the daemon that it brings, without a step for it."""
    if any(step.call.function in ("svc_settle", "svc_start") and step.call.args[:1] == (_ENGINE,) for step in steps):
        return True
    return any(change.resource == "packages:all" and not daemons().isdisjoint(change.drift.keys) for change in changes)


def _risky(call: Call, more: tuple[str, ...]) -> bool:
    if any(path.startswith((*RISKY_FILES, *more)) for path in call.replaces):
        return True
    # At the next boot it would be live, whether or not somebody has confirmed it by then.
    if call.function == "put_file" and call.args[0].startswith("/etc/sysctl.d/") and "\nnet." in f"\n{call.args[5]}":
        return True
    if call.function == "sysctl_set":
        return call.args[0].startswith("net/")
    if call.function in ("svc_settle", "svc_start", "svc_stop"):
        return call.args[0] in _RISKY_UNITS or call.args[0] in more
    return call.function == "forward_set" or call.function.startswith(_RISKY_OBJECTS)


def _base(steps: tuple[Step, ...], report: Report) -> Iterator[tuple[str, str, str]]:
    """The files that are to be replaced, and the directories that get another owner or mode, as the look saw them."""
    for path in _replaced(steps):
        seen = report.get("file", path)
        if seen is not None:
            yield "file", path, seen[0]
    for kind, path, _ in dict.fromkeys(kept for step in steps for kept in step.call.keeps):
        seen = report.get("file", path) if kind == "folder" else None
        if seen is not None:
            yield "folder", path, _identity(seen[0])


def _identity(seen: str) -> str:
    """A directory without what changes with what is in it: times and size. See ``base_now`` in the host's script."""
    kind, *fields = seen.split(":")
    return ":".join((kind, *fields[:3], *fields[4:5]))


def _replaced(steps: tuple[Step, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for step in steps for path in step.call.replaces))


def _versions(report: Report) -> dict[str, str]:
    """Installed packages, from dpkg-query's ``name status version`` (every package manager's look speaks so)."""
    lines = lines_of((report.get("packages") or ("",))[0])
    return {words_of(line)[0]: words_of(line)[2] for line in lines if words_of(line)[1][1:2] == "i"}


def _keep(changes: tuple[Change, ...], steps: tuple[Step, ...], report: Report) -> Iterator[tuple[str, str, str]]:
    for path in _replaced(steps):
        yield "file", path, ""
        if path == "/etc/docker/daemon.json":
            yield "bridge", "docker0", ""
    versions = _versions(report)
    for change in changes:
        seen = change.drift.seen
        if change.resource == "packages:all":
            yield from (("package", name, versions.get(name, "absent")) for name in change.drift.keys)
        for call in change.calls:
            if call.function == "sysctl_set" and "live" in seen:
                yield "live", call.args[0], seen["live"]
            elif call.function == "forward_set" and seen.get("ipv4") in ("ACCEPT", "DROP"):
                yield "forward", seen["ipv4"], "-"
            elif call.function == "hostname_set":
                yield "hostname", seen["live"], "-"
    yield from dict.fromkeys(kept for step in steps for kept in step.call.keeps)
    units = dict.fromkeys(unit for step in steps for unit in _units(step.call))
    yield from (("service", unit, "") for unit in units)


def _units(call: Call) -> tuple[str, ...]:
    """The services that a step changes the state of: those that are put back after everything else."""
    if call.function in ("svc_enable", "svc_disable", "svc_start", "svc_stop"):
        return call.args[:1]
    return call.disturbs if call.function == "svc_settle" else ()
