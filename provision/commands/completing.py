"""What may come next on a command line: ``provision --complete SHELL WORD... CURRENT``, for the completion scripts.

The first line of the answer is its kind, and a prefix of the current word that a file's name follows. Each further line
is a value and its description. The values come from the parser and from local files. No program of a project is run,
and the operator is asked nothing. An error is an empty answer, because the operator is still typing the line.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct, field

from provision.commands import options

#: A shell inserts the value into a command. A value from a project must have no special meaning in any shell.
_HARMLESS = re.compile(r"[A-Za-z0-9_.:@%+/=,!&-]+")
_DESCRIPTION = 70

Value = tuple[str, str]


class Answer(Struct, frozen=True):
    """``kind``: ``values``, ``ordered`` (values whose order counts), ``files`` or ``folders``. The shell itself
    completes the last two, after ``prefix``."""

    kind: str
    values: tuple[Value, ...] = ()
    prefix: str = ""

    def text(self) -> str:
        lines = [f"{self.kind}\t{self.prefix}", *(f"{value}\t{about}" for value, about in self.values)]
        return "".join(f"{line}\n" for line in lines)


NOTHING = Answer("values")


class Reached(Struct):
    """The result of the words before the current one: the parser, the option that still needs its value, the number of
    positional words, and the values by destination."""

    parser: argparse.ArgumentParser
    pending: argparse.Action | None = None
    placed: int = 0
    no_options: bool = False
    given: dict[str, list[str]] = field(default_factory=dict)

    def note(self, action: argparse.Action, *values: str) -> None:
        self.given.setdefault(action.dest, []).extend(values)


def answer(
    shell: str, words: list[str], parser: Callable[[str], argparse.ArgumentParser], commands: Mapping[str, str]
) -> str:
    """The answer for a line of ``words``, of which the last is the current one. ``parser`` makes the parser that has
    the arguments of one of the ``commands``."""
    *before, current = words or [""]
    if shell == "bash":  # bash passes the words as they were typed
        before, current = [_unquoted(word) for word in before], _unquoted(current)
    command = next((word for word in before if word in commands), "")
    reached = _walk(parser(command), before)
    return (_next(reached, current) if reached is not None else NOTHING).text()


def _unquoted(word: str) -> str:
    try:
        return "".join(shlex.split(word))
    except ValueError:  # an open quote
        return word.lstrip("'\"")


def _walk(parser: argparse.ArgumentParser, words: Iterable[str]) -> Reached | None:
    """Follow the words as argparse does; ``None`` for a command that does not exist."""
    at = Reached(parser)
    for word in words:
        option = not at.no_options and word.startswith("-") and len(word) > 1
        pending, at.pending = at.pending, None
        if pending is not None and not option:
            at.note(pending, word)
        elif option and word == "--":
            at.no_options = True
        elif option:
            _follow(at, word)
        else:
            action = _positional(at)
            if isinstance(action, argparse._SubParsersAction):
                if word not in action.choices:
                    return None
                at.parser, at.placed = action.choices[word], 0
                continue
            at.placed += 1
            if action is not None:
                at.note(action, word)
                at.no_options = action.nargs == argparse.REMAINDER
    return at


def _follow(at: Reached, word: str) -> None:
    """An option: ``--name``, ``--name=value``, ``-n``, ``-nvalue``, and short options in one word."""
    name, equals, value = word.partition("=")
    if word.startswith("--"):
        action = _long(at.parser, name)
        if action is not None:
            at.note(action, *([value] if equals else []))
            at.pending = action if not equals and action.nargs != 0 else None
        return
    rest = word[1:]
    while rest and (action := at.parser._option_string_actions.get(f"-{rest[0]}")) is not None:
        rest = rest[1:]
        at.note(action)
        if action.nargs != 0:
            if rest:
                at.note(action, rest)
            else:
                at.pending = action
            return


def _long(parser: argparse.ArgumentParser, name: str) -> argparse.Action | None:
    """A long option by its name, or by the beginning of its name."""
    known = parser._option_string_actions
    found = {id(action): action for option, action in known.items() if option.startswith(name)}
    return known.get(name) or (next(iter(found.values())) if len(found) == 1 else None)


def _positional(at: Reached) -> argparse.Action | None:
    actions = [action for action in at.parser._actions if not action.option_strings]
    if at.placed < len(actions):
        return actions[at.placed]
    return actions[-1] if actions and actions[-1].nargs in ("*", "+", argparse.REMAINDER) else None


def _next(at: Reached, current: str) -> Answer:
    if at.pending is not None:
        return _value(at, at.pending, current)
    if not at.no_options and current.startswith("-"):
        name, equals, value = current.partition("=")
        action = at.parser._option_string_actions.get(name)
        if not equals:
            return _matching(_options(at), current)
        return NOTHING if action is None else _value(at, action, value, f"{name}=")
    action = _positional(at)
    if action is not None:
        return _value(at, action, current)
    return NOTHING if at.no_options else _matching(_options(at), current)


def _options(at: Reached) -> Iterator[Value]:
    """The long options that can still be given; a short one where there is no long one."""
    for action in at.parser._actions:
        repeats = isinstance(action, argparse._AppendAction)
        if action.option_strings and action.help != argparse.SUPPRESS and (repeats or action.dest not in at.given):
            long = [option for option in action.option_strings if option.startswith("--")]
            for option in long or action.option_strings[:1]:
                yield option, _short(action.help or "")


def _short(text: str) -> str:
    """The beginning of a help text, in one line."""
    text = re.split(r"[;(:]", " ".join(text.replace("%%", "%").split()))[0].strip()
    return text if len(text) <= _DESCRIPTION else f"{text[:_DESCRIPTION]}..."


def _matching(values: Iterable[Value], current: str, prefix: str = "", kind: str = "values") -> Answer:
    found = {value: about for value, about in values if value.startswith(current) and _HARMLESS.fullmatch(value)}
    return Answer(kind, tuple((prefix + value, about) for value, about in found.items()))


def _value(at: Reached, action: argparse.Action, current: str, prefix: str = "") -> Answer:
    """The values of an option or of a positional argument."""
    if isinstance(action, argparse._SubParsersAction):
        return _matching([(one.dest, _short(one.help or "")) for one in action._choices_actions], current)
    if action.choices is not None:
        return _matching([(str(choice), "") for choice in action.choices], current, prefix)
    name = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if (complete := _VALUES.get(name)) is not None:
        return complete(at, current, prefix)
    return Answer("files", prefix=prefix) if action.type is Path else NOTHING


def _files(at: Reached, current: str, prefix: str) -> Answer:
    return Answer("files", prefix=prefix)


def _folders(at: Reached, current: str, prefix: str) -> Answer:
    return Answer("folders", prefix=prefix)


def _file_after_at(at: Reached, current: str, prefix: str) -> Answer:
    return Answer("files", prefix=f"{prefix}@") if current.startswith("@") else NOTHING


def _known(at: Reached) -> tuple[list[str], list[str]]:
    from provision.inventory import sources

    tree = sources.readable([str(Path(one).expanduser()) for one in at.given.get("inventory", [])])
    return sorted(tree.hosts), sorted(tree.groups)


def _hosts(at: Reached, current: str, prefix: str) -> Answer:
    return _matching(((host, "host") for host in _known(at)[0]), current, prefix)


def _pattern(at: Reached, current: str, prefix: str) -> Answer:
    """The last part of a pattern of hosts: ``web*:!db``."""
    if current.startswith("@"):
        return _file_after_at(at, current, prefix)
    start = re.match(r"(?:.*[:,])?[!&]?", current)
    done = start[0] if start else ""
    hosts, groups = _known(at)
    values = [*((group, "group") for group in groups), *((host, "host") for host in hosts)]
    return _matching(values, current[len(done) :], prefix + done)


def _runs(at: Reached, current: str, prefix: str) -> Answer:
    """The runs of the playbook, the newest first."""
    from provision.report import journal

    playbook = Path(next(iter(at.given.get("playbook", [])), options.PLAYBOOK)).expanduser()
    heads = sorted(journal.folder(playbook).glob("*/run.json"), reverse=True)
    return _matching(((head.parent.name, _mode(head)) for head in heads), current, prefix, "ordered")


def _mode(head: Path) -> str:
    """What a run did: ``apply``, ``rollback``."""
    found = ""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        found = str(json.loads(head.read_text(encoding="utf-8")).get("mode", ""))
    return found if _HARMLESS.fullmatch(found) else ""


def _runs_to_show(at: Reached, current: str, prefix: str) -> Answer:
    """The words of ``provision runs``: ``[show RUN] [PLAYBOOK]``."""
    words = at.given.get("words", [])
    if words == ["show"]:
        return _runs(at, current, prefix)
    if not words and current and "show".startswith(current):
        return _matching([("show", "what a run did to each host")], current, prefix)
    return _files(at, current, prefix)


def _suites(at: Reached, current: str, prefix: str) -> Answer:
    from provision.verify.suite_files import names

    return _matching(((name, "") for name in names()), current, prefix)


def _rules(at: Reached, current: str, prefix: str) -> Answer:
    from provision.lint.rules import RULES

    return _matching(((rule.id, rule.name) for rule in RULES.values()), current, prefix)


def _explained(at: Reached, current: str, prefix: str) -> Answer:
    """The words that ``provision explain`` accepts."""
    from provision.explanations import CODES, KINDS
    from provision.lint.rules import RULES

    kinds = [(kind, "error kind") for kind in KINDS]
    codes = [(str(code), "exit code") for code in CODES]
    return _matching([*kinds, *codes, *((rule.id, rule.name) for rule in RULES.values())], current, prefix)


#: The name of a value in the help -> what completes it.
_VALUES: dict[str, Callable[[Reached, str, str], Answer]] = {
    "FILE": _files,
    "DIRECTORY": _folders,
    "HOST": _hosts,
    "PATTERN": _pattern,
    "RULE": _rules,
    "RUN": _runs,
    "SOURCE": _files,
    "SUITE": _suites,
    "VARS": _file_after_at,
    "WORD": _explained,
    "[show RUN] [PLAYBOOK]": _runs_to_show,
}
