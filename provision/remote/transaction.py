"""One host's part of a run: the steps of its plan, what is risky about them, and what the host needs to undo them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from secrets import token_hex

from msgspec import Struct

from provision.distros import daemons, engine_packages
from provision.lines import lines_of, words_of
from provision.model import Call, Change, HostReport, Plan

#: Files whose content shuts no login out, no sudo, and takes no route away. Everything else may.
HARMLESS_FILES = (
    # Shown at a login, by programs that go on without them (pam_motd(8), getty(8)).
    "/etc/motd",
    "/etc/issue",
    # Read by a package manager when it is asked to do something, and by nothing that a login runs.
    "/etc/apt/sources.list.d/",
    "/etc/apt/keyrings/",
    "/etc/yum.repos.d/",
    "/etc/pki/rpm-gpg/",
    "/etc/zypp/repos.d/",
    "/etc/apk/keys/",
    # Read by dockerd at a pull or a push (docs.docker.com/engine/security/certificates).
    "/etc/docker/certs.d/",
    # provision's own: manifests, and compose files, which do nothing until `docker compose up`.
    "/var/lib/provision/",
)
#: Steps that start nothing, stop nothing, and change nothing that a login, sudo or a route depends on.
HARMLESS_STEPS = frozenset(
    {
        # Only read, ask or note something.
        "daemon_check",
        "daemon_check_content",
        "bridge_free",
        "containers_return",
        "port_wait",
        "svc_mark",
        # The package manager's indexes and locks; what a dpkg that was interrupted has left is another matter.
        "pkg_refresh",
        "pkg_spare",
        "pkg_hold",
        "key_fetch",
        # A group without members.
        "group_ensure",
        # Bytes in docker's store; what runs of them is a step of its own.
        "image_pull",
        "image_push",
        "image_load",
        "image_build",
        "image_tag",
        "image_remove",
        "volume_put",
    }
)
_WRITES = frozenset({"put_file", "own_file", "remove_file", "folder_put"})
_ENGINE = "docker"


class Step(Struct, frozen=True):
    """``risky`` steps are rolled back by the host itself unless a new login confirms the change."""

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
    report: HostReport,
    remember: Sequence[Call] = (),
    forget: Sequence[Call] = (),
    risky: Iterable[str] = (),
    confirm_within: int = 60,
    health: tuple[str, ...] = ("0",),
    max_impact: str | None = None,
    secrets: frozenset[str] = frozenset(),
    data_root: str = "",
) -> Work:
    """What is about to be made is remembered before it is made, and forgotten only after it is gone: a run that dies
    in between loses nothing. ``risky`` are further paths and units that the spec calls so; ``max_impact`` is the most
    that a rollback may do to what runs; ``data_root`` is where the engine of the spec keeps its data."""
    more = tuple(risky)
    steps = (
        *(Step("manifest", call) for call in remember),
        *(Step(change.resource, call, _risky(call, more)) for change in plan.changes for call in change.calls),
        *(Step("manifest", call) for call in forget),
    )
    base, keep = tuple(_base(steps, report)), tuple(_keep(plan.changes, steps, report, max_impact))
    if data_root and _disturbs_engine(plan.changes, steps):
        # First, so that it is undone last: docker must not start by its new files again.
        keep = (("store", data_root, ""), *keep)
    return Work(run, plan, steps, base, keep, confirm_within, health, secrets)


def _disturbs_engine(changes: tuple[Change, ...], steps: tuple[Step, ...]) -> bool:
    """A package's own scripts restart the daemon that it brings, without a step for it."""
    verbs = ("svc_settle", "svc_start", "bridge_settle")
    if any(step.call.function in verbs and step.call.args[:1] == (_ENGINE,) for step in steps):
        return True
    return any(change.resource == "packages:all" and not daemons().isdisjoint(change.drift.keys) for change in changes)


def _risky(call: Call, more: tuple[str, ...]) -> bool:
    """Whether a step may shut the operator out: every step that is not known to be harmless. ``more`` are paths and
    units that the spec calls risky."""
    touched = (*call.replaces, *call.args[:1])
    if any(path.startswith(more) for path in touched if more):
        return True
    if call.function in _WRITES:
        return not all(_within(path, HARMLESS_FILES) for path in (call.args[0], *call.replaces))
    if call.function == "pkg_whole":
        return call.args[1:] != ("-",)
    if call.function == "member_add":
        # docker's group gives a right and takes none; another group may be one that sshd or sudo refuses.
        return call.args[1:] != ("docker",)
    return call.function not in HARMLESS_STEPS


def _within(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or (place.endswith("/") and path.startswith(place)) for place in places)


def _base(steps: tuple[Step, ...], report: HostReport) -> Iterator[tuple[str, str, str]]:
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


def _versions(report: HostReport) -> dict[str, str]:
    """Installed packages, from dpkg-query's ``name status version`` (every package manager's look speaks so)."""
    lines = lines_of((report.get("packages") or ("",))[0])
    return {words_of(line)[0]: words_of(line)[2] for line in lines if words_of(line)[1][1:2] == "i"}


def _keep(
    changes: tuple[Change, ...], steps: tuple[Step, ...], report: HostReport, max_impact: str | None
) -> Iterator[tuple[str, str, str]]:
    for path in _replaced(steps):
        yield "file", path, ""
        if path == "/etc/docker/daemon.json":
            yield "bridge", "docker0", ""
    versions = _versions(report)
    for change in changes:
        seen = change.drift.seen
        if change.resource == "packages:all":
            yield from (("package", name, versions.get(name, "absent")) for name in change.drift.keys)
            yield from (("removed", versions[name], name) for name in _restorable(change) if name in versions)
        for call in change.calls:
            if call.function == "sysctl_set" and "live" in seen:
                yield "live", call.args[0], seen["live"]
            elif call.function == "forward_set" and seen.get("ipv4") in ("ACCEPT", "DROP"):
                yield "forward", seen["ipv4"], seen.get("ipv6", "-")
            elif call.function == "hostname_set":
                yield "hostname", seen["live"], "-"
    yield from dict.fromkeys(kept for step in steps for kept in step.call.keeps)
    units = dict.fromkeys(unit for step in steps for unit in _units(step.call))
    loads = dict(loading for change in changes for loading in _loading(change, max_impact))
    yield from (("service", unit, loads.get(unit, "")) for unit in units)


def _loading(change: Change, max_impact: str | None) -> Iterator[tuple[str, str]]:
    """How a service loads its files again after a rollback: a line of words, the keys that need a restart for it, and
    the files (sh/fix/restore.sh, undo_facts)."""
    seen = change.drift.seen
    for call in change.calls:
        if call.function == "svc_settle" and "undo" in seen:
            unit, _, watched = call.args
            words = (seen["undo"], seen["loaded before"], max_impact or "", seen["undo live"])
            yield unit, f"{','.join(words)}\n{seen['undo effect']}\n{watched}"
        elif call.function == "bridge_settle":
            unit, _, watched, _ = call.args
            yield unit, f"bridge,current,{max_impact or ''},-\n\n{watched}"


def _restorable(change: Change) -> tuple[str, ...]:
    """Packages that the change removes and a rollback installs again. The engine's own and what is in their way are
    none of these: of two engines the one that came stays."""
    gone = (name for name in change.drift.keys if change.drift.want[name] == "absent")
    return tuple(name for name in gone if name not in engine_packages())


def _units(call: Call) -> tuple[str, ...]:
    """The services that a step changes the state of: those that are put back after everything else."""
    if call.function in ("svc_enable", "svc_disable", "svc_start", "svc_stop", "bridge_settle"):
        return call.args[:1]
    return call.disturbs if call.function == "svc_settle" else ()
