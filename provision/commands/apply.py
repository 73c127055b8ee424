"""Make the hosts what the playbook says; a host that is already right costs one connection and one exec."""

from __future__ import annotations

import argparse
import sys

from provision.commands import options, running


def arguments(parser: argparse.ArgumentParser) -> None:
    options.selection(parser)
    options.connecting(parser)
    parser.add_argument("--verify", action="store_true", help="prove it afterwards, on the same connections")
    parser.add_argument("--yes", action="store_true", help="do not ask (needed where there is no terminal)")


def run(args: argparse.Namespace) -> int:
    if not args.yes and (args.json or not (sys.stdin.isatty() and sys.stdout.isatty())):
        from provision.errors import UsageError

        raise UsageError("apply asks before it changes anything; without a terminal, or with --json, it needs --yes")
    return running.roll_out(args, "apply")
