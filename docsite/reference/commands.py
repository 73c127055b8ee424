"""Every command and option, from the argparse parser."""

from __future__ import annotations

import argparse

from docsite.reference.tables import code, prose, table
from provision import cli

_HEAD = """\
# Every option

Made from the parser of the command line; `provision COMMAND --help` shows the same. What the commands do is in
[Commands](../commands.md), how they end in [Exit codes and error kinds](errors.md).

"""


def page() -> str:
    top = cli.parser()
    parts = [_HEAD, _options(top)]
    for name, command in choices(top).items():
        parts.append(_command(f"provision {name}", command, 2))
    return "\n".join(parts)


def choices(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The commands of a parser."""
    actions = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return {name: command for action in actions for name, command in action.choices.items()}


def _command(name: str, parser: argparse.ArgumentParser, level: int) -> str:
    text = f"{'#' * level} `{name}`\n\n"
    if parser.description:
        text += prose(parser.description) + "\n\n"
    text += _options(parser)
    for word, inner in choices(parser).items():
        text += "\n" + _command(f"{name} {word}", inner, level + 1)
    return text


def _options(parser: argparse.ArgumentParser) -> str:
    actions = [
        one for one in parser._actions if not isinstance(one, (argparse._SubParsersAction, argparse._HelpAction))
    ]
    if not actions:
        return ""
    return table(("argument", "meaning"), [(_name(one), meaning(one, parser)) for one in actions])


def _name(action: argparse.Action) -> str:
    value = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if action.choices is not None:
        value = "|".join(map(str, action.choices))
    if not action.option_strings:
        optional = action.nargs in ("?", "*")
        several = action.nargs in ("+", "*")
        word = value if action.choices is not None else value.upper()
        return code(f"[{word}]" if optional and not several else f"{word}..." if several else word)
    takes = "" if action.nargs == 0 else f" [{value}]" if action.nargs == "?" else f" {value}"
    return ", ".join(code(f"{option}{takes}") for option in action.option_strings)


def meaning(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    """The meaning of an argument, with its default."""
    text = action.help or ""
    text = text % {**vars(action), "prog": parser.prog} if "%" in text else text
    if isinstance(action, argparse._AppendAction) and "repeat" not in text:
        text += " (repeatable)"
    default = action.default
    if "default" not in text and not isinstance(default, (bool, list)) and default not in (None, argparse.SUPPRESS):
        text += f" (default: {default})"
    return text
