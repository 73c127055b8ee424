"""Show earlier runs: those of a playbook, one of them with its diffs, or those that the hosts have a record of."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from provision.commands import options, running, selection
from provision.errors import UsageError
from provision.visible import say

if TYPE_CHECKING:
    from provision.report.journal import Run


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "words",
        nargs="*",
        metavar="[show RUN] [PLAYBOOK]",
        help=f"show: what a run did to each host, with diffs; a playbook's runs (default: {options.PLAYBOOK})",
    )
    options.hosts(parser)
    options.logging_in(parser)
    options.group(parser, "what").add_argument(
        "--on-hosts", action="store_true", help="read which runs the hosts can roll back"
    )


def run(args: argparse.Namespace) -> int:
    shown, args.playbook = _words(args.words)
    if args.on_hosts:
        from provision.rollout.run_request import Goal

        return running.ask(args, Goal.RUNS)
    from provision.report.journal import broken_off, runs

    if shown is not None:
        return _show(selection.recorded(args.playbook, shown))
    left = {run.name for run in broken_off(args.playbook)}
    found = list(runs(args.playbook))
    if not found:
        say("no run of this playbook is recorded here (provision runs --on-hosts asks the hosts)", sys.stdout)
    for one in found:
        counts: dict[str, int] = {}
        for end in one.ended.values():
            counts[end["status"]] = counts.get(end["status"], 0) + 1
        shown = ", ".join(f"{count} {status}" for status, count in counts.items()) or "nothing yet"
        state = (
            ""
            if one.name not in left
            else f"; interrupted, without {', '.join(one.left) or 'its end'} (apply --resume)"
        )
        say(f"{one.name}  {one.head['mode']:8}  {shown}{state}", sys.stdout)
    return 0


def _words(words: list[str]) -> tuple[str | None, Path]:
    """The run to show, and the playbook."""
    rest = words
    shown = None
    if words[:1] == ["show"]:
        if len(words) < 2:
            raise UsageError("provision runs show needs the name of a run (provision runs lists them)")
        shown, rest = words[1], words[2:]
    if len(rest) > 1:
        raise UsageError(f"give one playbook, not {len(rest)}: {' '.join(rest)}")
    return shown, Path(rest[0]) if rest else options.PLAYBOOK


def _show(one: Run) -> int:
    say(f"run {one.name}: {one.head['mode']} {one.head['playbook']}, by {one.head['by']}", sys.stdout)
    for host in one.hosts:
        plan, end = one.planned.get(host), one.ended.get(host)
        status = end["status"] if end is not None else "no end recorded"
        say("", sys.stdout)
        say(f"{host}: {status}", sys.stdout)
        for item in (plan or {}).get("items", []):
            say(f"  {item['summary']}", sys.stdout)
            for line in item["diff"]:
                say(f"      {line}", sys.stdout)
        if end is not None and "error" in end:
            say(f"  {end['error']['kind']}: {end['error']['message']}", sys.stdout)
    return 0
