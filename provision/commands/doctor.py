"""Check whether hosts are suitable before anything is installed. Read-only; exit 3 when a verdict is bad."""

from __future__ import annotations

import argparse

from provision.commands import options, running


def arguments(parser: argparse.ArgumentParser) -> None:
    options.selection(parser)
    options.logging_in(parser)


def run(args: argparse.Namespace) -> int:
    from provision.rollout.goal import Goal

    return running.ask(args, Goal.DOCTOR)
