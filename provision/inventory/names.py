"""Names of hosts as an inventory writes them: ``web1``, ``web[01:20]:2222``, ``[2001:db8::1]:22``, ``2001:db8::1``.

The rules are Ansible's (``ansible.parsing.utils.addresses``). A port follows a colon; an IPv6 address can have a port
only if the address is in brackets. A text that is neither an address nor a host name has no port.

Ranges are ``web[01:20].example.com``, ``db-[a:f]``, ``n[0:10:5]``, by Ansible's rules
(``ansible.plugins.inventory.expand_hostname_range``). Both ends belong to the range. Leading zeros give the width,
letters run from the first to the last, and a third number is the step.
"""

from __future__ import annotations

import re
import string
from itertools import product
from math import prod

from msgspec import Struct

from provision.text import limits

_BRACKETED = re.compile(r"\[(.+)\]:([0-9]+)")
_PORT = re.compile(r"((?:[^:\[\]]|\[[^\]]*\])+):([0-9]+)")
_RANGE = r"\[(?:[a-zA-Z]:[a-zA-Z]|[0-9]+:[0-9]+)(?::[0-9]+)?\]"
#: A range in a name, for :func:`expand`: it reports what is wrong in it.
_IN_NAME = re.compile(r"(\[[^\[\]:]*:[^\[\]:]+(?::[^\[\]:]+)?\])")
_LABEL = rf"(?:\w|{_RANGE})(?:[\w-]|{_RANGE})*(?<![_-])"
_HOSTNAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


def split_port(text: str) -> tuple[str, int | None]:
    """The name, which may have ranges, and its port; the whole text and no port where it is not a host name."""
    match = _BRACKETED.fullmatch(text) or _PORT.fullmatch(text)
    name, port = (match[1], int(match[2])) if match else (text, None)
    if _HOSTNAME.fullmatch(name) or is_ipv6(name):
        return name, port
    return text, None


def is_address(text: str) -> bool:
    """True if a text is a host name or an address, with or without ranges and a port."""
    name, port = split_port(text)
    return port is not None or _HOSTNAME.fullmatch(name) is not None or is_ipv6(name)


def is_ipv6(text: str) -> bool:
    if text.count(":") < 2:
        return False
    from ipaddress import AddressValueError, IPv6Address

    try:
        # A range represents numbers; for this check any number will do.
        IPv6Address(re.sub(r"\[[0-9a-f:]+\]", "0", text))
    except AddressValueError:
        return False
    return True


def hosts_of(text: str) -> tuple[list[str], int | None]:
    """All names that ``text`` represents, and their port. Raises ``ValueError`` with the reason."""
    pattern, port = split_port(text)
    if port is not None and not 0 < port < 65536:
        raise ValueError(f"a port is a number from 1 to 65535, not {port}")
    names = expand(pattern)
    for name in names:
        check(name)
    return names, port


def check(name: str) -> None:
    """Raises ``ValueError`` for a name that no host can have: patterns could not select it."""
    if not name or re.search(r"[\s,!&\[\]\x00-\x1f\x7f]", name) or name.startswith("-"):
        raise ValueError(f"not a host name: {name!r}")
    if ":" in name and not is_ipv6(name.partition("%")[0]):
        hint = "; a port needs a number" if name.endswith(":") else ""
        raise ValueError(f"not a host name: {name!r}{hint}")


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
    pieces = _IN_NAME.split(name)
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
