"""Check the hosts against their spec with testinfra's own probes, on verified connections; change nothing
except what --disruptive and --reboot allow."""

from __future__ import annotations

import argparse
from pathlib import Path

from provision.commands import options, running
from provision.commands.reporters import reporter, visibly
from provision.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    options.selection(parser)
    options.logging_in(parser)
    options.group(parser, "what").add_argument(
        "--suite", action="append", default=[], metavar="SUITE", help="only this suite (repeatable; default: all)"
    )
    options.group(parser, "what").add_argument(
        "--check",
        metavar="EXPRESSION",
        default="",
        help="only checks that match, as pytest's -k: 'sysctl and not boot' (default: all)",
    )
    options.group(parser, "safety").add_argument(
        "--disruptive",
        action="store_true",
        help="also run checks that restart the daemon, change a setting or use up memory for a moment",
    )
    options.group(parser, "rollout").add_argument(
        "--reboot", action="store_true", help="restart each host first, one at a time, then check it"
    )
    options.group(parser, "output").add_argument(
        "--junit", type=Path, metavar="FILE", help="write the checks as JUnit XML"
    )


def run(args: argparse.Namespace) -> int:
    from provision.text.yamlfile import nearest

    found = running.loaded(args)
    from provision.verify.run import VerifyRequest, known_suites, verify

    suites = known_suites(found.configs)
    for name in args.suite:
        if name not in suites:
            raise UsageError(f"no suite {name} ({nearest(name, suites) or ', '.join(suites)})")
    transport = running.transport(args, found)
    report = args.junit and args.junit.resolve()
    request = VerifyRequest(
        tuple(args.suite), args.forks, args.deadline, report, args.disruptive, args.reboot, args.check
    )
    main = reporter(args)
    try:
        counts = verify(found.configs, found.context, transport, request, visibly(main))
    finally:
        main.close()
    return 3 if counts["failed"] or counts["unreachable"] else 0
