"""Check playbooks, their hosts, and daemon.json files offline; no host is touched."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from provision.commands import options
from provision.errors import SpecError, UsageError
from provision.visible import say, show

if TYPE_CHECKING:
    from provision.engine.keys import Version
    from provision.lint.finding import Finding

_STANDARD_INPUT = Path("-")
#: The exit code for wrong usage of options that are newer than the contract of exit codes, as in ruff.
_WRONG_USAGE = 2


def arguments(parser: argparse.ArgumentParser) -> None:
    options.inventory(parser)
    parser.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="playbooks, and daemon.json files (*.json); - reads a daemon.json from standard input; "
        "default: playbooks/site.yml",
    )
    options.group(parser, "what").add_argument(
        "-l", "--limit", metavar="PATTERN", help="only these hosts, in Ansible's patterns (default: all)"
    )
    options.group(parser, "what").add_argument(
        "--engine", metavar="VERSION", help="the engine that a daemon.json is for (default: the newest)"
    )
    options.group(parser, "output").add_argument(
        "--format",
        choices=("text", "json", "sarif", "github"),
        default="text",
        help="format of the findings (default: text)",
    )
    options.group(parser, "what").add_argument(
        "--trusted",
        action="store_true",
        help="run the inventory's scripts and plugins, and let templates read the environment and any file",
    )
    options.group(parser, "what").add_argument(
        "--ignore", action="append", default=[], metavar="RULE", help="skip this rule (repeatable)"
    )
    options.group(parser, "what").add_argument(
        "--fix",
        action="store_true",
        help="correct daemon.json files where there is only one correction, and report the rest; "
        "with -, write the corrected text to standard output and the findings to standard error",
    )
    options.group(parser, "what").add_argument(
        "--stdin-filename", type=Path, metavar="NAME", help="the name of standard input in findings (default: -)"
    )


def run(args: argparse.Namespace) -> int:
    if not args.fix and _STANDARD_INPUT not in args.files:
        return _lint(args)
    try:
        return _lint(args)
    except (UsageError, SpecError, OSError) as error:
        say(f"provision: {error}")
        return _WRONG_USAGE


def _lint(args: argparse.Namespace) -> int:
    from provision.lint import unchecked
    from provision.lint.output_formats import FORMATS
    from provision.lint.rules import RULES
    from provision.text.yamlfile import nearest

    for id in args.ignore:
        if id not in RULES:
            raise UsageError(f"no rule {id} ({nearest(id, RULES) or 'docs/lint/README.md lists them'})")
    if args.files.count(_STANDARD_INPUT) > 1 or (args.fix and _STANDARD_INPUT in args.files and len(args.files) > 1):
        raise UsageError("- is given once, and with --fix alone")
    engine = _engine(args)
    files = args.files or [Path("playbooks/site.yml")]
    found: list[Finding] = []
    unread = False
    for file in files:
        try:
            found += _checked(file, args, engine)
        except SpecError as error:
            if len(files) == 1 and (args.fix or file == _STANDARD_INPUT):
                raise
            unread = True
            found.append(unchecked.unreadable(error, file))
        except UsageError:
            raise
        except Exception as error:  # the findings of the other files must not be lost
            sys.excepthook(type(error), error, error.__traceback__)
            found.append(unchecked.internal(error, file))
    found = [finding for finding in found if finding.rule.id not in args.ignore]
    aside = args.fix and args.files == [_STANDARD_INPUT]
    show(FORMATS[args.format](found), sys.stderr if aside else sys.stdout)
    if unread and args.fix:
        return _WRONG_USAGE
    return 1 if any(finding.level == "error" for finding in found) else 0


def _checked(file: Path, args: argparse.Namespace, engine: Version) -> list[Finding]:
    """The findings in a file. Raises :class:`SpecError` for a file that can't be read."""
    if file == _STANDARD_INPUT or file.suffix == ".json":
        return _daemon_json(file, args, engine)
    return _playbook(file, args)


def _daemon_json(file: Path, args: argparse.Namespace, engine: Version) -> list[Finding]:
    from provision import limits
    from provision.lint.daemon_file import lint_text

    limits.confine([] if args.trusted or file == _STANDARD_INPUT else [file])
    if args.fix:
        return _fixed(file, args, engine)
    if file == _STANDARD_INPUT:
        return lint_text(args.stdin_filename or file, limits.one_ending(limits.standard_input()), engine)
    return lint_text(file, limits.text(file), engine)


def _fixed(file: Path, args: argparse.Namespace, engine: Version) -> list[Finding]:
    """Correct a file and return the remaining findings. Lines keep their line endings."""
    from provision import limits
    from provision.lint import fix
    from provision.lint.daemon_file import lint_text

    standard = file == _STANDARD_INPUT
    before = limits.standard_input() if standard else limits.exact_text(file)
    text, count = fix.mended(before, engine)
    if standard:
        sys.stdout.buffer.write(text.encode("utf-8"))
        sys.stdout.buffer.flush()
    elif count:
        fix.write(file, text)
        say(f"{file}: {count} corrected")
    name = (args.stdin_filename or file) if standard else file
    return lint_text(name, limits.one_ending(text), engine)


def _engine(args: argparse.Namespace) -> Version:
    from provision.engine.keys import NEWEST, version

    engine = version(args.engine) if args.engine else NEWEST
    if engine is None:
        raise UsageError(f"--engine takes a version such as 28.5, not {args.engine}")
    return engine


def _playbook(file: Path, args: argparse.Namespace) -> list[Finding]:
    from provision.lint import project
    from provision.load import load

    reading = options.reading(args, None if args.trusted else file)
    try:
        extra = options.extra_vars(args.extra_vars)
        # A project whose authorities are made by its first apply is complete.
        found = load(args.inventory, file, limit=args.limit, extra=extra, foresees=True, reading=reading, tolerant=True)
    except SpecError as error:
        return [project.broken(one, file) for one in error.each()]
    options.warn(found.notes)
    if found.faults:
        broken = [project.broken(error, file) for error in found.faults]
        return project.ordered([*broken, *project.daemons(found.configs)])
    return project.lint(found.configs, found.context)
