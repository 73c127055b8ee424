"""What is wanted and not seen so: that is a plan. The only rule there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from provision.catalog import Options, compile_catalog, watchers
from provision.dockerd.daemon_json import DAEMON_JSON, FORWARDING, UNIT, askable, daemon_json, sysctls
from provision.model import Call, Change, Drift, Plan, Platform, Resource
from provision.planning.manifest import LIVE, Manifest, removal
from provision.project.host_config import Context, HostConfig
from provision.remote.protocol import Seen
from provision.remote.script import MANIFESTS, sendable
from provision.resources.docker import LATEST, OBJECTS, OUTGOING
from provision.resources.file import encoded, put, written
from provision.resources.service import Service
from provision.resources.store import UndeclaredStore
from provision.secrets import secret


def drift(resource: Resource, report: Seen) -> Drift | None:
    """Where ``resource`` is not as wanted, or ``None`` where it is."""
    want, seen = resource.want(), resource.seen(report)
    keys = tuple(key for key, value in want.items() if seen.get(key) != value)
    return Drift(want, seen, keys) if keys else None


class Inspection(Struct, frozen=True):
    """A plan with what is needed to carry it out: all resources (for the look afterwards), the steps that keep the
    manifests true before and after the changes, and the report that the plan was made on. ``secrets`` are the tokens
    that the host's own configuration refers to: no other is sent to it."""

    plan: Plan
    resources: tuple[Resource, ...]
    report: Seen
    remember: tuple[Call, ...] = ()
    forget: tuple[Call, ...] = ()
    secrets: frozenset[str] = frozenset()


def inspection(config: HostConfig, platform: Platform, context: Context, options: Options, report: Seen) -> Inspection:
    """Plan one host. Raises ``ValueError`` for a manifest that a later version of us wrote."""
    resources = compile_catalog(config, platform, context, options)
    report = report.salted(options.salt)
    manifests = {slug: Manifest.parse(slug, fields[0]) for slug, fields in report.all("manifest").items()}
    makes = _makes(config, platform, context, options, resources)
    gone = _undeclared(config, manifests, makes)
    watching = watchers(config, platform, context, options)
    left = _left_to_docker(config, gone, report)
    removals = [
        one for entry, before in gone.items() if entry not in left and (one := removal(entry, before, watching))
    ]
    ordered = _in_order(resources, removals)
    changes = _changes(ordered, report)
    plan = Plan(config.host.name, platform, tuple(changes))
    remember, forget = _bookkeeping(config, manifests, makes, gone, changes, ordered, report)
    return Inspection(plan, ordered, report, remember, forget, _whole(changes, resources))


def inspection_of(
    host: str,
    platform: Platform,
    resources: tuple[Resource, ...],
    report: Seen,
    desired: tuple[Resource, ...] = (),
) -> Inspection:
    """A plan for resources that no play declares: nothing is remembered of it but what the host itself keeps. Its
    secrets are those of ``desired``, which the plays declare."""
    changes = _changes(resources, report)
    return Inspection(Plan(host, platform, tuple(changes)), resources, report, secrets=_whole(changes, desired))


def _whole(changes: list[Change], declared: tuple[Resource, ...]) -> frozenset[str]:
    """The secrets that a host's resources refer to, which are all that its steps may hold, and whole. A host in the
    desired state needs none. Raises :class:`SpecError`."""
    if not changes:
        return frozenset()
    allowed = secret.referred(declared)
    for change in changes:
        for call in change.calls:
            for word in call.args:
                sendable(word, allowed, change.resource)
    return allowed


def _makes(
    config: HostConfig, platform: Platform, context: Context, options: Options, resources: tuple[Resource, ...]
) -> dict[str, set[str]]:
    """Per play (by slug), the manifest entries of what it declares."""
    if len(config.plays) == 1:
        return {config.plays[0].slug: {entry for resource in resources for entry in resource.makes}}
    made = {}
    for play in config.plays:
        alone = HostConfig(config.host, config.scope, (play,), play.spec, config.source)
        own = compile_catalog(alone, platform, context, options)
        made[play.slug] = {entry for resource in own for entry in resource.makes}
    return made


def _undeclared(config: HostConfig, manifests: dict[str, Manifest], makes: dict[str, set[str]]) -> dict[str, str]:
    """Entries that a play of this run made and no play declares any more -> what was there before."""
    declared = set().union(*makes.values())
    kept = {entry for slug, manifest in manifests.items() if slug not in makes for entry in manifest.entries}
    # What is declared absent is a resource of its own already.
    spec = config.spec
    kinds: dict[str, Mapping[str, Any]] = {
        "file": spec.files,
        "container": spec.containers,
        "network": spec.networks,
        "compose": spec.compose,
    }
    absent = {f"{kind} {name}" for kind, things in kinds.items() for name, one in things.items() if one.absent}
    return {
        entry: before
        for slug in makes
        if slug in manifests
        for entry, before in manifests[slug].entries.items()
        if entry not in declared | kept | absent
    }


def _left_to_docker(config: HostConfig, gone: dict[str, str], report: Seen) -> set[str]:
    """Entries that stay as they are although no play declares them any more, for a dockerd that runs needs them.

    It is what dockerd makes of a host by itself: it switches forwarding on, and then drops what is forwarded for
    others (moby, setup_ip_forwarding.go).
    """
    if report.get("docker", "daemon") is None:
        return set()
    daemon = (daemon_json(config.spec.engine) if config.spec.engine else None) or {}
    needed = {f"sysctl {key}": value for key, value in sysctls(daemon).items()}
    left = {entry for entry in gone if entry in needed and gone[entry] != needed[entry]}
    if f"sysctl {FORWARDING}" in left and gone.get("forward policy") == "ACCEPT":
        left.add("forward policy")
    return left


def _in_order(resources: tuple[Resource, ...], removals: Sequence[Resource]) -> tuple[Resource, ...]:
    """Removals come before the services and the store, which must see which files are removed. What docker has comes
    after them: containers that go first, for they may have what others need, and networks that go last."""
    outgoing = [resource for resource in removals if isinstance(resource, OUTGOING)]
    latest = [resource for resource in removals if isinstance(resource, LATEST)]
    files = [resource for resource in removals if not isinstance(resource, (*OUTGOING, *LATEST))]
    objects = _first(resources, (*OBJECTS, UndeclaredStore))
    services = min(_first(resources, (Service,)), objects)
    return (*resources[:services], *files, *resources[services:objects], *outgoing, *resources[objects:], *latest)


def _first(resources: tuple[Resource, ...], kinds: tuple[type, ...]) -> int:
    return next((number for number, one in enumerate(resources) if isinstance(one, kinds)), len(resources))


def _changes(resources: Iterable[Resource], report: Seen) -> list[Change]:
    """A resource sees what those before it are about to replace. Before the first write to a file that a service
    watches comes the mark that makes the restart survive the death of this run."""
    changes: list[Change] = []
    for resource in resources:
        found = drift(resource, report)
        if found is None:
            continue
        calls = tuple(resource.fix(found))
        changes.append(Change(resource.id, found, calls))
        report = report.after(frozenset(name for call in calls for name in (*call.replaces, *call.renews)))
    return _checked(_marked(changes, {resource.id: resource for resource in resources}), report.content(DAEMON_JSON))


def _checked(changes: list[Change], there: bytes | None) -> list[Change]:
    """dockerd is asked for its opinion of a daemon.json by the version that will load it: before the file is swapped,
    or after an upgrade before the restart. ``there`` is what the host has for it now."""
    upgraded = any(change.resource == "packages:all" for change in changes)
    settled = {call.args[1]: change.drift.seen.get("bridge", "") for change in changes for call in _settles(change)}
    asked, result = False, []
    # What the host has is shown to no reader of a plan file: it may be readable by root alone.
    private: tuple[int, ...] = (1,)
    for change in changes:
        calls: list[Call] = []
        for call in change.calls:
            if call.function == "put_file" and call.args[0] == DAEMON_JSON:
                # Before anything of docker's is touched: dockerd would take the file, and not do what it says.
                for verb, keys in settled.items():
                    if keys:
                        bridge = ("containers_return", ()) if verb == "bridge-restart" else ("bridge_free", (keys,))
                        calls.append(Call(*bridge))
            if call.function in ("put_file", "remove_file") and call.args[0] == DAEMON_JSON:
                there = written(call) if call.function == "put_file" else None
                private = (1,) if call.private else ()
                if not upgraded and there is not None:
                    calls.append(Call("daemon_check_content", encoded(askable(there)), private=private))
            elif upgraded and not asked and call.function in ("svc_settle", "svc_start") and call.args[0] == UNIT:
                if there is None or askable(there) == there:
                    calls.append(Call("daemon_check", (DAEMON_JSON,)))
                else:
                    calls.append(Call("daemon_check_content", encoded(askable(there)), private=private))
                asked = True
            calls.append(call)
        result.append(Change(change.resource, change.drift, tuple(calls)))
    return result


def _settles(change: Change) -> list[Call]:
    """The step that has docker load its file, if it is this change's."""
    return [call for call in change.calls if call.function == "svc_settle" and call.args[0] == UNIT]


def _marked(changes: list[Change], resources: dict[str, Resource]) -> list[Change]:
    marks: dict[str, Call] = {}
    for change in changes:
        resource = resources[change.resource]
        if isinstance(resource, Service) and "loaded" in change.drift:
            marks[resource.unit] = resource.mark(change.drift)
    result = []
    for change in changes:
        calls: list[Call] = []
        for call in change.calls:
            calls += [marks.pop(unit) for unit in call.disturbs if unit in marks and call.replaces]
            calls.append(call)
        result.append(Change(change.resource, change.drift, tuple(calls)))
    return result


def _bookkeeping(
    config: HostConfig,
    manifests: dict[str, Manifest],
    makes: dict[str, set[str]],
    gone: dict[str, str],
    changes: list[Change],
    resources: tuple[Resource, ...],
    report: Seen,
) -> tuple[tuple[Call, ...], tuple[Call, ...]]:
    """The manifests before the changes (what was made and what is about to be) and after them (what is left).

    Only what this tool changes is made by it: a thing that was right before we came is not ours to remove.
    """
    changed = {change.resource: change for change in changes}
    before: dict[str, str] = {}
    for resource in resources:
        if resource.id in changed:
            live = changed[resource.id].drift.seen.get("live", "")
            before |= {entry: live if entry.partition(" ")[0] in LIVE else "" for entry in resource.makes}
    remember, forget = [], []
    for play in config.plays:
        old = manifests.get(play.slug, Manifest(play.play, play.slug, {}))
        grown = {entry: value for entry, value in before.items() if entry in makes[play.slug]}
        # What stood there when we first came stays the value to go back to.
        during = Manifest(play.play, play.slug, {**grown, **old.entries})
        after = Manifest(play.play, play.slug, {e: v for e, v in during.entries.items() if e not in gone})
        written = manifests[play.slug].text() if play.slug in manifests else ""
        if during.entries and during.text() != written:
            remember.append(_write(during))
        if after.entries != during.entries:
            forget.append(_write(after))
    return tuple(remember), tuple(forget)


def _write(manifest: Manifest) -> Call:
    path = f"{MANIFESTS}/{manifest.slug}"
    if manifest.entries:
        content = manifest.text().encode("utf-8", "surrogateescape")
        return put(path, "root", "root", "0644", content, literal=True)
    return Call("remove_file", (path,), replaces=(path,))
