"""Ansible's filters and tests with regular expressions, whose possible cost is counted as steps."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from provision.text.expressions import Costly, cost
from provision.text.sandbox import ansible_data, ansible_texts
from provision.text.sandbox.bounds import Refused, room, step


def _expression(pattern: object, text: str, ignorecase: bool, multiline: bool) -> re.Pattern[str]:
    """The compiled expression. Raises :class:`Refused` for one whose cost is too high."""
    what = str(pattern)
    try:
        # Each way to match may read the whole expression.
        step(len(what))
        step(cost(what, len(text)) * (1 + len(what) // 64))
        return re.compile(what, (re.IGNORECASE if ignorecase else 0) | (re.MULTILINE if multiline else 0))
    except Costly as error:
        raise Refused(f"a regular expression in a template {error}", error.hint) from error
    except (re.error, OverflowError) as error:
        raise Refused(f"not a regular expression: {what} ({error})") from error


def regex_replace(
    value: Any = "",
    pattern: Any = "",
    replacement: Any = "",
    ignorecase: bool = False,
    multiline: bool = False,
    count: int = 0,
    mandatory_count: int = 0,
) -> str:
    text = str(value)
    expression = _expression(pattern, text, ignorecase, multiline)
    template, length = str(replacement), len(text)
    room('filter "regex_replace"', len(template) + template.count("\\") * len(text), 0)

    def replaced(match: re.Match[str]) -> str:
        nonlocal length
        piece = match.expand(template)
        length += len(piece)
        step()
        room('filter "regex_replace"', length, len(piece))
        return piece

    try:
        found, times = expression.subn(replaced, text, count=count)
    except (re.error, IndexError) as error:
        raise Refused(f"regex_replace: {error}") from error
    if mandatory_count and times != mandatory_count:
        raise Refused(f"regex_replace: {pattern!r} matches {times} times, not {mandatory_count}")
    return found


def regex_search(value: Any, pattern: Any, *groups: str, ignorecase: bool = False, multiline: bool = False) -> Any:
    """The match, or the groups that are named as ``\\1`` or ``\\g<name>``; None where nothing matches."""
    text = str(value)
    if bad := [name for name in map(str, groups) if not re.fullmatch(r"\\(?:\d+|g<\S+>)", name)]:
        raise Refused(f"regex_search: a group is \\1 or \\g<name>, not {bad[0]}")
    match = _expression(pattern, text, ignorecase, multiline).search(text)
    if match is None:
        return None
    if not groups:
        return match[0]
    try:
        return [match[int(name[1:])] if name[1:].isdecimal() else match[_named(name[3:-1])] for name in groups]
    except (IndexError, ValueError) as error:
        raise Refused(f"regex_search: no such group among {', '.join(groups)}") from error


def _named(name: str) -> str | int:
    return int(name) if name.isdecimal() else name


def regex_findall(value: Any, pattern: Any, multiline: bool = False, ignorecase: bool = False) -> list[Any]:
    text = str(value)
    return _expression(pattern, text, ignorecase, multiline).findall(text)


def regex_escape(value: Any, re_type: str = "python") -> str:
    if re_type not in ("python", "posix_basic"):
        raise Refused('filter "regex_escape": the type is python or posix_basic')
    return re.escape(str(value)) if re_type == "python" else re.sub(r"([].[^$*\\])", r"\\\1", str(value))


def regex(
    value: Any = "", pattern: Any = "", ignorecase: bool = False, multiline: bool = False, match_type: str = "search"
) -> bool:
    if match_type not in ("search", "match", "fullmatch"):
        raise Refused('test "regex": match_type is search, match or fullmatch')
    text = str(value)
    return bool(getattr(_expression(pattern, text, ignorecase, multiline), match_type)(text))


FILTERS: dict[str, Callable[..., Any]] = {
    **ansible_texts.FILTERS,
    **ansible_data.STRUCTURAL,
    **ansible_data.SETS,
    **ansible_data.by_name(regex_replace, regex_search, regex_findall, regex_escape),
}
TESTS: dict[str, Callable[..., Any]] = {
    **ansible_texts.TESTS,
    **ansible_data.TESTS,
    "match": lambda value, pattern="", ignorecase=False, multiline=False: regex(
        value, pattern, ignorecase, multiline, "match"
    ),
    "search": lambda value, pattern="", ignorecase=False, multiline=False: regex(value, pattern, ignorecase, multiline),
    "regex": regex,
}
