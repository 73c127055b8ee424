"""Report mistakes in a playbook, its hosts, or any daemon.json; offline, no host is touched."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from provision.commands import options
from provision.visible import show

if TYPE_CHECKING:
    from provision.lint.finding import Finding


def arguments(parser: argparse.ArgumentParser) -> None:
    options.inventory(parser)
    parser.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="playbooks, and daemon.json files (*.json); default: playbooks/site.yml",
    )
    parser.add_argument("-l", "--limit", metavar="PATTERN", help="only these hosts, in Ansible's patterns")
    parser.add_argument(
        "--engine", metavar="VERSION", help="the engine that a daemon.json is for (default: the newest)"
    )
    parser.add_argument("--format", choices=("text", "json", "sarif", "github"), default="text")
    parser.add_argument(
        "--trusted",
        action="store_true",
        help="run the inventory's scripts and plugins, and let templates read the environment and any file",
    )
    parser.add_argument("--ignore", action="append", default=[], metavar="ID", help="not this rule (repeatable)")


def run(args: argparse.Namespace) -> int:
    from provision.errors import UsageError
    from provision.lint.output_formats import FORMATS
    from provision.lint.rules import RULES
    from provision.text.yamlfile import nearest

    for id in args.ignore:
        if id not in RULES:
            raise UsageError(f"no rule {id} ({nearest(id, RULES) or 'docs/lint/README.md lists them'})")
    found: list[Finding] = []
    for file in args.files or [Path("playbooks/site.yml")]:
        found += _daemon_json(file, args) if file.suffix == ".json" else _playbook(file, args)
    found = [finding for finding in found if finding.rule.id not in args.ignore]
    show(FORMATS[args.format](found))
    return 1 if any(finding.level == "error" for finding in found) else 0


def _daemon_json(file: Path, args: argparse.Namespace) -> list[Finding]:
    from provision.dockerd.daemon_keys import NEWEST, version
    from provision.errors import UsageError
    from provision.lint.daemon_file import lint_text
    from provision.text import limits

    engine = version(args.engine) if args.engine else NEWEST
    if engine is None:
        raise UsageError(f"--engine takes a version such as 28.5, not {args.engine}")
    return lint_text(file, limits.text(file), engine)


def _playbook(file: Path, args: argparse.Namespace) -> list[Finding]:
    from provision.errors import SpecError
    from provision.lint import project
    from provision.load import load

    reading = options.reading(args, trusted=args.trusted)
    try:
        extra = options.extra_vars(args.extra_vars)
        # A project whose authorities are made by its first apply is whole.
        found = load(args.inventory, file, limit=args.limit, extra=extra, foresees=True, reading=reading)
    except SpecError as error:
        return [project.broken(error, file)]
    options.warn(found.notes)
    return project.lint(found.configs, found.context)
