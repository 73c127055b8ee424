"""Hints for faults of YAML: the probable cause, and what to do about it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from provision import limits
from provision.errors import SpecError, Where

BRACES = 'quote a value that begins with {{: "{{ x }}"'
#: A key with the colon of a Chinese input method, which is part of the text in YAML.
WIDE = re.compile(r"(?:^[\s-]*|[{,\uff0c]\s*)[\"']?[A-Za-z_][A-Za-z0-9_.-]*[\"']?\s*\uff1a")


def wide(value: Any) -> str:
    """A hint where text is meant as a key with its value, but has a full-width colon, or ``""``."""
    if not isinstance(value, str) or not WIDE.match(value):
        return ""
    return "the full-width colon \uff1a is text in YAML; write a colon and a blank"


#: Part of libyaml's or PyYAML's message -> what to do. ``{}`` is the character at the place of the error.
_ADVICE = (
    ("mapping values are not allowed", "quote a value with a colon and a blank, or finish the line above"),
    ("could not find expected ':'", "a key needs a colon and a blank after it"),
    ("found undefined alias", "quote a value that begins with *"),
    ("found another document", "a file has one document; remove the line ---"),
    ("cannot start any token", "quote a value that begins with {}"),
)
#: A value that begins with a template, which is a mapping to YAML.
_BARE_TEMPLATE = re.compile(r"(?:^|:\s+|-\s+)\{\{")


def syntax_error(path: Path, error: yaml.MarkedYAMLError, text: str) -> SpecError:
    """The error of a ``text`` that is not YAML, with its line."""
    mark = error.problem_mark or error.context_mark
    problem = error.problem or "not YAML"
    number = mark.line + 1 if mark else 1
    if "maximum nesting depth" in problem:  # libyaml's own limit, since PyYAML 6.0.4
        more, hint = limits.more(limits.DEPTH), limits.hint(limits.DEPTH)
        return SpecError(f"the value is nested {more}", where=Where(path, number), hint=hint)
    # The error is often on the line below. (YAML ends a line at more characters than a newline.)
    lines = text.split("\n")[max(0, number - 2) : number]
    line, column = (lines[-1], mark.column) if mark and lines else ("", 0)
    character = line[column : column + 1]
    hint = next((advice.format(character) for part, advice in _ADVICE if part in problem), "")
    if odd := [number - len(lines) + at for at, one in enumerate(lines, 1) if WIDE.search(one)]:
        hint = f"line {odd[0]} has a full-width colon \uff1a, which is text in YAML; write a colon and a blank"
    elif character == "\t":
        hint = "indent with spaces, not with tabs"
    elif _BARE_TEMPLATE.search(line):
        hint = BRACES
    return SpecError(f"not YAML: {problem}", where=Where(path, number), hint=hint)
