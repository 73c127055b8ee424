"""Does a host suit, before anything is installed? Read-only, one exec, a verdict a line; exit 3 when one is bad."""

from __future__ import annotations

import argparse

from provision.commands import shared


def arguments(parser: argparse.ArgumentParser) -> None:
    shared.selection(parser)
    shared.logging_in(parser)


def run(args: argparse.Namespace) -> int:
    return shared.roll_out(args, "doctor")
