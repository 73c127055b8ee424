"""Check the hosts against their spec with testinfra's own probes, on verified connections; change nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

from provision.commands import options, running


def arguments(parser: argparse.ArgumentParser) -> None:
    options.selection(parser)
    options.logging_in(parser)
    parser.add_argument("--suite", action="append", default=[], metavar="NAME", help="only this suite (repeatable)")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the checks as JUnit XML")


def run(args: argparse.Namespace) -> int:
    from provision.errors import UsageError
    from provision.yamlfile import nearest

    found = running.loaded(args)
    from provision.verify.run import Request, names, verify

    for name in args.suite:
        if name not in names():
            raise UsageError(f"no suite {name} ({nearest(name, names()) or ', '.join(names())})")
    transport = running.transport(args, found)
    request = Request(tuple(args.suite), args.forks, args.deadline, args.junit and args.junit.resolve())
    reporter = running.reporter(args)
    try:
        counts = verify(found.wishes, found.context, transport, request, reporter)
    finally:
        reporter.close()
    return 3 if counts["failed"] or counts["unreachable"] else 0
