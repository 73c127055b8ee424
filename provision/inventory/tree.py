"""Groups, their children and their hosts, as the files of an inventory give them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from provision.errors import SpecError, Where
from provision.inventory import ranges
from provision.text import limits
from provision.text.merge import refine
from provision.text.yamlfile import Map, load, nearest

#: What Ansible passes over in an inventory folder (its INVENTORY_IGNORE_EXTS), and what git and editors leave.
_IGNORED = re.compile(r"(^\.|~$|\.(orig|cfg|retry|bak|ini|pyc|pyo|md|txt|rst|py|sh|swp|log)$)")
#: Groups that each host may be in, on average, where ranges put it there.
_GROUPS = 20
_GROUP_KEYS = ("hosts", "vars", "children")


class Group(Struct):
    name: str
    hosts: dict[str, Map] = field(default_factory=dict)
    vars: Map = field(default_factory=Map)
    children: list[str] = field(default_factory=list)
    where: Where | None = None


class Tree(Struct):
    """Every group by name (``all`` and ``ungrouped`` always among them) and every host in inventory order."""

    groups: dict[str, Group]
    hosts: dict[str, Map]
    files: tuple[Path, ...]

    def parents(self, name: str) -> list[str]:
        return [group.name for group in self.groups.values() if name in group.children]

    def depths(self) -> dict[str, int]:
        """How far each group is below ``all``, by its longest way (Ansible's depth)."""
        depths: dict[str, int] = {}

        def depth(name: str) -> int:
            if name not in depths:
                above = [depth(parent) for parent in self.parents(name)]
                depths[name] = 0 if name == "all" else 1 + max(above, default=0)
            return depths[name]

        for name in self.groups:
            depth(name)
        return depths

    def members(self, name: str) -> list[str]:
        """Hosts of a group and of all groups below it, in inventory order."""
        wanted: set[str] = set()
        todo = [name]
        while todo:
            group = self.groups[todo.pop()]
            wanted.update(group.hosts)
            todo.extend(group.children)
        return [host for host in self.hosts if host in wanted] if name != "all" else list(self.hosts)

    def groups_of(self, host: str) -> list[str]:
        """All groups of a host but ``all``, by depth and then by name: the order in which variables win."""
        direct = [group.name for group in self.groups.values() if host in group.hosts]
        found: set[str] = set()
        todo = direct
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo = [*todo, *self.parents(name)]
        depths = self.depths()
        found.discard("all")
        return sorted(found, key=lambda name: (depths[name], self._priority(name), name))

    def _priority(self, name: str) -> int:
        """``ansible_group_priority`` orders groups of one depth; 1 when it is not set."""
        value = self.groups[name].vars.get("ansible_group_priority", 1)
        return value if isinstance(value, int) else 1


def read(source: Path) -> Tree:
    """Read one inventory file, or every one of a folder in the order of their names."""
    if source.is_dir():
        files = sorted(
            path
            for path in source.iterdir()
            if path.is_file() and not _IGNORED.search(path.name) and path.name not in ("group_vars", "host_vars")
        )
        if not files:
            raise SpecError(f"no inventory file in {source}", hint="hosts.yml is the usual name")
    elif source.exists():
        files = [source]
    else:
        raise SpecError(f"no such inventory: {source}", hint="give one with -i, or write one with `provision init`")
    tree = Tree({"all": Group("all"), "ungrouped": Group("ungrouped")}, {}, tuple(files))
    for file in files:
        data = load(file)
        if data is None:
            continue
        if not isinstance(data, Map):
            hint = "INI inventories: `ansible-inventory --list --yaml` turns them into YAML"
            raise SpecError("an inventory is a mapping of groups", where=Where(file, 1), hint=hint)
        for name, body in data.items():
            _add_group(tree, name, body, data.where[name], name)
    _check_cycles(tree)
    _close(tree)
    return tree


def _add_group(tree: Tree, name: str, body: Any, where: Where, key: str) -> None:
    if name in tree.hosts:
        raise SpecError(f"{name} is a host and a group", where=where, key=key)
    group = tree.groups.setdefault(name, Group(name))
    group.where = group.where or where
    if body is None:
        return
    if not isinstance(body, Map):
        raise SpecError(f"group {name} must be a mapping of hosts, vars and children", where=where, key=key)
    for part, value in body.items():
        place, path = body.where[part], f"{key}.{part}"
        if part not in _GROUP_KEYS:
            raise SpecError(
                "unknown key in a group",
                where=place,
                key=path,
                hint=nearest(part, _GROUP_KEYS) or "a group has hosts, vars and children",
            )
        if value is None:
            continue
        if not isinstance(value, Map):
            example = "a name and a colon" if part == "hosts" else "a mapping"
            raise SpecError(
                f"must be a mapping, not {type(value).__name__.lower()}", where=place, key=path, hint=example
            )
        if part == "vars":
            group.vars = refine(group.vars, value)
        elif part == "hosts":
            for host, variables in value.items():
                _add_hosts(tree, group, host, variables, value.where[host], f"{path}.{host}")
        else:
            for child, inner in value.items():
                if child not in group.children:
                    group.children.append(child)
                _add_group(tree, child, inner, value.where[child], f"{path}.{child}")


def _add_hosts(tree: Tree, group: Group, name: str, variables: Any, where: Where, key: str) -> None:
    if variables is not None and not isinstance(variables, Map):
        raise SpecError("a host's variables must be a mapping", where=where, key=key)
    try:
        names = ranges.expand(name)
    except ValueError as error:
        raise SpecError(str(error), where=where, key=key) from error
    _count(tree, names, where, key)
    for host in names:
        if re.search(r"[\s,:!&]", host) or host.startswith("-"):
            raise SpecError(f"not a host name: {host!r}", where=where, key=key)
        if host in tree.groups:
            raise SpecError(f"{host} is a host and a group", where=where, key=key)
        own = refine(tree.hosts.get(host, Map()), variables or Map())
        tree.hosts[host] = own
        group.hosts[host] = own


def _count(tree: Tree, names: list[str], where: Where, key: str) -> None:
    """Bound the hosts of all ranges together, and how often groups may name them."""
    most = limits.of(limits.HOSTS)
    if len(names) + len(tree.hosts) > most and len(tree.hosts.keys() | names) > most:
        raise SpecError(
            f"the inventory has {limits.more(limits.HOSTS)}", where=where, key=key, hint=limits.hint(limits.HOSTS)
        )
    # A host that is named by itself costs a line of the file, whose size is bounded already.
    if len(names) > 1 and len(names) + sum(len(group.hosts) for group in tree.groups.values()) > _GROUPS * most:
        raise SpecError(
            f"the groups have more than {_GROUPS * most:,} hosts, counted once a group",
            where=where,
            key=key,
            hint=limits.hint(limits.HOSTS),
        )


def _check_cycles(tree: Tree) -> None:
    """No group is inside itself, and none is so deep that code which follows groups would recurse too far."""
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


def _close(tree: Tree) -> None:
    """Every group without a parent is a child of ``all``; a host of no other group is ``ungrouped``."""
    top = tree.groups["all"]
    for name in tree.groups:
        if name != "all" and not tree.parents(name):
            top.children.append(name)
    grouped = {host for group in tree.groups.values() if group.name not in ("all", "ungrouped") for host in group.hosts}
    for host, variables in tree.hosts.items():
        if host not in grouped:
            tree.groups["ungrouped"].hosts[host] = variables
