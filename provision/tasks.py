"""The fabric tasks *look*, *fix* and *apply*, for provision's own rollouts and for a user's fabfile::

    from fabric import task
    from provision.tasks import apply
    from provision.load import load

    @task
    def docker(c):
        apply(c, *load("inventory", "playbooks/site.yml").for_host(c.original_host))

They raise :class:`~provision.transport.ssh.HostError` when the host fails.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date

from fabric import Connection, task
from msgspec import Struct
from msgspec.structs import replace

from provision import distros
from provision.catalog import Options, compile_catalog, compile_catalogs
from provision.distros import custom
from provision.engine import doctor, impact
from provision.engine.daemon_json import data_root, health
from provision.engine.steps import LOOK_BRIDGE
from provision.lines import BLANK, lines_of
from provision.model import Call, Event, Plan, Platform, Resource
from provision.planning import prepare
from provision.planning.plan import Inspection, drift, inspection, inspection_of
from provision.planning.prepare import work
from provision.project.host_config import Context, HostConfig
from provision.project.memo import Same
from provision.remote.frames import number
from provision.remote.protocol import Seen, WireError
from provision.remote.script import OWN, RUNS, Looks, look_script, receipt_script
from provision.remote.transaction import new_run
from provision.resources.docker.image import (
    BuiltImage,
    LoadedImage,
    PulledImage,
    digest_in_registry,
    digest_of,
)
from provision.resources.docker.inspected import image
from provision.resources.observed import ABSENT, observe
from provision.resources.obstacle import Unfixable
from provision.resources.packages import installed
from provision.secrets import secret
from provision.transport import job, upload
from provision.transport.execute import execute
from provision.transport.job import Frame, Job, OnEvent, Receipt, Verb, reported
from provision.transport.shell import Shell
from provision.transport.ssh import HostError

#: Seconds that a host may take, from login to the last look (the reading of its state).
DEADLINE = 1800.0


class Changing(Struct, frozen=True):
    """How changes are made. ``run`` is the run that they belong to (a new one when empty). They must be confirmed
    within ``confirm_within`` seconds. ``reconnect`` logs in again. ``max_impact`` is the most that a rollback may do to
    running services and containers (``--max-impact``)."""

    run: str = ""
    confirm_within: int = 60
    reconnect: Callable[[], Connection] | None = None
    max_impact: str | None = None


@contextmanager
def _judging() -> Iterator[None]:
    """Around code that evaluates what a host reported. Invalid JSON, or JSON that nests too deeply, fails that host: it
    raises :class:`HostError` of kind ``protocol``."""
    try:
        yield
    except WireError as error:
        raise HostError("protocol", f"the host reported {error}") from error
    except RecursionError as error:
        raise HostError("protocol", "the host reported JSON that is nested too deeply to compare") from error


def _silent(event: Event) -> None:
    """Ignore the event: the caller has given no ``on_event``."""


@task
def look(
    connection: Connection,
    config: HostConfig,
    context: Context,
    options: Options = Options(),  # noqa: B008 - frozen
    deadline: float | None = None,
) -> Inspection:
    """Read the state of the host (one exec) and plan what would change. Changes nothing."""
    deadline = deadline or time.monotonic() + DEADLINE
    report, platform = _see(connection, config, _look_script(config, context, options), deadline)
    try:
        with _judging():
            found = inspection(config, platform, context, options, report)
    except Unfixable as error:
        raise HostError("unsuited", str(error)) from error
    except ValueError as error:
        raise HostError("spec", str(error)) from error
    plan = replace(found.plan, impacts=impact.impacts(found.plan, {}, survive=True))
    if impact.restarts(plan):
        containers, _ = _see(connection, config, _everywhere(config, impact.LOOK), deadline)
        try:
            with _judging():
                plan = impact.with_containers(plan, config.spec.engine, containers)
        except ValueError as error:
            raise HostError("spec", str(error)) from error
    return replace(found, plan=plan)


@task
def look_back(
    connection: Connection,
    config: HostConfig,
    context: Context,
    run: str,
    options: Options = Options(),  # noqa: B008 - frozen
    deadline: float | None = None,
) -> Inspection:
    """Plan how to restore what ``run`` replaced on this host (two execs). Changes nothing."""
    deadline = deadline or time.monotonic() + DEADLINE

    def see(calls: Sequence[Call]) -> tuple[Seen, Platform]:
        return _see(connection, config, _everywhere(config, *calls), deadline)

    # look_files has no path here: look_run uses its functions.
    record, platform = see([Call("look_run", (RUNS, run)), LOOK_BRIDGE, Call("look_files")])
    try:
        desired = compile_catalog(config, platform, context, options)
        with _judging():
            wanted = prepare.resources(run, record, desired, options.lock_timeout, secret.referred(desired))
            notes = tuple(f"the rollback leaves this as it is: {text}" for text in prepare.stays(run, record))
        report, _ = see([call for resource in wanted for call in resource.look()])
        with _judging():
            found = inspection_of(config.host.name, platform, wanted, report.salted(options.salt), desired)
    except Unfixable as error:
        raise HostError("unsuited", str(error)) from error
    plan = replace(found.plan, impacts=impact.impacts(found.plan, {}, survive=True))
    return replace(found, plan=plan, notes=notes)


@task
def ping(connection: Connection, config: HostConfig, deadline: float | None = None) -> tuple[str, float]:
    """The account that runs the commands of a host, and the seconds that one command takes."""
    deadline = deadline or time.monotonic() + DEADLINE
    begin = time.monotonic()
    shell = Shell(connection, config.host.login)
    try:
        done = shell.run("id -un", deadline - begin)
    finally:
        shell.close()
    return [*lines_of(done.stdout.decode("utf-8", "replace")), "?"][0], time.monotonic() - begin


@task
def history(connection: Connection, config: HostConfig, deadline: float | None = None) -> list[tuple[str, str, int]]:
    """The runs that a host has a record of, the oldest first: name, result, and how many things it can restore."""
    deadline = deadline or time.monotonic() + DEADLINE
    report, _ = _see(connection, config, _everywhere(config, Call("look_runs", (RUNS,))), deadline)
    with _judging():
        return [(run, result, number(count, "a count")) for run, (result, count) in sorted(report.all("run").items())]


@task
def receipt(connection: Connection, config: HostConfig, run: str, verb: Verb, deadline: float) -> Receipt:
    """A host's report about its part in ``run``. Its result is ``none``, ``done``, ``waiting``, ``rolled_back
    REASON``, or nothing for a job that died. ``attach`` waits for a job that still runs."""
    frames: list[Frame] = []
    execute(connection, config.host.login, receipt_script(verb, run), deadline, frames.append)
    with _judging():
        return job.receipt(config.host.name, frames)


@task
def examine(connection: Connection, config: HostConfig, deadline: float | None = None) -> list[doctor.Verdict]:
    """Check whether the host suits its spec (one exec). Changes nothing, and needs nothing to be installed."""
    deadline = deadline or time.monotonic() + DEADLINE
    report, platform = _see(connection, config, _everywhere(config, doctor.look(config.spec.engine)), deadline)
    with _judging():
        return doctor.judged(report, platform, config.spec.engine, time.time(), date.today())


@task
def versions(
    connection: Connection, config: HostConfig, context: Context, deadline: float | None = None
) -> tuple[Platform, dict[str, str], dict[str, str]]:
    """The host's platform, the versions of the engine's packages that it has, and the digests of the images that its
    spec takes from registries (one exec). Changes nothing."""
    deadline = deadline or time.monotonic() + DEADLINE
    report, platform = _see(connection, config, _look_script(config, context, Options()), deadline)
    engine = {name for source in ("docker", "distribution") for name in _parts(platform, source)}
    found = {} if report.get("packages") is None else installed(report)
    digests = {}
    for resource in compile_catalog(config, platform, context, Options()):
        if isinstance(resource, PulledImage) and not resource.by and "@" not in resource.reference:
            with _judging():
                there = image(report, resource.reference)
            if there is not None and (digest := digest_of(there, resource.reference)):
                digests[resource.reference] = digest
    return platform, {name: version for name, version in found.items() if name in engine}, digests


def _parts(platform: Platform, source: str) -> tuple[str, ...]:
    found = distros.packaged(platform, source)
    return tuple(found.parts.values()) if found is not None else ()


def _everywhere(config: HostConfig, *calls: Call) -> str:
    """The script with the same looks for every family."""
    return look_script(dict.fromkeys(distros.FAMILIES, calls), config.distributions)


def _see(connection: Connection, config: HostConfig, script: str, deadline: float) -> tuple[Seen, Platform]:
    """The report of a look, and the platform of the host (one exec); raises for a host that cannot be read."""
    frames: list[Frame] = []
    finished = execute(connection, config.host.login, script, deadline, frames.append)
    report = reported(frames, finished)
    if report.get("unprivileged") is not None:
        raise HostError("become", "this login is not root; set ansible_become where this login may use sudo")
    with _judging():
        _own(report)
    id, version, codename, name, like, base, kind = _os_release(frames)
    family = report.get("family")
    platform = distros.platform(
        id, version, codename, name, base=base, family=family[0] if family else "", extra=config.distributions
    )
    if platform is None:
        shown = name or f"{id} {version}".strip(BLANK)
        line = custom.suggestion(id, version, codename, like, base, kind)
        what_to_do = (
            f"to treat it as the distribution that its os-release names, add this line to {custom.FILE}"
            f" next to the playbook: {line}"
            if line
            else "provision explain unsupported lists what is"
        )
        raise HostError("unsupported", f"{shown} ({id}) is not supported; {what_to_do}")
    return report, platform


def _own(report: Seen) -> None:
    """Raises :class:`HostError` where accounts other than root can write into provision's own directories. They may
    have written the manifests there, which decide what provision removes."""
    for path in OWN:
        found = observe(report, path) if report.get("file", path) is not None else None
        if found is not None and found.kind != ABSENT and int(found.mode, 8) & 0o022:
            message = (
                f"{path}: accounts other than root can write in it (mode {found.mode}), so its content is not trusted;"
                f" check who wrote what is in it, and run chmod 0700 {path}, or remove it, and provision creates it"
            )
            raise HostError("look", message, step="own_look")


@task
def fix(
    connection: Connection,
    config: HostConfig,
    found: Inspection,
    deadline: float | None = None,
    on_event: OnEvent = _silent,
    changing: Changing = Changing(),  # noqa: B008 - frozen
) -> Seen:
    """Make the changes of a plan as one transaction on the host, and check the desired state afterwards.

    A job on the host does the work, and a lost connection does not end it. After a risky step the host rolls the
    change back unless the controller confirms it by a new login. Returns the last state that was read.
    """
    deadline = deadline or time.monotonic() + DEADLINE
    reconnect = changing.reconnect or _again(connection)
    way = send(connection, config, found.plan, deadline, on_event, reconnect)
    calls = [call for resource in found.resources for call in resource.look()]
    run = changing.run or new_run()
    made = work(
        run,
        found.plan,
        found.report,
        found.remember,
        found.forget,
        config.spec.risky,
        changing.confirm_within,
        health(config.spec.engine),
        changing.max_impact,
        found.secrets,
        data_root(config.spec.engine) if config.spec.engine is not None else "",
    )
    last = [found.report]

    def left(report: Seen) -> list[str]:
        report = report.salted(found.report.salt)
        last.append(report)
        return left_over(found.resources, report)

    try:
        Job(config, made, calls, deadline, on_event, reconnect).run(way, left)
    finally:
        if way is not connection:
            way.close()
    return last[-1]


def send(
    connection: Connection,
    config: HostConfig,
    plan: Plan,
    deadline: float,
    on_event: OnEvent,
    reconnect: Callable[[], Connection],
) -> Connection:
    """Send the data that the plan's steps need on the host and that a script cannot hold. After a lost connection,
    reconnect and continue with the data that has not arrived. Returns the connection to use from then on."""
    way, attempts = connection, _ATTEMPTS
    needed = [blob for change in plan.changes for call in change.calls for blob in call.sends]
    while needed:
        try:
            upload.send(way, config.host.login, needed[0], deadline, _noting(config, on_event))
            needed.pop(0)
        except HostError as error:
            attempts -= 1
            if error.failure.kind != "disconnected" or not attempts:
                raise
            _noting(config, on_event)("connection lost; reconnecting")
            if way is not connection:
                way.close()
            way = reconnect()
    return way


#: How often one run resumes a transfer whose connection was lost.
_ATTEMPTS = 5


def _noting(config: HostConfig, on_event: OnEvent) -> Callable[[str], None]:
    return lambda text: on_event(Event("note", config.host.name, {"text": text}))


def pushed(resources: Sequence[Resource], report: Seen) -> dict[str, str]:
    """The images that a host pushes, as they are now: name -> digest."""
    found = {}
    for resource in resources:
        if isinstance(resource, (BuiltImage, LoadedImage)) and resource.push and drift(resource, report) is None:
            there = image(report, resource.reference)
            # Other hosts can pull only what the registry has, which may be a single platform of the image.
            digest = digest_in_registry(report, resource.reference)
            if there is not None and (digest := digest or digest_of(there, resource.reference)):
                found[resource.reference] = digest
    return found


def _again(connection: Connection) -> Callable[[], Connection]:
    """Makes another connection like this one, for a caller that opened the connection and gives no ``reconnect``."""

    def connect() -> Connection:
        made = Connection(
            connection.original_host,
            user=connection.user,
            port=connection.port,
            gateway=connection.gateway,
            connect_kwargs=connection.connect_kwargs,
        )
        made.open()
        return made

    return connect


def left_over(resources: tuple[Resource, ...], report: Seen) -> list[str]:
    """The resources that still differ, in words. A host counts as changed only when a look has confirmed it."""
    left = []
    with _judging():
        for resource in resources:
            rest = drift(resource, report)
            if rest is not None:
                values = ", ".join(
                    f"{key}: {_short(rest.seen.get(key))} instead of {_short(rest.want[key])}" for key in rest.keys
                )
                left.append(f"{resource.id}: {values}")
    return left


def _short(value: str | None) -> str:
    if value is None:
        return "absent"
    return value if "\n" not in value and len(value) <= 120 else f"{len(value)} characters"


@task
def apply(
    connection: Connection,
    config: HostConfig,
    context: Context,
    options: Options = Options(),  # noqa: B008 - frozen
    deadline: float | None = None,
    on_event: OnEvent = _silent,
    changing: Changing = Changing(),  # noqa: B008 - frozen
) -> Inspection:
    """Read the state of the host, and fix what is not in the desired state. Returns what the look found."""
    found = look(connection, config, context, options, deadline)
    if found.plan.changes:
        fix(connection, config, found, deadline, on_event, changing)
    return found


def _look_script(config: HostConfig, context: Context, options: Options) -> str:
    """The script that reads the state of a host, made once for hosts with the same catalogs."""
    catalogs = _catalogs(config, context, options)
    key = (
        "look",
        tuple((family, Same(resources)) for family, resources in catalogs.items()),
        Same(config.distributions),
    )
    return context.recent.of(key, lambda: look_script(_looks(config, context, options), config.distributions))


def _looks(config: HostConfig, context: Context, options: Options) -> Looks:
    """The looks for each family. The host itself determines its family, in the same exec."""
    return {
        family: [call for resource in resources for call in resource.look()]
        for family, resources in _catalogs(config, context, options).items()
    }


def _catalogs(config: HostConfig, context: Context, options: Options) -> dict[str, tuple[Resource, ...]]:
    """The resources for an example of each family."""
    examples = distros.examples()
    return dict(zip(examples, compile_catalogs(config, examples.values(), context, options), strict=True))


def _os_release(frames: list[Frame]) -> Frame:
    """ID, version, codename, name, ID_LIKE, the codename of its base, PLATFORM_ID."""
    for frame in frames:
        if frame[0] == "platform" and len(frame) > 7:
            return frame[1:8]
    raise HostError("protocol", "the host does not report its distribution")
