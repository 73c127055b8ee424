"""Filters of Ansible that inventories use often. The possible cost of a regular expression is limited, because Python's
engine tries all ways to match, one after the other. For ``(a+)+`` and thirty letters that would take more than an hour.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from typing import Any

from provision.text.sandbox.bounds import Refused, room, step

_QUANTIFIER = re.compile(r"[*+?]|\{\d*,?\d*\}")
#: The texts for true and false in Ansible's filter ``bool``.
_TRUE, _FALSE = ("yes", "on", "1", "true", "y", "t"), ("no", "off", "0", "false", "n", "f")


def _expression(pattern: object, text: str, ignorecase: bool, multiline: bool) -> re.Pattern[str]:
    """The compiled expression. Its highest possible cost is counted as steps: the number of ways to divide the text
    among its quantifiers. Raises :class:`Refused` for an expression whose cost grows faster."""
    what = str(pattern)
    repeats = _repeats(what)
    step(1 + (len(text) + 1) ** (repeats + 1) // math.factorial(repeats + 1))
    try:
        return re.compile(what, (re.IGNORECASE if ignorecase else 0) | (re.MULTILINE if multiline else 0))
    except (re.error, OverflowError) as error:
        raise Refused(f"not a regular expression: {what} ({error})") from error


def _repeats(pattern: str) -> int:
    """The number of quantifiers. Raises :class:`Refused` for a repeated group with a quantifier or an alternative."""
    count, at, in_class = 0, 0, False
    #: per open group: whether it has a quantifier or an alternative
    groups: list[bool] = [False]
    closed: bool | None = None
    while at < len(pattern):
        character = pattern[at]
        if character == "\\":
            if pattern[at + 1 : at + 2].isdigit() or pattern[at + 1 : at + 2] == "g":
                raise Refused("a regular expression in a template must not refer to a group", "match the text itself")
            at, closed = at + 2, None
            continue
        if in_class:
            in_class = character != "]"
            at += 1
            continue
        if character == "[":
            # A bracket directly after the beginning belongs to the class.
            at += 1 + len(re.match(r"\^?\]?", pattern[at + 1 :])[0])  # type: ignore[index]  # it always matches
            in_class, closed = True, None
            continue
        quantifier = _QUANTIFIER.match(pattern, at)
        if character == "(":
            if pattern.startswith("(?", at) and not re.match(r"\(\?(?::|P<\w+>|[aimsux]+\)|[!=]|<[!=])", pattern[at:]):
                raise Refused(
                    "a regular expression in a template has an unsupported kind of group",
                    "(?:...) and (?P<name>...) are supported",
                )
            groups.append(False)
            at += 2 if pattern.startswith("(?", at) else 1
            closed = None
            continue
        if character == ")":
            inner = groups.pop() if len(groups) > 1 else False
            groups[-1] = groups[-1] or inner
            closed = inner
        elif quantifier:
            if closed:
                raise Refused("a regular expression in a template repeats no group that repeats or chooses itself")
            count, groups[-1], closed = count + 1, True, None
            at = quantifier.end()
            continue
        else:
            groups[-1] = groups[-1] or character == "|"
            closed = None
        at += 1
    return count


def regex_replace(
    value: Any = "",
    pattern: Any = "",
    replacement: Any = "",
    ignorecase: bool = False,
    multiline: bool = False,
    count: int = 0,
) -> str:
    text = str(value)
    expression = _expression(pattern, text, ignorecase, multiline)
    room('filter "regex_replace"', (len(text) + 1) * (len(str(replacement)) + len(text) + 1))
    try:
        return expression.sub(str(replacement), text, count=count)
    except (re.error, IndexError) as error:
        raise Refused(f"regex_replace: {error}") from error


def regex_search(value: Any, pattern: Any, *groups: str, ignorecase: bool = False, multiline: bool = False) -> Any:
    """The match, or the groups that are named as ``\\1`` or ``\\g<name>``; None where nothing matches."""
    text = str(value)
    match = _expression(pattern, text, ignorecase, multiline).search(text)
    if match is None:
        return None
    if not groups:
        return match[0]
    try:
        return [match[int(name[1:])] if name[1:].isdecimal() else match[name[3:-1]] for name in map(str, groups)]
    except (IndexError, ValueError) as error:
        raise Refused(f"regex_search: no such group among {', '.join(groups)}") from error


def ternary(value: Any, if_true: Any, if_false: Any, if_none: Any = None) -> Any:
    if value is None and if_none is not None:
        return if_none
    return if_true if value else if_false


def as_bool(value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    text = str(value).lower()
    if text not in (*_TRUE, *_FALSE):
        raise Refused(f'filter "bool" takes yes, no, true, false, 1, 0 ..., not {value!r}')
    return text in _TRUE


def mandatory(value: Any, message: str = "") -> Any:
    import jinja2

    if isinstance(value, jinja2.Undefined):
        raise Refused(message or "a mandatory variable is not defined")
    return value


def basename(value: Any) -> str:
    return os.path.basename(str(value))


def dirname(value: Any) -> str:
    return os.path.dirname(str(value))


def split(value: Any, separator: str | None = None, most: int = -1) -> list[str]:
    return str(value).split(separator, most)


FILTERS: dict[str, Callable[..., Any]] = {
    "regex_replace": regex_replace,
    "regex_search": regex_search,
    "ternary": ternary,
    "bool": as_bool,
    "mandatory": mandatory,
    "basename": basename,
    "dirname": dirname,
    "split": split,
}
