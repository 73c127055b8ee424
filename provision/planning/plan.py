"""A plan is the difference between the declared state and the state that the look found. There is no other rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from provision.catalog import Inputs, Options, compile_catalog, watchers
from provision.engine.checks import checked
from provision.engine.daemon_json import left_to_docker
from provision.model import Call, Change, Drift, Plan, Platform, Resource
from provision.planning.manifest import ENTRIES, Manifest, live, removal, shared_record
from provision.project.host_config import Context, HostConfig
from provision.project.memo import Same
from provision.remote.protocol import Seen
from provision.remote.script import MANIFESTS, sendable
from provision.resources.declaration import Place
from provision.resources.obstacle import Unfixable
from provision.resources.service import Service
from provision.secrets import secret
from provision.steps.files import put_file, remove_file


def drift(resource: Resource, report: Seen) -> Drift | None:
    """The drift of ``resource``, or ``None`` where it is in the desired state."""
    want, seen = resource.want(), resource.seen(report)
    keys = tuple(key for key, value in want.items() if seen.get(key) != value)
    return Drift(want, seen, keys) if keys else None


class Inspection(Struct, frozen=True):
    """A plan, all resources (for the second look), the steps that update the manifests before and after the changes,
    and the report that the plan is based on. ``secrets`` are the tokens that the host's own configuration refers to: no
    other token is sent to the host. ``notes`` are remarks for the operator."""

    plan: Plan
    resources: tuple[Resource, ...]
    report: Seen
    remember: tuple[Call, ...] = ()
    forget: tuple[Call, ...] = ()
    secrets: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def inspection(config: HostConfig, platform: Platform, context: Context, options: Options, report: Seen) -> Inspection:
    """Plan one host. Raises ``ValueError`` for a manifest that a later version of provision wrote.

    Hosts that declare and report the same have one plan, which is computed once.
    """
    resources = compile_catalog(config, platform, context, options)
    parts = [resources, *(compile_catalog(one, platform, context, options) for one in _each_play(config))]
    key = ("plan", Inputs(config, (platform,), options), tuple(map(Same, parts)), report.whole)
    found = context.recent.of(key, lambda: _inspection(config, platform, context, options, report, resources))
    name = config.host.name
    return found if found.plan.host == name else replace(found, plan=replace(found.plan, host=name))


def _inspection(
    config: HostConfig,
    platform: Platform,
    context: Context,
    options: Options,
    report: Seen,
    resources: tuple[Resource, ...],
) -> Inspection:
    report = report.salted(options.salt)
    manifests = {slug: Manifest.parse(slug, fields[0]) for slug, fields in report.all("manifest").items()}
    for play in config.plays:
        if problem := shared_record(manifests, play.play, play.slug):
            raise Unfixable(problem)
    makes = _makes(config, platform, context, options, resources)
    gone = _undeclared(config, manifests, makes)
    watching = watchers(config, platform, context, options)
    left = left_to_docker(config.spec.engine, gone, report)
    removals = [
        one for entry, before in gone.items() if entry not in left and (one := removal(entry, before, watching))
    ]
    ordered = _in_order(resources, removals)
    changes = _changes(ordered, report)
    plan = Plan(config.host.name, platform, tuple(changes))
    remember, forget = _bookkeeping(config, manifests, makes, gone, changes, ordered, report)
    notes = (*_contested(manifests, makes, changes, ordered), *_interrupted(report))
    return Inspection(plan, ordered, report, remember, forget, _whole(changes, resources), notes)


def inspection_of(
    host: str,
    platform: Platform,
    resources: tuple[Resource, ...],
    report: Seen,
    desired: tuple[Resource, ...] = (),
) -> Inspection:
    """A plan for resources that no play declares. No manifest records them, only the host's record of the run. Its
    secrets are those of ``desired``, which the plays declare."""
    changes = _changes(resources, report)
    return Inspection(Plan(host, platform, tuple(changes)), resources, report, secrets=_whole(changes, desired))


def _whole(changes: list[Change], declared: tuple[Resource, ...]) -> frozenset[str]:
    """The secrets that a host's resources refer to. The steps may hold only these, and only whole tokens. A host in the
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
    """The manifest entries of what each play declares, by the play's slug."""
    if len(config.plays) == 1:
        return {config.plays[0].slug: {entry for resource in resources for entry in resource.makes}}
    made = {}
    for alone in _each_play(config):
        own = compile_catalog(alone, platform, context, options)
        made[alone.plays[0].slug] = {entry for resource in own for entry in resource.makes}
    return made


def _each_play(config: HostConfig) -> list[HostConfig]:
    """The configuration with each of its plays alone; none where it has only one play."""
    if len(config.plays) == 1:
        return []
    return [HostConfig(config.host, config.scope, (play,), play.spec, config.source) for play in config.plays]


def _undeclared(config: HostConfig, manifests: dict[str, Manifest], makes: dict[str, set[str]]) -> dict[str, str]:
    """Entries that a play of this run made and that no play declares now -> the value from before."""
    declared = set().union(*makes.values())
    kept = {entry for slug, manifest in manifests.items() if slug not in makes for entry in manifest.entries}
    # What is declared absent has its own resource already.
    absent = {
        f"{word} {name}"
        for word, entry in ENTRIES.items()
        if entry.field
        for name, one in getattr(config.spec, entry.field).items()
        if one.absent
    }
    return {
        entry: before
        for slug in makes
        if slug in manifests
        for entry, before in manifests[slug].entries.items()
        if entry not in declared | kept | absent
    }


def _interrupted(report: Seen) -> Iterator[str]:
    """dpkg leaves files in /var/lib/dpkg/updates when it is interrupted (dpkg(1), FILES)."""
    if report.get("interrupted", "dpkg") is not None:
        yield (
            "dpkg was interrupted on this host: a change of packages fails until provision apply --repair-packages, or "
            "dpkg --configure -a, has finished its work"
        )


def _contested(
    manifests: dict[str, Manifest], makes: dict[str, set[str]], changes: list[Change], resources: tuple[Resource, ...]
) -> Iterator[str]:
    """Changed objects that a play of another run has made too. The record does not have the other play's values."""
    changed = {change.resource for change in changes}
    entries = {entry for one in resources if one.id in changed for entry in one.makes}
    for slug, manifest in sorted(manifests.items()):
        if slug not in makes and (shared := sorted(entries & manifest.entries.keys())):
            yield (
                f"another playbook's play {manifest.play!r} has made {', '.join(shared)} on this host too"
                f" ({MANIFESTS}/{slug}): if it declares another state, its next run changes it back"
            )


def _in_order(resources: tuple[Resource, ...], removals: Sequence[Resource]) -> tuple[Resource, ...]:
    """Removals come before the services and the store, which must see the files that are removed. docker's objects come
    after them: first the containers to remove, because they may use other objects, and last the networks to remove."""
    files = [one for one in removals if one.place < Place.SERVICES]
    outgoing = [one for one in removals if Place.SERVICES < one.place < Place.NETWORKS]
    latest = [one for one in removals if one.place >= Place.NETWORKS]
    services, objects = (
        next((number for number, one in enumerate(resources) if one.place >= place), len(resources))
        for place in (Place.SERVICES, Place.NEW_PROJECTS)
    )
    return (*resources[:services], *files, *resources[services:objects], *outgoing, *resources[objects:], *latest)


def _changes(resources: Iterable[Resource], report: Seen) -> list[Change]:
    """A resource sees the changes of the resources before it. A mark precedes the first write to a file that a service
    watches, so that the service is restarted even if this run dies."""
    changes: list[Change] = []
    for resource in resources:
        found = drift(resource, report)
        if found is None:
            continue
        calls = tuple(resource.fix(found))
        changes.append(Change(resource.id, found, calls))
        report = report.after(frozenset(name for call in calls for name in (*call.replaces, *call.renews)))
    return checked(_marked(changes, {resource.id: resource for resource in resources}), report)


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
            calls += [marks.pop(unit) for unit in call.watchers if unit in marks]
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
    """The manifests before the changes (what was made and what will be made) and after them (what is left).

    provision owns only what it changed: it does not remove an object that was up to date before its first run.
    """
    changed = {change.resource: change for change in changes}
    before: dict[str, str] = {}
    for resource in resources:
        if resource.id in changed:
            value = changed[resource.id].drift.seen.get("live", "")
            before |= {entry: value if live(entry) else "" for entry in resource.makes}
    remember, forget = [], []
    for play in config.plays:
        old = manifests.get(play.slug, Manifest(play.play, play.slug, {}))
        grown = {entry: value for entry, value in before.items() if entry in makes[play.slug]}
        # The value from before provision's first change stays the value to restore.
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
        return put_file(path, content=manifest.text().encode("utf-8", "surrogateescape"), literal=True)
    return remove_file(path)
