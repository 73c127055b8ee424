"""Reduce the hosts that the playbook and --limit select: by an earlier run, or by a plan."""

from __future__ import annotations

import argparse
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provision.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from provision.load import Loaded
    from provision.model import Login
    from provision.planning.planfile import PlanFile
    from provision.project.host_config import HostConfig
    from provision.report.journal import Run
    from provision.transport.ssh import Transport


def resumed(args: argparse.Namespace, found: Loaded) -> str:
    """The run that ``apply --resume`` finishes; empty for none. Only its unfinished hosts are kept. With
    ``--limit-failed`` only the hosts that a run did not bring into the desired state are kept."""
    if args.limit_failed is not None:
        _only_failed(args, args.limit_failed, found)
    if args.resume is None:
        return ""
    from provision.report.journal import broken_off

    known = [run for run in broken_off(args.playbook) if args.resume in ("", run.name)]
    if not known:
        what = f"run {args.resume}" if args.resume else "interrupted run"
        raise UsageError(f"no {what} is recorded for {args.playbook} (provision runs lists the runs)")
    found.configs[:] = [config for config in found.configs if config.host.name in known[-1].left]
    return known[-1].name


def approved_plan(args: argparse.Namespace) -> PlanFile | None:
    """The plan file that ``--plan`` names, read once: its signature is verified over the bytes that are parsed. Raises
    :class:`UsageError`."""
    from provision.inventory import program

    if args.plan is None:
        program.approve(None)
        return None
    from provision.planning import planfile
    from provision.secrets import signing

    data = planfile.load(args.plan)
    if args.signers is not None:
        signing.signer(args.plan, data, args.signers)
    found = planfile.parse(args.plan, data)
    # Before the inventory is read.
    program.approve(found.programs)
    return found


def approved_entries(args: argparse.Namespace, plan: PlanFile, found: Loaded) -> dict[str, dict[str, Any]]:
    """The plan file's entry of each host; only its hosts are kept. Raises :class:`UsageError` where the rollout would
    differ from the planned one."""
    from provision.planning import planfile

    known = {config.host.name for config in found.configs}
    if args.limit is None and (unknown := sorted(set(plan.hosts) - known)):
        raise UsageError(f"{args.plan} has hosts that the playbook does not have: {', '.join(unknown)}")
    found.configs[:] = [config for config in found.configs if config.host.name in plan.hosts]
    if not found.configs:
        raise UsageError(f"{args.plan} has none of these hosts")
    now = planfile.rollout(found.configs, args.playbook.resolve().parent)
    if other := planfile.other_rollout(plan.rollout, now, [config.host.name for config in found.configs]):
        raise UsageError(
            f"{args.plan} is not applied, and no host was touched: the rollout is not the one that was planned "
            f"({'; '.join(other)}); provision plan --out makes a new plan"
        )
    from provision.transport import destination

    _same_logins(args, {config.host.name: _login(plan, config, destination.asked) for config in found.configs})
    return plan.hosts


def _login(plan: PlanFile, config: HostConfig, asked: Callable[[Login], dict[str, Any]]) -> list[str]:
    from provision.transport.destination import differences

    return differences(plan.logins[config.host.name]["asked"], asked(config.host.login))


def same_places(args: argparse.Namespace, plan: PlanFile, found: Loaded, ways: Transport) -> None:
    """Raises :class:`UsageError` where ssh would reach another machine than the approved one, by another way, or accept
    other host keys."""
    from provision.transport import destination

    others = {}
    none: dict[str, Any] = {}
    for config in found.configs:
        approved: list[dict[str, Any]] = plan.logins[config.host.name]["reached"]
        now = destination.reached(ways.route(config.host.login))
        others[config.host.name] = [
            f"jump host {number}: {text}" if number else text
            for number, (one, other) in enumerate(zip_longest(approved, now, fillvalue=none))
            for text in destination.differences(one, other)
        ]
    _same_logins(args, others)


def _same_logins(args: argparse.Namespace, others: dict[str, list[str]]) -> None:
    found = [f"{name}: {'; '.join(texts)}" for name, texts in others.items() if texts]
    if found:
        more = f" | and {len(found) - 3} more hosts" if len(found) > 3 else ""
        raise UsageError(
            f"{args.plan} is not applied, and no host was touched: the way to hosts is not the one of the plan"
            f" ({' | '.join(found[:3])}{more}); provision plan --out makes a new plan"
        )


def _only_failed(args: argparse.Namespace, name: str, found: Loaded) -> None:
    """Keep only the hosts that a run did not bring into the desired state."""
    failed = recorded(args.playbook, name).failed
    found.configs[:] = [config for config in found.configs if config.host.name in failed]
    if not found.configs:
        raise UsageError(f"run {name} brought all of these hosts into the desired state")


def recorded(playbook: Path, name: str) -> Run:
    """A run of the playbook's journal; ``last`` is the newest."""
    from provision.report.journal import runs
    from provision.text.yamlfile import nearest

    known = {run.name: run for run in runs(playbook)}
    if name == "last" and known:
        return known[max(known)]
    if name not in known:
        hint = nearest(name, list(known)) or "provision runs lists them"
        raise UsageError(f"no run {name} is recorded for {playbook} ({hint})")
    return known[name]
