"""Names of hosts as an inventory writes them: ``web1``, ``web[01:20]:2222``, ``[2001:db8::1]:22``, ``2001:db8::1``.

The rules are Ansible's (``ansible.parsing.utils.addresses``). A port follows a colon; an IPv6 address can have a port
only if the address is in brackets. A text that is neither an address nor a host name has no port.
"""

from __future__ import annotations

import re

from provision.inventory import ranges

_BRACKETED = re.compile(r"\[(.+)\]:([0-9]+)")
_PORT = re.compile(r"((?:[^:\[\]]|\[[^\]]*\])+):([0-9]+)")
_RANGE = r"\[(?:[a-zA-Z]:[a-zA-Z]|[0-9]+:[0-9]+)(?::[0-9]+)?\]"
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
    """Whether a text is a host name or an address, with or without ranges and a port."""
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
    names = ranges.expand(pattern)
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
