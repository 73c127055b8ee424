"""Groups, their children and their hosts. Every reader of an inventory fills this tree, by the rules of Ansible's
``InventoryData``. The order of hosts and groups is Ansible's too.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from provision import limits
from provision.errors import Note, SpecError, Where
from provision.text.merge import refine
from provision.text.yamlfile import Map

_BRACKETED = re.compile(r"\[(.+)\]:([0-9]+)")
_PORT = re.compile(r"((?:[^:\[\]]|\[[^\]]*\])+):([0-9]+)")
_RANGE = r"\[(?:[a-zA-Z]:[a-zA-Z]|[0-9]+:[0-9]+)(?::[0-9]+)?\]"
#: A range in a name, for :func:`expand`: it reports what is wrong in it.
_IN_NAME = re.compile(r"(\[[^\[\]:]*:[^\[\]:]+(?::[^\[\]:]+)?\])")
_LABEL = rf"(?:\w|{_RANGE})(?:[\w-]|{_RANGE})*(?<![_-])"
_HOSTNAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


def split_port(text: str) -> tuple[str, int | None]:
    """The name, which may have ranges, and its port; the whole text and no port where it is not a host name.

    The rules are Ansible's (``ansible.parsing.utils.addresses``): ``web1``, ``web[01:20]:2222``, ``[2001:db8::1]:22``,
    ``2001:db8::1``. A port follows a colon; an IPv6 address can have a port only if the address is in brackets.
    """
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
    """All names that ``name`` represents; raises ``ValueError`` with the reason, also for more than the limit.

    Ranges are ``web[01:20].example.com``, ``db-[a:f]``, ``n[0:10:5]``, by Ansible's rules
    (``ansible.plugins.inventory.expand_hostname_range``). Both ends belong to the range. Leading zeros give the width,
    letters run from the first to the last, and a third number is the step.
    """
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


#: The most groups of a host, on average, where ranges add hosts to groups.
_GROUPS = 20
_SAME_NAME = "is a host and a group"


class Group(Struct):
    """``hosts`` and ``children`` are ordered sets: their values have no meaning."""

    name: str
    hosts: dict[str, None] = field(default_factory=dict)
    vars: Map = field(default_factory=Map)
    children: dict[str, None] = field(default_factory=dict)
    where: Where | None = None
    #: ``ansible_group_priority``: orders groups of one depth
    priority: int = 1


class Tree(Struct):
    """Every group by name (always with ``all`` and ``ungrouped``) and every host with its own variables.

    ``hosts`` have the names of the files; globs and regular expressions match these names too. Inventory order is that
    of the group ``all``: ``members("all")``, after :meth:`finish`.
    """

    groups: dict[str, Group] = field(default_factory=lambda: {"all": Group("all"), "ungrouped": Group("ungrouped")})
    hosts: dict[str, Map] = field(default_factory=dict)
    #: the file in which each host occurs first, for the magic variables inventory_file and inventory_dir; None for a
    #: host of a list
    files: dict[str, Path | None] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    lenient: bool = False
    #: the file that is being read
    file: Path | None = None
    _parents: dict[str, list[str]] = field(default_factory=dict)
    _members: dict[str, list[str]] = field(default_factory=dict)
    _groups_of: dict[str, list[str]] = field(default_factory=dict)
    _count: int = 0

    def copy(self) -> Tree:
        """The groups and hosts so far. Later additions to either tree leave the other as it is."""
        groups = {
            name: replace(group, hosts=dict(group.hosts), vars=group.vars.copy(), children=dict(group.children))
            for name, group in self.groups.items()
        }
        hosts = {name: variables.copy() for name, variables in self.hosts.items()}
        return replace(self, groups=groups, hosts=hosts, files=dict(self.files))

    def add_group(self, name: str, where: Where, key: str = "") -> Group:
        if not name:
            raise SpecError("a group has no name", where=where, key=key)
        if name in self.hosts and name not in self.groups:
            self._strict(f"{name} {_SAME_NAME}", where, key)
        group = self.groups.setdefault(name, Group(name))
        group.where = group.where or where
        return group

    def add_child(self, parent: str, child: str, where: Where, key: str = "") -> None:
        if child == "all" or child == parent:
            raise SpecError(f"a group inside itself: {parent} -> {child}", where=where, key=key or parent)
        self.groups[parent].children.setdefault(child)

    def add_hosts(self, group: str, pattern: str, where: Where, key: str = "", *, expand: bool = True) -> list[str]:
        """Add the hosts that ``pattern`` selects to a group; return their names."""
        try:
            if not expand:
                check(pattern)
            found, port = hosts_of(pattern) if expand else ([pattern], None)
        except ValueError as error:
            raise SpecError(str(error), where=where, key=key) from error
        self._bound(found, where, key)
        for host in found:
            if host in self.groups:
                self._strict(f"{host} {_SAME_NAME}", where, key)
            if host not in self.hosts:
                self.hosts[host] = Map(here=where)
                self.files[host] = self.file
                if port is not None:
                    self.hosts[host]["ansible_port"] = port
                    self.hosts[host].where["ansible_port"] = where
            self.groups[group].hosts.setdefault(host)
        self._count += len(found)
        return found

    def set_host(self, host: str, name: str, value: Any, where: Where) -> None:
        # With --lenient a group of that name receives the variable: Ansible searches the groups first.
        _set(self.groups[host].vars if host in self.groups else self.hosts[host], name, value, where)

    def set_group(self, group: str, name: str, value: Any, where: Where) -> None:
        if name != "ansible_group_priority":
            _set(self.groups[group].vars, name, value, where)
            return
        try:
            self.groups[group].priority = int(value)
        except (TypeError, ValueError) as error:
            raise SpecError(f"must be a number, not {value!r}", where=where, key=f"{group}.{name}") from error

    def _strict(self, message: str, where: Where, key: str) -> None:
        """Raise an error for input that Ansible accepts with a warning; with ``--lenient``, warn."""
        if not self.lenient:
            raise SpecError(message, where=where, key=key, hint="--lenient makes it a warning, as in Ansible")
        self.notes.append(Note(f"{key}: {message}" if key else message, where, loud=True))

    def _bound(self, found: list[str], where: Where, key: str) -> None:
        """Limit the number of hosts of all ranges together, and how often groups may name them."""
        most = limits.of(limits.HOSTS)
        if len(found) + len(self.hosts) > most and len(self.hosts.keys() | found) > most:
            raise SpecError(
                f"the inventory has {limits.more(limits.HOSTS)}", where=where, key=key, hint=limits.hint(limits.HOSTS)
            )
        # A single host costs a line of the file, whose size is limited already.
        if len(found) > 1 and len(found) + self._count > _GROUPS * most:
            raise SpecError(
                f"the groups have more than {_GROUPS * most:,} hosts, with hosts counted in each of their groups",
                where=where,
                key=key,
                hint=limits.hint(limits.HOSTS),
            )

    def finish(self) -> None:
        """Make every group without a parent a child of ``all``, and every host without another group ``ungrouped``.
        Raises :class:`SpecError` for a group inside itself."""
        top, rest = self.groups["all"], self.groups["ungrouped"]
        # Ansible has this child from the beginning, so its hosts come first.
        top.children = {"ungrouped": None, **top.children}
        _check_cycles(self)
        within = {child for group in self.groups.values() for child in group.children}
        for name in self.groups:
            if name != "all" and name not in within:
                top.children.setdefault(name)
        self._parents = {name: [] for name in self.groups}
        for group in self.groups.values():
            for child in group.children:
                self._parents[child].append(group.name)
        grouped = {host for group in self.groups.values() if group not in (top, rest) for host in group.hosts}
        rest.hosts = {host: None for host in rest.hosts if host not in grouped}
        rest.hosts.update((host, None) for host in self.hosts if host not in grouped)
        self._sort_groups()

    def members(self, name: str) -> list[str]:
        """Hosts of a group and of all groups below it: level by level, as in Ansible."""
        if name not in self._members:
            found: dict[str, None] = {}
            level, seen = [name], {name}
            while level:
                for group in level:
                    found.update(self.groups[group].hosts)
                below = dict.fromkeys(child for group in level for child in self.groups[group].children)
                level = [child for child in below if child not in seen]
                seen.update(level)
            self._members[name] = list(found)
        return self._members[name]

    def groups_of(self, host: str) -> list[str]:
        """All groups of a host except ``all``, by depth, priority and name: a later group's variables win."""
        return self._groups_of.get(host, [])

    def _sort_groups(self) -> None:
        depths: dict[str, int] = {}

        def depth(name: str) -> int:
            """How far a group is below ``all``, by its longest path (Ansible's depth)."""
            if name not in depths:
                depths[name] = 0 if name == "all" else 1 + max(depth(parent) for parent in self._parents[name])
            return depths[name]

        found: dict[str, list[str]] = {host: [] for host in self.hosts}
        order = sorted(self.groups.values(), key=lambda group: (depth(group.name), group.priority, group.name))
        for group in order:
            if group.name != "all":
                for host in self.members(group.name):
                    found[host].append(group.name)
        self._groups_of = found


def _set(variables: Map, name: str, value: Any, where: Where) -> None:
    """Set a variable: a dictionary is replaced, as in Ansible; ``spec`` is refined, as everywhere."""
    variables[name] = refine(variables[name], value) if name == "spec" and name in variables else value
    variables.where[name] = where


def set_all(tree: Tree, hosts: Iterable[str], variables: Map) -> None:
    """Add the same variables to each host."""
    for host in hosts:
        for name, value in variables.items():
            tree.set_host(host, name, value, variables.where[name])


def valid_group(name: str) -> bool:
    return re.fullmatch(r"[^\s:\]\x00-\x1f\x7f]+", name) is not None


def _check_cycles(tree: Tree) -> None:
    """Check that no group is inside itself, and that none is too deep for code that follows groups recursively."""
    below: dict[str, int] = {}  # group -> levels of groups below it
    deepest = limits.of(limits.DEPTH)

    def visit(name: str, above: tuple[str, ...]) -> int:
        if name in above:
            ring = " -> ".join([*above[above.index(name) :], name])
            raise SpecError(f"a group inside itself: {ring}", where=tree.groups[name].where, key=name)
        if name not in below:
            inner = 0
            for child in tree.groups[name].children if len(above) < deepest else ():
                inner = max(inner, 1 + visit(child, (*above, name)))
            below[name] = inner
        if len(above) + below[name] >= deepest:
            raise SpecError(
                f"groups are nested {limits.more(limits.DEPTH)}",
                where=tree.groups[name].where,
                key=name,
                hint=limits.hint(limits.DEPTH),
            )
        return below[name]

    for name in tree.groups:
        visit(name, ())
