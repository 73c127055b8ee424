"""Ansible's host patterns: ``web*:!web3:&docker``, ``~web\\d+``, ``group[0:2]``, ``@file``.

Parts are separated by ``:`` or ``,``. Whatever their order, plain parts add hosts first, then each ``&`` part
keeps only its own, then each ``!`` part takes its own away (Ansible's ``InventoryManager``).
"""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path

from provision.errors import SpecError, Where
from provision.inventory.tree import Tree
from provision.lines import lines_of
from provision.text import limits
from provision.text.yamlfile import nearest

_SUBSCRIPT = re.compile(r"^(?P<name>[^\[\]]+)\[(?:(?P<index>-?\d+)|(?P<first>\d*)[:-](?P<last>\d*))\]$")


def select(tree: Tree, pattern: str, *, where: Where | None = None, key: str = "") -> list[str]:
    """The hosts that ``pattern`` names, in inventory order.

    Raises :class:`SpecError` for a part that matches nothing, with the nearest known name.
    """
    parts = _split(pattern, where, key)
    plain = [part for part in parts if part[0] not in "!&"]
    chosen: set[str] = set(tree.hosts) if not plain and parts else set()
    for part in plain:
        chosen |= _one(tree, part, where, key)
    for part in parts:
        if part[0] == "&":
            chosen &= _one(tree, part[1:], where, key)
    for part in parts:
        if part[0] == "!":
            chosen -= _one(tree, part[1:], where, key)
    return [host for host in tree.hosts if host in chosen]


def _split(pattern: str, where: Where | None, key: str) -> list[str]:
    parts: list[str] = []
    # A colon inside brackets is a subscript's or an IPv6 address's, not a separator.
    for part in re.split(r",|:(?![^\[]*\])", pattern):
        part = part.strip()
        if part.startswith("@"):
            file = Path(part[1:])
            try:
                lines = lines_of(limits.text(file))
            except SpecError as error:
                raise SpecError(f"{file} {error.message}", where=where, key=key, hint=error.hint) from error
            parts += [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        elif part:
            parts.append(part)
    if any(part in ("!", "&") for part in parts):
        raise SpecError(f"a host pattern with nothing behind ! or &: {pattern!r}", where=where, key=key)
    return parts


def _one(tree: Tree, part: str, where: Where | None, key: str) -> set[str]:
    if part.startswith("~"):
        try:
            expression = re.compile(part[1:])
        except re.error as error:
            raise SpecError(f"not a regular expression: {part[1:]} ({error})", where=where, key=key) from error
        names = [name for name in (*tree.groups, *tree.hosts) if expression.match(name)]
        return _hosts(tree, names, part, where, key)
    subscript = _SUBSCRIPT.match(part)
    if subscript and part not in tree.hosts:
        members = [host for host in tree.hosts if host in _one(tree, subscript["name"], where, key)]
        return set(_slice(members, subscript))
    if part in tree.groups or part in tree.hosts:
        return _hosts(tree, [part], part, where, key)
    names = [name for name in (*tree.groups, *tree.hosts) if fnmatch.fnmatchcase(name, part)]
    return _hosts(tree, names, part, where, key)


def _slice(members: list[str], match: re.Match[str]) -> list[str]:
    """``[0]``, ``[-1]``, ``[0:2]`` (both ends belong to it, as in Ansible), ``[1:]``."""
    if match["index"] is not None:
        index = int(match["index"])
        return [members[index]] if -len(members) <= index < len(members) else []
    first = int(match["first"] or 0)
    return members[first : int(match["last"]) + 1] if match["last"] else members[first:]


def _hosts(tree: Tree, names: list[str], part: str, where: Where | None, key: str) -> set[str]:
    if not names:
        hint = nearest(part, (*tree.groups, *tree.hosts)) or "`provision inventory --graph` shows all of them"
        raise SpecError(f"no host or group matches {part!r}", where=where, key=key, hint=hint)
    found: set[str] = set()
    for name in names:
        found.update(tree.members(name) if name in tree.groups else [name])
    return found
