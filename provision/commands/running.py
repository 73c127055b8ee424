"""What commands that go to hosts have in common: load, connect, run, report."""

from __future__ import annotations

import argparse
import gc
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from msgspec.structs import replace

from provision.commands import clustering, narrowing
from provision.commands import options as given
from provision.commands.listening import Listeners, journal
from provision.visible import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from provision.desire import Options
    from provision.load import Loaded
    from provision.model import Event, Failure, Salt
    from provision.rollout.request import Verify
    from provision.transport.ssh import Transport


def loaded(
    args: argparse.Namespace, options: Options | None = None, prepare: Callable[[Loaded], None] | None = None
) -> Loaded:
    from provision.load import load

    return load(
        args.inventory,
        args.playbook,
        limit=args.limit,
        extra=given.extra_vars(args.extra_vars),
        logins=given.logins(args) if hasattr(args, "user") else None,
        options=options,
        prepare=prepare,
    )


def _renew(found: Loaded) -> None:
    """Certificates of our own authorities that are not there, or about to end."""
    from provision.desire.certificates import renewed

    for said in renewed(found.wishes, found.context):
        say(f"provision: {said}")


def _foresee(found: Loaded) -> None:
    """The same, for what changes nothing: they are not made yet."""
    from provision.desire.certificates import foresee

    for said in foresee(found.wishes, found.context):
        say(f"provision: {said}")


def roll_out(
    args: argparse.Namespace,
    mode: Literal["plan", "apply", "doctor", "lock", "runs", "rollback"],
    also: Callable[[Event], None] | None = None,
    written: Callable[[Loaded, Salt], None] | None = None,
) -> int:
    """What commands that look at hosts have in common: load, connect, run, report (and tell ``also``). ``written`` is
    called before the run where its plan is to be a file, with what it is of and the salt of its hashes. Returns the
    exit code."""
    from provision.desire import Options
    from provision.disclosure import new_salt

    clustering.check(args)
    plan = narrowing.approved(args)
    salt = plan.salt if plan is not None else new_salt(stored=written is not None)
    options = Options(salt=salt)
    if mode in ("plan", "apply", "rollback"):
        options = Options(args.upgrade, args.lock_timeout, getattr(args, "repair_packages", False), salt)
    # A plan that is written to a file is of the very bytes that apply writes, so those must be there.
    foreseeing = mode != "rollback" and written is None
    found = loaded(args, options, _renew if mode == "apply" else _foresee if foreseeing else None)
    promised = narrowing.promised(args, plan, found) if plan is not None else None
    if written is not None:
        written(found, salt)
    earlier = narrowing.earlier(args, mode, found)
    if mode in ("plan", "apply") and not _sound(found, args.no_lint):
        return 1
    from provision import secret
    from provision.rollout.fleet import Rollout
    from provision.rollout.hooks import Hooks
    from provision.rollout.request import Request
    from provision.work import new_run

    secret.resolve()
    ways = transport(args, found)
    # The start did without collecting garbage; a long run over many hosts must not.
    gc.freeze()
    gc.enable()
    # Without --yes there is a terminal: apply has seen to it.
    changes = mode in ("apply", "rollback")
    asks = changes and not args.yes
    run = new_run() if changes else ""
    listeners = Listeners(args, run, also)
    request = Request(
        mode,
        args.forks,
        args.deadline,
        args.look_within,
        confirm=partial(_ask, listeners.main) if asks else None,
        ask=listeners.main.ask if asks else None,
        verify=_verify(found, args.forks) if changes else None,
        prove=getattr(args, "verify", False),
        hook=Hooks(args.playbook.resolve().parent, run, args.deadline) if changes else None,
        run=run,
        confirm_within=getattr(args, "confirm_within", 60),
        max_impact=getattr(args, "max_impact", None),
        earlier=earlier,
        promised=promised,
    )
    fan_out = None
    try:
        fan_out = clustering.cluster(args, options, request, found)
        rollout = Rollout(found.wishes, found.context, ways, options, request, listeners, fan_out)
        if changes:
            listeners.add("the journal of the run", journal(args, mode, request, found))
        try:
            result = rollout.run()
        except Exception:
            if not changes:
                raise
            # A fault of provision's. Hosts may have been changed, so exit code 1 would be wrong.
            sys.excepthook(*sys.exc_info())
            return 3
    finally:
        listeners.close()
        if fan_out is not None:
            fan_out.close()
    if result.interrupted:
        return 130
    if result.bad:
        return 3
    if result.declined:
        return 1
    return 2 if getattr(args, "detailed_exitcode", False) and result.counts["changed"] else 0


def _sound(found: Loaded, insisted: bool) -> bool:
    """Lint before a host is touched; an operator who insists gets the errors as warnings."""
    from provision.lint.project import lint

    findings = lint(found.wishes)
    for finding in findings:
        shown = replace(finding, level="warning") if insisted else finding
        say(f"provision: {shown}")
    if insisted or not any(finding.level == "error" for finding in findings):
        return True
    say("provision: no host was touched (--no-lint if you know better)")
    return False


def transport(args: argparse.Namespace, found: Loaded) -> Transport:
    """Connections as the command line wants them; every key file is read here, before a host is touched."""
    from provision.transport.ssh import Connecting, Transport

    interactive = sys.stdin.isatty() and sys.stderr.isatty() and not getattr(args, "json", False)
    ways = Transport(Connecting(args.connect_timeout, args.accept_new, interactive))
    ways.prepare([wish.host.login for wish in found.wishes])
    for note in ways.notes:
        say(f"provision: {note}")
    return ways


def _verify(found: Loaded, forks: int) -> Verify:
    """The suites, for hosts that are held; testinfra is loaded when they are first asked for. Raises
    :class:`SpecError` for a suite that a rollout names and nobody has."""

    def verify(held: list[Any], tell: Callable[[Event], None], suites: tuple[str, ...]) -> dict[str, Failure | None]:
        from provision.verify.run import Request, prove

        return prove(found.context, Request(suites, forks), held, tell)

    _known(found)
    return verify


def _known(found: Loaded) -> None:
    pacings = [wish.pacing for wish in found.wishes if wish.pacing is not None]
    wanted = {(part.play, suite) for part, pacing in pacings for suite in pacing.verify}
    if not wanted:
        return
    from provision.errors import SpecError
    from provision.verify.run import known_suites
    from provision.yamlfile import nearest

    known = known_suites(found.wishes)
    for play, suite in sorted(wanted):
        if suite not in known:
            hint = nearest(suite, known) or f"there are: {', '.join(known)}"
            raise SpecError(f"play {play!r} has no suite {suite}", key="rollout.verify", hint=hint)


def _ask(main: Any, plans: list[Any]) -> bool:
    changes = sum(len(plan.changes) for plan in plans)
    plans = [plan for plan in plans if plan.changes] or plans
    hosts = f"{len(plans)} host{'s' if len(plans) > 1 else ''}"
    if not changes:
        return bool(main.ask(f"There is nothing to change; prove, and restart where needed, {hosts}?"))
    return bool(main.ask(f"Make {changes} change{'s' if changes > 1 else ''} on {hosts}?"))
