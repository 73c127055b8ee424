"""Ansible's host patterns: ``web*:!web3:&docker``, ``~web\\d+``, ``group[0:2]``, ``@file``.

Parts are separated by ``,`` or ``:``. Whatever their order, plain parts first add hosts, then each ``&`` part keeps
only its own hosts, then each ``!`` part removes its own (Ansible's ``InventoryManager``). The result has the order in
which the parts name the hosts. A part that matches nothing, or an index beyond its group, is an error here and a
warning in Ansible. A group without hosts, and a slice beyond a group (``web[1:]`` of a single host), select none.
"""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path

from provision import limits
from provision.errors import SpecError, Where
from provision.inventory.tree import Tree, is_address
from provision.lines import lines_of
from provision.text.expressions import Costly, bounded
from provision.text.yamlfile import nearest

_SUBSCRIPT = re.compile(r"(.+)\[(?:(-?[0-9]+)|([0-9]+)[:-]([0-9]*))\]")
#: A part between colons; a colon inside brackets does not separate.
_PART = re.compile(r"(?:[^\s:\[\]]|\[[^\]]*\])+")


def select(tree: Tree, pattern: str, *, where: Where | None = None, key: str = "") -> list[str]:
    """The hosts that ``pattern`` selects, in its order.

    Raises :class:`SpecError` for a part that matches nothing; the error has the nearest known name.
    """
    parts = _split(pattern, where, key)
    plain = [part for part in parts if part[0] not in "!&"]
    chosen: dict[str, None] = dict.fromkeys(tree.members("all")) if not plain and parts else {}
    for part in plain:
        chosen.update(dict.fromkeys(_one(tree, part, where, key)))
    for part in parts:
        if part[0] == "&":
            kept = set(_one(tree, part[1:], where, key))
            chosen = {host: None for host in chosen if host in kept}
    for part in parts:
        if part[0] == "!":
            gone = set(_one(tree, part[1:], where, key))
            chosen = {host: None for host in chosen if host not in gone}
    return list(chosen)


def _split(pattern: str, where: Where | None, key: str) -> list[str]:
    parts: list[str] = []
    for part in _words(pattern, where, key):
        if part.startswith("@"):
            file = Path(part[1:])
            try:
                lines = lines_of(limits.text(file, named=key == "--limit"))
            except SpecError as error:
                raise SpecError(f"{file} {error.message}", where=where, key=key, hint=error.hint) from error
            parts += [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        else:
            parts.append(part)
    if any(part in ("!", "&") for part in parts):
        raise SpecError(f"a host pattern with no name after ! or &: {pattern!r}", where=where, key=key)
    return parts


def _words(pattern: str, where: Where | None, key: str) -> list[str]:
    """A pattern with a comma is split only at commas: a colon may belong to an IPv6 address."""
    if "," not in pattern:
        # A path may have characters that no pattern has; a colon ends it.
        path, _, rest = pattern.partition(":") if pattern.startswith("@") else ("", "", pattern)
        words = [rest.strip()] if is_address(rest.strip()) else _PART.findall(rest)
        return [word for word in ([path.strip()] if path else []) + words if word]
    words = [word.strip() for word in pattern.split(",") if word.strip()]
    for word in words:
        if not word.startswith(("~", "@")) and re.search(r":[!&]", word):
            hint = f"write {pattern.replace(':', ',')!r}"
            raise SpecError(
                f"a host pattern that mixes , and : as separators: {pattern!r}", where=where, key=key, hint=hint
            )
    return words


def _one(tree: Tree, part: str, where: Where | None, key: str) -> list[str]:
    if part in tree.hosts and part not in tree.groups:
        return [part]
    match = None if part.startswith("~") else _SUBSCRIPT.fullmatch(part)
    found = _matching(tree, match[1] if match else part, where, key)
    if match is None:
        return found
    chosen = _slice(found, match)
    if match[2] is not None and not chosen:
        message = f"{part} selects no host: {match[1]} has {len(found)}"
        hint = f"the last is {match[1]}[{len(found) - 1}]" if found else ""
        raise SpecError(message, where=where, key=key, hint=hint)
    return chosen


def _slice(found: list[str], match: re.Match[str]) -> list[str]:
    """``[0]``, ``[-1]``, ``[0:2]`` (with both ends), ``[1:]``; what is beyond the group selects no host."""
    _, index, first, last = match.groups()
    if index is None and last != "0":
        return found[int(first) : int(last) + 1 if last else None]
    number = int(index if index is not None else first)
    return [found[number]] if -len(found) <= number < len(found) else []


def _matching(tree: Tree, part: str, where: Where | None, key: str) -> list[str]:
    if part.startswith("~"):
        try:
            expression = bounded(part[1:], (*tree.groups, *tree.hosts))
        except Costly as error:
            raise SpecError(
                f"the regular expression {part[1:]} {error}", where=where, key=key, hint=error.hint
            ) from error
        except re.error as error:
            raise SpecError(f"not a regular expression: {part[1:]} ({error})", where=where, key=key) from error
    else:
        expression = re.compile(fnmatch.translate(part))
    groups = [name for name in tree.groups if expression.match(name)]
    found = [host for name in groups for host in tree.members(name)]
    if not groups or part.startswith("~") or any(special in part for special in ".?*["):
        found += [host for host in tree.hosts if expression.match(host)]
    if not found and not groups:
        named = [name for name in tree.groups if tree.members(name)]  # "ungrouped" exists in every inventory
        hint = nearest(part, (*named, *tree.hosts)) or "`provision inventory --graph` shows all of them"
        raise SpecError(f"no host or group matches {part!r}", where=where, key=key, hint=hint)
    return found
