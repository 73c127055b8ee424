"""Check whether hosts are suitable before anything is installed. Read-only; exit 3 when a verdict is bad."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from provision.commands import options, running

if TYPE_CHECKING:
    from provision.model import Event


def arguments(parser: argparse.ArgumentParser) -> None:
    options.selection(parser)
    options.logging_in(parser)
    options.group(parser, "what").add_argument(
        "--controller",
        action="store_true",
        help="check this machine and the project instead, without contact to a host; exit 1 for a problem",
    )


def run(args: argparse.Namespace, also: Callable[[Event], None] | None = None) -> int:
    """``also`` receives the events of the check too."""
    if args.controller:
        from provision.commands.controller import report

        return report(args)
    from provision.rollout.run_request import Goal

    return running.ask(args, Goal.DOCTOR, also)
