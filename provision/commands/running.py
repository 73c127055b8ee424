"""What commands that go to hosts have in common: load, connect, run, report."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from provision.commands import options as given

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from provision.desire import Options
    from provision.load import Loaded
    from provision.model import Event, Failure
    from provision.report.journal import Run
    from provision.report.webhook import Webhook
    from provision.rollout.cluster import Cluster
    from provision.rollout.host import Request, Verify
    from provision.transport.ssh import Transport


def loaded(args: argparse.Namespace, options: Options | None = None) -> Loaded:
    from provision.load import load

    return load(
        args.inventory,
        args.playbook,
        limit=args.limit,
        extra=given.extra_vars(args.extra_vars),
        logins=given.logins(args) if hasattr(args, "user") else None,
        options=options,
    )


def roll_out(
    args: argparse.Namespace,
    mode: Literal["plan", "apply", "doctor", "lock", "runs", "rollback"],
    also: Callable[[Event], None] | None = None,
) -> int:
    """What commands that look at hosts have in common: load, connect, run, report (and tell ``also``). Returns the
    exit code."""
    from provision.desire import Options

    options = Options()
    if mode in ("plan", "apply", "rollback"):
        options = Options(args.upgrade, args.lock_timeout, getattr(args, "repair_packages", False))
    found = loaded(args, options)
    promised = _promised(args, found)
    earlier = _earlier(args, mode, found)
    if mode in ("plan", "apply") and not _sound(found, args.no_lint):
        return 1
    from provision import secret
    from provision.rollout.fleet import Rollout
    from provision.rollout.hooks import Hooks
    from provision.rollout.host import Request
    from provision.work import new_run

    secret.resolve()
    ways = transport(args, found)
    listener = reporter(args)
    # The start did without collecting garbage; a long run over many hosts must not.
    gc.freeze()
    gc.enable()
    # Without --yes there is a terminal: apply has seen to it.
    changes = mode in ("apply", "rollback")
    asks = changes and not args.yes
    run = new_run() if changes else ""
    request = Request(
        mode,
        args.forks,
        args.deadline,
        args.look_within,
        confirm=partial(_ask, listener) if asks else None,
        ask=listener.ask if asks else None,
        verify=_verify(found, args.forks) if changes else None,
        prove=getattr(args, "verify", False),
        hook=Hooks(args.playbook.resolve().parent, run, args.deadline) if changes else None,
        run=run,
        confirm_within=getattr(args, "confirm_within", 60),
        max_impact=getattr(args, "max_impact", None),
        earlier=earlier,
        promised=promised,
    )
    shown = listener
    if getattr(args, "drift_report", False):
        from provision.report.drift import DriftReport

        shown = DriftReport(listener)
    events: list[Callable[[Event], None]] = [shown] if also is None else [shown, also]
    webhook = _told(args, run, events)
    fan_out = None
    try:
        fan_out = _cluster(args, options, request, found)
        rollout = Rollout(found.wishes, found.context, ways, options, request, partial(_each, events), fan_out)
        if changes:
            events.append(_journal(args, mode, request, found))
        result = rollout.run()
    finally:
        listener.close()
        for one in (webhook, fan_out):
            if one is not None:
                one.close()
    if result.interrupted:
        return 130
    if result.bad:
        return 3
    if result.declined:
        return 1
    return 2 if getattr(args, "detailed_exitcode", False) and result.counts["changed"] else 0


def _cluster(args: argparse.Namespace, options: Options, request: Request, found: Loaded) -> Cluster | None:
    """The cluster that goes through the hosts, if one was named. Raises :class:`UsageError`, as for what only works
    here."""
    if getattr(args, "cluster", None) is None:
        return None
    from provision.errors import UsageError

    try:
        from provision.rollout.cluster import Address, Cluster
    except ImportError as error:
        raise UsageError(f"--cluster needs provision[cluster] ({error})") from error
    from provision.rollout.shard import Project, digest
    from provision.transport.ssh import Connecting

    if args.ask_pass or args.ask_become_pass:
        raise UsageError("with --cluster nobody's password is sent around: workers log in with keys of their own")
    rollouts = [part.rollout for wish in found.wishes for part in wish.plays if part.rollout is not None]
    if any(hooks.host is not None for one in rollouts for hooks in (one.before, one.after)):
        raise UsageError("commands for each host run on this machine, and so not with --cluster; those for waves do")
    project = Project(
        args.inventory.resolve(),
        args.playbook.resolve(),
        given.extra_vars(args.extra_vars),
        given.logins(args),
        options,
        Connecting(args.connect_timeout, args.accept_new),
        digest(args.inventory, args.playbook),
    )
    address = Address(args.cluster, args.cluster_ca, args.cluster_cert, args.cluster_key)
    return Cluster(address, project, request, args.shard)


def _told(args: argparse.Namespace, run: str, events: list[Callable[[Event], None]]) -> Webhook | None:
    """Who else hears of this run, by the command line and PROVISION_WEBHOOK; the last of them is to be closed."""
    if getattr(args, "metrics", None) is not None:
        from provision.report.metrics import Metrics

        events.append(Metrics(_writable(args.metrics), str(args.playbook)))
    if getattr(args, "junit", None) is not None:
        from provision.report.junit import Junit

        events.append(Junit(_writable(args.junit)))
    url = getattr(args, "webhook", None) or (os.environ.get("PROVISION_WEBHOOK") if hasattr(args, "webhook") else None)
    if url is None:
        return None
    from provision.report.webhook import Webhook

    webhook = Webhook(url, {"run": run, "playbook": str(args.playbook)})
    events.append(webhook)
    return webhook


def _writable(path: Path) -> Path:
    """A file that can be written when the run is over, which is too late to find out."""
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        from provision.errors import UsageError

        raise UsageError(f"{path} can't be written: there is no such folder that is ours")
    return path


def _earlier(args: argparse.Namespace, mode: str, found: Loaded) -> str:
    """The earlier run that a command is about. One that is to be finished leaves only its unfinished hosts."""
    if mode == "rollback":
        return str(args.run)
    if (retried := getattr(args, "limit_failed", None)) is not None:
        _only_failed(args, retried, found)
    if getattr(args, "resume", None) is None:
        return ""
    from provision.errors import UsageError
    from provision.report.journal import broken_off

    known = [run for run in broken_off(args.playbook) if args.resume in ("", run.name)]
    if not known:
        what = f"run {args.resume}" if args.resume else "run that broke off"
        raise UsageError(f"no {what} is on record beside {args.playbook} (provision runs)")
    found.wishes[:] = [wish for wish in found.wishes if wish.host.name in known[-1].left]
    return known[-1].name


def _promised(args: argparse.Namespace, found: Loaded) -> dict[str, dict[str, Any]] | None:
    """What a plan file says of each host; only its hosts are left."""
    if getattr(args, "plan", None) is None:
        return None
    from provision import planfile, signing
    from provision.errors import UsageError

    if args.signers is not None:
        signing.signer(args.plan, args.signers)
    plan = planfile.read(args.plan)
    known = {wish.host.name for wish in found.wishes}
    if args.limit is None and (unknown := sorted(set(plan.hosts) - known)):
        raise UsageError(f"{args.plan} has hosts that the playbook has not (any more): {', '.join(unknown)}")
    found.wishes[:] = [wish for wish in found.wishes if wish.host.name in plan.hosts]
    if not found.wishes:
        raise UsageError(f"{args.plan} has none of these hosts")
    return plan.hosts


def _only_failed(args: argparse.Namespace, name: str, found: Loaded) -> None:
    """Leave only the hosts that a run left not as wished."""
    from provision.errors import UsageError

    failed = recorded(args.playbook, name).failed
    found.wishes[:] = [wish for wish in found.wishes if wish.host.name in failed]
    if not found.wishes:
        raise UsageError(f"run {name} left none of these hosts otherwise than as wished")


def recorded(playbook: Path, name: str) -> Run:
    """A run of the playbook's journal; ``last`` is the newest."""
    from provision.errors import UsageError
    from provision.report.journal import runs
    from provision.yamlfile import nearest

    known = {run.name: run for run in runs(playbook)}
    if name == "last" and known:
        return known[max(known)]
    if name not in known:
        hint = nearest(name, list(known)) or "provision runs lists them"
        raise UsageError(f"no run {name} is on record beside {playbook} ({hint})")
    return known[name]


def _journal(args: argparse.Namespace, mode: str, request: Request, found: Loaded) -> Callable[[Event], None]:
    from provision.report.journal import Journal

    head = {
        "mode": mode,
        "playbook": str(args.playbook),
        "by": whoami(),
        "hosts": [wish.host.name for wish in found.wishes],
        "resumes" if mode == "apply" else "brings_back": request.earlier,
    }
    return Journal(args.playbook, request.run, head)


def whoami() -> str:
    import getpass
    import socket

    return f"{getpass.getuser()}@{socket.gethostname()}"


def _each(listeners: list[Callable[[Event], None]], event: Event) -> None:
    for listener in listeners:
        listener(event)


def _sound(found: Loaded, insisted: bool) -> bool:
    """Lint before a host is touched; an operator who insists gets the errors as warnings."""
    from provision.lint.project import lint

    findings = lint(found.wishes)
    for finding in findings:
        shown = replace(finding, level="warning") if insisted else finding
        print(f"provision: {shown}", file=sys.stderr)
    if insisted or not any(finding.level == "error" for finding in findings):
        return True
    print("provision: no host was touched (--no-lint if you know better)", file=sys.stderr)
    return False


def transport(args: argparse.Namespace, found: Loaded) -> Transport:
    """Connections as the command line wants them; every key file is read here, before a host is touched."""
    from provision.transport.ssh import Connecting, Transport

    ways = Transport(Connecting(args.connect_timeout, args.accept_new))
    ways.prepare([wish.host.login for wish in found.wishes])
    return ways


def reporter(args: argparse.Namespace) -> Any:
    """Who hears the events: JSON Lines, a terminal, or lines of text."""
    if args.json:
        from provision.report.jsonlines import JsonLines

        return JsonLines()
    if sys.stdout.isatty() and not args.plain:
        from provision.report.terminal import Terminal

        return Terminal()
    from provision.report.text import Text

    return Text()


def _verify(found: Loaded, forks: int) -> Verify:
    """The suites, for hosts that are held; testinfra is loaded when they are first asked for. Raises
    :class:`SpecError` for a suite that a rollout names and nobody has."""

    def verify(held: list[Any], tell: Callable[[Event], None], suites: tuple[str, ...]) -> dict[str, Failure | None]:
        from provision.verify.run import Request, prove

        return prove(found.context, Request(suites, forks), held, tell)

    _known(found)
    return verify


def _known(found: Loaded) -> None:
    paced = {part.play: part.rollout for wish in found.wishes for part in wish.plays if part.rollout is not None}
    wanted = {(play, suite) for play, pacing in paced.items() for suite in pacing.verify}
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


def _ask(listener: Any, plans: list[Any]) -> bool:
    changes = sum(len(plan.changes) for plan in plans)
    hosts = f"{len(plans)} host{'s' if len(plans) > 1 else ''}"
    return bool(listener.ask(f"Make {changes} change{'s' if changes > 1 else ''} on {hosts}?"))
