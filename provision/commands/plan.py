"""Show what apply would change, with diffs; change nothing."""

from __future__ import annotations

import argparse

from provision.commands import options, running


def arguments(parser: argparse.ArgumentParser) -> None:
    options.selection(parser)
    options.connecting(parser)
    parser.add_argument("--detailed-exitcode", action="store_true", help="exit 2 when changes are pending")


def run(args: argparse.Namespace) -> int:
    return running.roll_out(args, "plan")
