"""The man page provision(1), from the argparse parser and the exit codes."""

from __future__ import annotations

import argparse
import re

from docsite.reference.commands import choices, meaning
from docsite.reference.tables import prose
from provision import cli
from provision.errors import EXIT_CODES

_NOTE = '.\\" Made from the code by `make docs`; edit the code instead.\n'
_FILES = (
    ("inventory/", "hosts, groups and their variables (default of --inventory)"),
    ("playbooks/site.yml", "the playbook (default)"),
    ("playbooks/.provision/runs/", "the journal: what each run changed"),
)


def page() -> str:
    top = cli.parser()
    parts = [
        _NOTE,
        '.TH PROVISION 1 "" "provision" "User Commands"\n',
        f".SH NAME\nprovision \\- {_escaped('declare Docker hosts in YAML; apply, verify and roll back over SSH')}\n",
        ".SH SYNOPSIS\n.B provision\n.I COMMAND\n.RI [ ARGUMENT ...]\n",
        f".SH DESCRIPTION\n{_text(top.description or '')}",
        ".SH OPTIONS\n" + _options(top),
        ".SH COMMANDS\n",
        *(_command(name, parser) for name, parser in choices(top).items()),
        ".SH EXIT STATUS\n",
        *(_entry(f"\\fB{code}\\fR", text) for code, text in EXIT_CODES.items()),
        ".SH FILES\n",
        *(_entry(f"\\fI{_escaped(name)}\\fR", text) for name, text in _FILES),
        ".SH SEE ALSO\n.BR ssh (1),\n.BR ssh_config (5),\n.BR dockerd (8)\n",
    ]
    return "".join(parts)


def _command(name: str, parser: argparse.ArgumentParser) -> str:
    text = f".SS provision {_escaped(name)}\n{_text(prose(parser.description or ''))}{_options(parser)}"
    return text + "".join(_command(f"{name} {word}", inner) for word, inner in choices(parser).items())


def _options(parser: argparse.ArgumentParser) -> str:
    skipped = (argparse._SubParsersAction, argparse._HelpAction)
    actions = [one for one in parser._actions if not isinstance(one, skipped) and one.help != argparse.SUPPRESS]
    return "".join(_entry(_name(one), meaning(one, parser)) for one in actions)


def _name(action: argparse.Action) -> str:
    value = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if action.choices is not None:
        value = "|".join(map(str, action.choices))
    shown = value if value.startswith("[") else f"\\fI{_escaped(value)}\\fR"
    if not action.option_strings:
        return f"[{shown}]" if action.nargs == "?" else f"{shown} ..." if action.nargs in ("*", "+", "...") else shown
    takes = "" if action.nargs == 0 else f" [{shown}]" if action.nargs == "?" else f" {shown}"
    return ", ".join(f"\\fB{_escaped(option)}\\fR{takes}" for option in action.option_strings)


def _entry(name: str, text: str) -> str:
    return f".TP\n{name}\n{_text(text)}"


def _text(text: str) -> str:
    """Paragraphs of text, with each sentence on a separate line (man-pages(7))."""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    lines = ["\n".join(re.split(r"(?<=[.?!]) (?=[A-Z])", _escaped(part))) for part in paragraphs if part]
    return "".join(".PP\n" * (number > 0) + line + "\n" for number, line in enumerate(lines))


def _escaped(text: str) -> str:
    """Escape what has a meaning for roff: backslashes, hyphens (minus signs in options), requests at a line's begin."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga").replace("'", "\\(aq")
    text = text.replace("^", "\\(ha").replace("~", "\\(ti")
    return f"\\&{text}" if text.startswith(".") else text
