"""Explain an error kind, a lint rule or an exit code: what it means, why it occurs, and what to do. Offline."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from provision.errors import UsageError
from provision.visible import show

if TYPE_CHECKING:
    from provision.explanations import Explanation
    from provision.lint.finding import Rule

_WIDTH = 80


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "words",
        nargs="*",
        metavar="WORD",
        help="an error.kind of --json (unconfirmed), a lint rule (DJ101 or unknown-key), or an exit code (3); "
        "default: list all of them",
    )


def run(args: argparse.Namespace) -> int:
    # All of them are looked up before the first is printed.
    texts = [_explained(word) for word in args.words] or [_listed()]
    show("\n".join(texts))
    return 0


def _explained(word: str) -> str:
    """The text about one word. Raises :class:`UsageError` for an unknown one."""
    from provision import distros
    from provision.explanations import CODES, KINDS
    from provision.lint.rules import RULES
    from provision.text.yamlfile import nearest

    kind = word.lower().replace("-", "_")
    if kind in KINDS:
        more = _part("Supported", f"{distros.supported()}.") if kind == "unsupported" else ()
        return "".join([*_of(f"{kind} (error kind)", KINDS[kind]), *more])
    if word.isdecimal() and int(word) in CODES:
        return "".join(_of(f"{int(word)} (exit code)", CODES[int(word)]))
    if found := [rule for rule in RULES.values() if word.lower() in (rule.id.lower(), rule.name)]:
        return "\n".join("".join(_rule(rule)) for rule in found)
    # Ids of rules are in capitals; everything else is in small letters.
    near = nearest(word.upper(), RULES) if any(map(str.isdigit, word)) else ""
    near = near or nearest(word.lower(), [*KINDS, *(rule.name for rule in RULES.values()), *map(str, CODES)])
    hint = near or "provision explain lists them"
    raise UsageError(f"no error kind, lint rule or exit code {word} ({hint})")


def _of(title: str, one: Explanation) -> Iterator[str]:
    yield from _wrapped(f"{title}: {_plain(one.meaning)}", "")
    yield from _part("Why", one.why)
    yield from _part("What to do", one.todo)
    yield from _lines("Example", one.example, "$ ")


def _rule(rule: Rule) -> Iterator[str]:
    yield f"{rule.id} {rule.name} (lint rule, {rule.level})\n"
    yield from _part("Why", rule.why)
    yield from _part("What to do", rule.instead)
    yield from _lines("Wrong", rule.bad)
    yield from _lines("Right", rule.good)
    yield from _part("Source", rule.source)


def _part(title: str, text: str) -> Iterator[str]:
    yield f"\n{title}:\n"
    yield from _wrapped(_plain(text), "  ")


def _lines(title: str, text: str, mark: str = "") -> Iterator[str]:
    yield f"\n{title}:\n"
    yield from (f"  {mark}{line}\n" for line in text.split("\n"))


def _wrapped(text: str, indent: str) -> Iterator[str]:
    lines = textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
    yield from (f"{line}\n" for line in lines)


def _plain(text: str) -> str:
    """The text without the marks of Markdown's code."""
    return text.replace("`", "")


def _listed() -> str:
    from provision.explanations import CODES, KINDS
    from provision.lint.rules import RULES

    parts = {
        "Exit codes": {str(number): one.meaning for number, one in CODES.items()},
        "Error kinds": {name: one.meaning for name, one in KINDS.items()},
        "Lint rules": {rule.id: f"{rule.name} ({rule.level})" for rule in RULES.values()},
    }
    text = ""
    for title, rows in parts.items():
        width = max(map(len, rows))
        text += f"{title}:\n" + "".join(f"  {name:{width}}  {_plain(about)}\n" for name, about in rows.items()) + "\n"
    return f"{text}provision explain WORD says why it occurs and what to do.\n"
