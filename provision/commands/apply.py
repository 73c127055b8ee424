"""Bring the hosts into the desired state; a host that is in it already costs one connection and one exec."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from provision.commands import clustering, options, running, selection
from provision.commands.authorities import renew
from provision.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    options.selection(parser)
    options.connecting(parser)
    options.group(parser, "rollout").add_argument(
        "--verify", action="store_true", help="then run the suites of `provision verify`, on the same connections"
    )
    options.group(parser, "what").add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="RUN",
        help="finish an interrupted run from each host's own record (default: the last such run)",
    )
    options.group(parser, "what").add_argument(
        "--plan",
        type=Path,
        metavar="FILE",
        help="make exactly the changes of this plan (plan --out); refuse a host that now needs others",
    )
    options.group(parser, "safety").add_argument(
        "--signers",
        type=Path,
        metavar="FILE",
        help="require a signature by a key of this file (format: allowed_signers of ssh)",
    )
    options.group(parser, "what").add_argument(
        "--limit-failed",
        metavar="RUN",
        help="only hosts that RUN did not bring into the desired state: failed, unreachable, rolled back, skipped or"
        " unfinished",
    )
    options.group(parser, "safety").add_argument(
        "--repair-packages",
        action="store_true",
        help="where dpkg was interrupted, finish that first (dpkg --configure -a)",
    )
    changing(parser)


def changing(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of every command that changes hosts."""
    options.showing(parser)
    options.group(parser, "safety").add_argument(
        "--confirm-within",
        type=options.seconds,
        default=60,
        metavar="S",
        help="seconds within which a new login must confirm a risky change, or the host rolls it back (default: 60)",
    )
    options.group(parser, "safety").add_argument(
        "--yes", action="store_true", help="do not ask (required without a terminal)"
    )


def may_ask(args: argparse.Namespace) -> None:
    if not args.yes and (args.json or args.plain or not (sys.stdin.isatty() and sys.stdout.isatty())):
        raise UsageError(
            f"{args.command} asks before it changes anything; without a terminal, with --json or --plain it needs --yes"
        )


def run(args: argparse.Namespace) -> int:
    may_ask(args)
    if args.signers is not None and args.plan is None:
        raise UsageError("--signers needs --plan FILE")
    from provision.catalog import Options
    from provision.rollout.run_request import Goal
    from provision.secrets.disclosure import new_salt

    clustering.check(args)
    plan = selection.approved_plan(args)
    salt = plan.salt if plan is not None else new_salt()
    options = Options(args.upgrade, args.lock_timeout, args.repair_packages, salt)
    found = running.loaded(args, options, renew)
    approved = selection.approved_entries(args, plan, found) if plan is not None else None
    prepared = None if plan is None else partial(selection.same_places, args, plan, found)
    earlier = selection.resumed(args, found)
    if not running.sound(found, args.no_lint):
        return 1
    return running.exit_code(
        running.change(args, Goal.APPLY, found, options, args.verify, prepared, earlier=earlier, approved=approved)
    )
