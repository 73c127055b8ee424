"""Write a page of a finished run: its timeline, waves, steps, diffs, errors and checks."""

from __future__ import annotations

import argparse
from pathlib import Path

from provision.commands import options
from provision.commands.selection import recorded
from provision.visible import show


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's name (provision runs), or: last")
    parser.add_argument("playbook", nargs="?", type=Path, default=options.PLAYBOOK, help=f"default: {options.PLAYBOOK}")
    options.group(parser, "output").add_argument(
        "--html", type=Path, required=True, metavar="FILE", help="file to write; - is standard output"
    )


def run(args: argparse.Namespace) -> int:
    from provision.report.html import page
    from provision.secrets.private_file import write_private

    whole = page(recorded(args.playbook, args.run))
    if str(args.html) == "-":
        show(whole)
        return 0
    # It contains diffs of files that not every user may read.
    write_private(args.html, whole)
    return 0
