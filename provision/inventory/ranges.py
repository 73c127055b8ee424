"""Ranges in host names: ``web[01:20].example.com``, ``db-[a:f]``, ``n[0:10:5]``.

The rules are Ansible's (``ansible.plugins.inventory.expand_hostname_range``). Both ends belong to the range. Leading
zeros give the width, letters run from the first to the last, and a third number is the step.
"""

from __future__ import annotations

import re
import string
from itertools import product
from math import prod

from msgspec import Struct

from provision.text import limits

_RANGE = re.compile(r"(\[[^\[\]:]*:[^\[\]:]+(?::[^\[\]:]+)?\])")


class _Members(Struct, frozen=True):
    """``first`` to ``last`` by ``step``: numbers of ``width`` digits, or the letters at these indexes (``None``)."""

    first: int
    last: int
    step: int
    width: int | None

    @property
    def count(self) -> int:
        # Not len(range()), which fails for a number of more than 63 bits.
        return (self.last - self.first) // self.step + 1

    def names(self) -> list[str]:
        numbers = range(self.first, self.last + 1, self.step)
        return [
            string.ascii_letters[number] if self.width is None else str(number).zfill(self.width) for number in numbers
        ]


def expand(name: str) -> list[str]:
    """All names that ``name`` represents; raises ``ValueError`` with the reason, also for more than the limit."""
    # Plain text and ranges alternate.
    pieces = _RANGE.split(name)
    if any("[" in plain or "]" in plain for plain in pieces[::2]):
        raise ValueError("a range is [first:last] or [first:last:step]")
    ranges = [_members(text) for text in pieces[1::2]]
    if prod(members.count for members in ranges) > limits.of(limits.HOSTS):
        # Count before a name is made.
        raise ValueError(f"the range results in {limits.more(limits.HOSTS)} ({limits.hint(limits.HOSTS)})")
    words: list[list[str]] = [[plain] for plain in pieces]
    words[1::2] = [members.names() for members in ranges]
    return ["".join(one) for one in product(*words)]


def _members(text: str) -> _Members:
    first, last, *more = text[1:-1].split(":")
    first = first or "0"
    step_text = more[0] if more else "1"
    if not step_text.isdecimal() or int(step_text) == 0:
        raise ValueError(f"the step of a range must be a number above 0, not {step_text}")
    step = int(step_text)
    if first.isdecimal() and last.isdecimal():
        if len(first) > 1 and first.startswith("0") and len(first) != len(last):
            raise ValueError("both ends of a range with leading zeros must have the same width")
        found = _Members(int(first), int(last), step, len(first) if first.startswith("0") else 0)
    elif len(first) == len(last) == 1 and first in string.ascii_letters and last in string.ascii_letters:
        found = _Members(string.ascii_letters.index(first), string.ascii_letters.index(last), step, None)
    else:
        raise ValueError(f"{first} to {last} is neither a range of numbers nor one of letters")
    if found.last < found.first:
        raise ValueError(f"the range ends ({last}) before it begins ({first})")
    return found
