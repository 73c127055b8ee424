"""Restore what a run replaced on its hosts: files, settings, service states and package versions; through a plan and
a confirmation like every change. A rollback is a run of its own, and can be rolled back too."""

from __future__ import annotations

import argparse

from provision.commands import apply, clustering, options, running


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="the name of a run (see `provision runs`)")
    options.selection(parser)
    options.connecting(parser)
    apply.changing(parser)


def run(args: argparse.Namespace) -> int:
    apply.may_ask(args)
    from provision.catalog import Options
    from provision.rollout.run_request import Goal
    from provision.secrets.disclosure import new_salt

    clustering.check(args)
    options = Options(args.upgrade, args.lock_timeout, salt=new_salt())
    found = running.loaded(args, options)
    return running.exit_code(running.change(args, Goal.ROLLBACK, found, options, earlier=args.run))
