"""Does a host suit, before anything is installed? Read-only, one exec, a verdict a line; exit 3 when one is bad."""

from __future__ import annotations

import argparse

from provision.commands import options, running


def arguments(parser: argparse.ArgumentParser) -> None:
    options.selection(parser)
    options.logging_in(parser)


def run(args: argparse.Namespace) -> int:
    from provision.rollout.goal import Goal

    return running.ask(args, Goal.DOCTOR)
