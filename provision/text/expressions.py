"""Regular expressions of a project, with a limit of their cost. Python's engine tries all ways to match, one after the
other. For ``(a+)+`` and thirty letters that would take more than an hour, and no other thread can stop it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from provision import limits

_QUANTIFIER = re.compile(r"[*+?]|\{\d*,?\d*\}")
#: Steps of the engine that take about as long as one step of a template.
_FAST = 1000


class Costly(ValueError):
    """An expression whose cost has no useful limit. Its text continues "a regular expression ..."."""

    hint = ""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def cost(pattern: str, length: int) -> int:
    """The highest number of ways to match a text of ``length`` characters: the ways to divide it among the quantifiers,
    times the ways through the alternatives. Raises :class:`Costly` for an expression whose cost grows faster."""
    repeats, choices = counted(pattern)
    ways: int = (length + 1) ** (repeats + 1) // math.factorial(repeats + 1)
    return choices * (1 + ways)


def bounded(pattern: str, texts: Iterable[str]) -> re.Pattern[str]:
    """The compiled expression, for one match with each of ``texts``.

    Raises :class:`Costly`, and :class:`re.error` for a text that is not an expression.
    """
    compiled = re.compile(pattern)
    most = limits.of(limits.STEPS) * _FAST
    if sum(cost(pattern, len(text)) for text in texts) > most:
        raise Costly("could take too many steps", f"{limits.hint(limits.STEPS)}; repeat less in the expression")
    return compiled


def counted(pattern: str) -> tuple[int, int]:
    """The number of quantifiers, and of ways through the alternatives. Raises :class:`Costly` for a repeated group with
    a quantifier or an alternative."""
    count, choices, at, in_class = 0, 1, 0, False
    #: per open group: whether it has a quantifier or an alternative, and its alternatives
    groups: list[tuple[bool, int]] = [(False, 1)]
    closed: bool | None = None
    while at < len(pattern):
        character = pattern[at]
        if character == "\\":
            if pattern[at + 1 : at + 2].isdigit() or pattern[at + 1 : at + 2] == "g":
                raise Costly("must not refer to a group", "match the text itself")
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
        varies, branches = groups[-1]
        if character == "(":
            if pattern.startswith("(?", at) and not re.match(r"\(\?(?::|P<\w+>|[aimsux]+\)|[!=]|<[!=])", pattern[at:]):
                raise Costly("has an unsupported kind of group", "(?:...) and (?P<name>...) are supported")
            groups.append((False, 1))
            at += 2 if pattern.startswith("(?", at) else 1
            closed = None
            continue
        if character == ")":
            if len(groups) > 1:
                groups.pop()
            choices = min(choices * branches, 10**18)
            groups[-1] = (groups[-1][0] or varies, groups[-1][1])
            closed = varies
        elif quantifier:
            if closed:
                raise Costly("repeats no group that repeats or chooses itself")
            count, groups[-1], closed = count + 1, (True, branches), None
            at = quantifier.end()
            continue
        else:
            if character == "|":
                groups[-1] = (True, branches + 1)
            closed = None
        at += 1
    return count, min(choices * groups[0][1], 10**18)
