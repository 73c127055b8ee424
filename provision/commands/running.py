"""What commands that reach hosts share: load the project, connect, run, and the exit code."""

from __future__ import annotations

import argparse
import gc
import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from provision.commands import clustering
from provision.commands import options as given
from provision.commands.reporters import Listeners, journal
from provision.visible import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from provision.catalog import Options
    from provision.load import Loaded
    from provision.model import Event, Failure
    from provision.rollout.roll_out import Result, Rollout
    from provision.rollout.run_request import Goal, RunRequest, Verify
    from provision.transport.ssh import Transport


def loaded(
    args: argparse.Namespace,
    options: Options | None = None,
    prepare: Callable[[Loaded], None] | None = None,
    foresees: bool = False,
) -> Loaded:
    """The project that the command line names; see :func:`provision.load.load`."""
    from provision.load import load

    reading = given.reading(args)
    found = load(
        args.inventory,
        args.playbook,
        limit=args.limit,
        extra=given.extra_vars(args.extra_vars),
        logins=given.logins(args) if hasattr(args, "user") else None,
        options=options,
        prepare=prepare,
        reading=reading,
        foresees=foresees,
    )
    given.warn(found.notes)
    return found


def sound(found: Loaded, no_lint: bool) -> bool:
    """Lint before any connection to a host. With ``--no-lint`` errors are warnings."""
    from provision.lint.project import lint

    findings = lint(found.configs, found.context)
    for finding in findings:
        shown = replace(finding, level="warning") if no_lint else finding
        say(f"provision: {shown}")
    if no_lint or not any(finding.level == "error" for finding in findings):
        return True
    say("provision: no host was touched (--no-lint continues in spite of errors)")
    return False


def transport(args: argparse.Namespace, found: Loaded) -> Transport:
    """Connections with the options of the command line; every key file is read here, before any connection."""
    from provision.transport.ssh import Connecting, Transport

    interactive = sys.stdin.isatty() and sys.stderr.isatty() and not getattr(args, "json", False)
    ways = Transport(Connecting(args.connect_timeout, args.accept_new, interactive))
    ways.prepare([config.host.login for config in found.configs])
    for note in ways.notes:
        say(f"provision: {note}")
    return ways


def read(
    args: argparse.Namespace,
    goal: Goal,
    found: Loaded,
    options: Options,
    also: Callable[[Event], None] | None = None,
    prepared: Callable[[Transport], None] | None = None,
    **more: Any,
) -> Result:
    """Make a run that changes no host; ``more`` are fields of its request. ``also`` receives its events too.
    ``prepared`` is called before the first connection."""
    from provision.rollout.run_request import RunRequest

    ways = _connected(args, found, prepared)
    request = RunRequest(goal, args.forks, args.deadline, args.look_within, **more)
    with _rollout(args, found, options, request, Listeners(args, "", also), ways) as rollout:
        return rollout.run()


def ask(args: argparse.Namespace, goal: Goal, also: Callable[[Event], None] | None = None) -> int:
    """Make a run that only reads from hosts; return the exit code."""
    from provision.catalog import Options
    from provision.commands.authorities import announce
    from provision.secrets.disclosure import new_salt

    clustering.check(args)
    options = Options(salt=new_salt())
    found = loaded(args, options, announce, foresees=True)
    return exit_code(read(args, goal, found, options, also))


def change(
    args: argparse.Namespace,
    goal: Goal,
    found: Loaded,
    options: Options,
    prove: bool = False,
    prepared: Callable[[Transport], None] | None = None,
    **more: Any,
) -> Result | None:
    """A run that changes hosts after the operator has approved its plans; ``more`` are fields of its request.
    ``prepared`` is called before the first connection. ``None`` for a fault of provision itself: hosts may have been
    changed."""
    from provision.remote.transaction import new_run
    from provision.rollout.roll_out import Hooks
    from provision.rollout.run_request import RunRequest

    ways = _connected(args, found, prepared)
    run = new_run()
    listeners = Listeners(args, run, None)
    # Without --yes there is a terminal: the command has checked that.
    asks = not args.yes
    request = RunRequest(
        goal,
        args.forks,
        args.deadline,
        args.look_within,
        confirm=partial(_ask, listeners.main) if asks else None,
        ask=listeners.main.ask if asks else None,
        verify=_verification(found),
        prove=prove,
        hook=Hooks(args.playbook.resolve().parent, run, args.deadline),
        run=run,
        confirm_within=args.confirm_within,
        max_impact=args.max_impact,
        **more,
    )
    with _rollout(args, found, options, request, listeners, ways) as rollout:
        listeners.add("the journal of the run", journal(args, request, found))
        try:
            return rollout.run()
        except Exception:
            sys.excepthook(*sys.exc_info())
            return None


def exit_code(result: Result | None, detailed: bool = False) -> int:
    """The exit code of a result; ``detailed``: 2 where changes are pending."""
    if result is None:
        return 3
    if result.interrupted:
        return 130
    if result.bad:
        return 3
    if result.declined:
        return 1
    return 2 if detailed and result.counts["changed"] else 0


def _connected(
    args: argparse.Namespace, found: Loaded, prepared: Callable[[Transport], None] | None = None
) -> Transport:
    from provision.secrets import secret

    secret.resolve()
    ways = transport(args, found)
    if prepared is not None:
        prepared(ways)
    # Garbage collection is off at the start; a long run over many hosts needs it.
    gc.freeze()
    gc.enable()
    return ways


@contextmanager
def _rollout(
    args: argparse.Namespace,
    found: Loaded,
    options: Options,
    request: RunRequest,
    listeners: Listeners,
    ways: Transport,
) -> Iterator[Rollout]:
    from provision.rollout.roll_out import Rollout

    fan_out = None
    ways.prompter.paused = listeners.paused
    try:
        fan_out = clustering.fan_out(args, options, request, found)
        yield Rollout(found.configs, found.context, ways, options, request, listeners, fan_out)
    finally:
        ways.prompter.cancel()
        listeners.close()
        if fan_out is not None:
            fan_out.close()


def _ask(main: Any, plans: list[Any]) -> bool:
    changes = sum(len(plan.changes) for plan in plans)
    plans = [plan for plan in plans if plan.changes] or plans
    hosts = f"{len(plans)} host{'s' if len(plans) > 1 else ''}"
    if not changes:
        return bool(main.ask(f"There is nothing to change. Verify {hosts}, and restart where needed?"))
    return bool(main.ask(f"Make {changes} change{'s' if changes > 1 else ''} on {hosts}?"))


def _verification(found: Loaded) -> Verify:
    """The verification at the end of a host's run, by the suites that a rollout or ``--verify`` names, over its open
    connection. testinfra is loaded at the first use. Raises :class:`SpecError` for an unknown suite in a rollout."""

    def verify(
        held: list[Any], emit: Callable[[Event], None], suites: tuple[str, ...], forks: int
    ) -> dict[str, Failure | None]:
        from provision.verify.run import VerifyRequest, prove

        return prove(found.context, VerifyRequest(suites, forks), held, emit)

    _check_suites(found)
    return verify


def _check_suites(found: Loaded) -> None:
    rollouts = [config.rollout_options for config in found.configs if config.rollout_options is not None]
    wanted = {(part.play, suite) for part, rollout_options in rollouts for suite in rollout_options.verify}
    if not wanted:
        return
    from provision.errors import SpecError
    from provision.text.yamlfile import nearest
    from provision.verify.run import known_suites

    known = known_suites(found.configs)
    for play, suite in sorted(wanted):
        if suite not in known:
            hint = nearest(suite, known) or f"there are: {', '.join(known)}"
            raise SpecError(f"play {play!r} has no suite {suite}", key="rollout.verify", hint=hint)
