"""Reduce the hosts that the playbook and --limit select: by an earlier run, or by a plan."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provision.load import Loaded
    from provision.planning.planfile import PlanFile
    from provision.report.journal import Run


def resumed(args: argparse.Namespace, found: Loaded) -> str:
    """The run that ``apply --resume`` finishes; empty for none. Only its unfinished hosts are kept. With
    ``--limit-failed`` only the hosts that a run did not bring into the desired state are kept."""
    if args.limit_failed is not None:
        _only_failed(args, args.limit_failed, found)
    if args.resume is None:
        return ""
    from provision.errors import UsageError
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
    if args.plan is None:
        return None
    from provision.planning import planfile
    from provision.secrets import signing

    data = planfile.load(args.plan)
    if args.signers is not None:
        signing.signer(args.plan, data, args.signers)
    return planfile.parse(args.plan, data)


def approved_entries(args: argparse.Namespace, plan: PlanFile, found: Loaded) -> dict[str, dict[str, Any]]:
    """The plan file's entry of each host; only its hosts are kept. Raises :class:`UsageError` where the rollout would
    differ from the planned one."""
    from provision.errors import UsageError
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
    return plan.hosts


def _only_failed(args: argparse.Namespace, name: str, found: Loaded) -> None:
    """Keep only the hosts that a run did not bring into the desired state."""
    from provision.errors import UsageError

    failed = recorded(args.playbook, name).failed
    found.configs[:] = [config for config in found.configs if config.host.name in failed]
    if not found.configs:
        raise UsageError(f"run {name} brought all of these hosts into the desired state")


def recorded(playbook: Path, name: str) -> Run:
    """A run of the playbook's journal; ``last`` is the newest."""
    from provision.errors import UsageError
    from provision.report.journal import runs
    from provision.text.yamlfile import nearest

    known = {run.name: run for run in runs(playbook)}
    if name == "last" and known:
        return known[max(known)]
    if name not in known:
        hint = nearest(name, list(known)) or "provision runs lists them"
        raise UsageError(f"no run {name} is recorded for {playbook} ({hint})")
    return known[name]
