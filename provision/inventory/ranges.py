"""Ranges in host names: ``web[01:20].example.com``, ``db-[a:f]``, ``n[0:10:5]``.

The rules are Ansible's (``ansible.plugins.inventory.expand_hostname_range``): both ends belong to the range,
leading zeros give the width, letters go from one to the other, a third number is the step.
"""

from __future__ import annotations

import re

_RANGE = re.compile(r"\[([^\[\]:]+):([^\[\]:]+)(?::([^\[\]:]+))?\]")


def expand(name: str) -> list[str]:
    """All names that ``name`` stands for; raises ``ValueError`` with the reason."""
    match = _RANGE.search(name)
    if match is None:
        if "[" in name or "]" in name:
            raise ValueError("a range is [first:last] or [first:last:step]")
        return [name]
    first, last, step_text = match[1], match[2], match[3] or "1"
    if not step_text.isdigit() or int(step_text) == 0:
        raise ValueError(f"the step of a range must be a number above 0, not {step_text}")
    step = int(step_text)
    if first.isdigit() and last.isdigit():
        if len(first) > 1 and first.startswith("0") and len(first) != len(last):
            raise ValueError("both ends of a range with leading zeros must be of one width")
        width = len(first) if first.startswith("0") else 0
        middle = [str(number).zfill(width) for number in range(int(first), int(last) + 1, step)]
    elif len(first) == len(last) == 1 and first.isalpha() and last.isalpha():
        middle = [chr(code) for code in range(ord(first), ord(last) + 1, step)]
    else:
        raise ValueError(f"{first} to {last} is neither a range of numbers nor one of letters")
    if not middle:
        raise ValueError(f"the range ends ({last}) before it begins ({first})")
    head, tail = name[: match.start()], name[match.end() :]
    return [f"{head}{part}{rest}" for part in middle for rest in expand(tail)]
