"""Restore what a run replaced on its hosts: files, settings, service states and package versions; through a plan and
a confirmation like every change. A rollback is a run of its own, and can be rolled back too."""

from __future__ import annotations

import argparse

from provision.commands import apply, options, running


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run, as `provision runs` names it")
    options.selection(parser)
    options.connecting(parser)
    apply.changing(parser)


def run(args: argparse.Namespace) -> int:
    apply.may_ask(args)
    return running.roll_out(args, "rollback")
