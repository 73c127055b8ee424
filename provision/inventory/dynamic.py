"""Inventories that a program prints as JSON: scripts (``--list``, ``--host``, ``_meta``), and configurations of
Ansible's inventory plugins, which the installed ``ansible-inventory`` reads."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from provision.errors import Note, SpecError, UsageError, Where
from provision.inventory import program
from provision.inventory.tree import Tree, set_all
from provision.text.yamlfile import Map, Seq, plain

_PARTS = ("hosts", "vars", "children")


def add_script(tree: Tree, path: Path) -> None:
    """Run an inventory script and add its output."""
    command = str(path.absolute())
    where = Where(path, 1)
    data = _json(_run(tree, [command, "--list"], where), where)

    def of_host(host: str) -> Map:
        text = _run(tree, [command, "--host", host], where)
        return _json(text, where) if text.strip() else Map()

    add(tree, data, where, of_host)


def _run(tree: Tree, command: Sequence[str], where: Where) -> str:
    found, said = program.run(command, "inventory script")
    if said:
        tree.notes.append(Note(f"the script printed on standard error: {said}", where, loud=True))
    return _text(found, where)


def _text(found: bytes, where: Where) -> str:
    try:
        return found.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError("what it prints is not UTF-8 text", where=where) from error


def _json(text: str, where: Where) -> Map:
    try:
        data = plain(json.loads(text), where)
    except (ValueError, RecursionError) as error:
        why = f"what it prints is not JSON: {error}" if text.strip() else "it printed nothing, and JSON is expected"
        raise SpecError(why, where=where) from error
    if not isinstance(data, Map):
        raise SpecError("what it prints is not a JSON object", where=where)
    return data


def add(tree: Tree, data: Map, where: Where, of_host: Callable[[str], Map] | None = None) -> None:
    """Add groups, and hosts with the variables of ``_meta.hostvars``; without it ``of_host`` returns each host's."""
    hosts: dict[str, None] = {}
    for name, body in data.items():
        if name != "_meta":
            _group(tree, name, body, where, hosts)
    meta = data.get("_meta", Map())
    variables = meta.get("hostvars") if isinstance(meta, Map) else meta
    if variables is not None and not isinstance(variables, Map):
        raise SpecError("must be a mapping", where=where, key="_meta.hostvars")
    for host in hosts:
        of_one = variables.get(host) if variables is not None else of_host(host) if of_host is not None else None
        if of_one is not None and not isinstance(of_one, Map):
            raise SpecError("a host's variables must be a mapping", where=where, key=host)
        set_all(tree, [host], of_one or Map())


def _group(tree: Tree, name: str, body: Any, where: Where, hosts: dict[str, None]) -> None:
    tree.add_group(name, where, name)
    if isinstance(body, Seq):
        body = Map((("hosts", body),), where)
    elif isinstance(body, Map) and not any(part in body for part in _PARTS):
        # The format of Ansible 1.2: the group has one host of the same name.
        body = Map((("hosts", Seq([name], where)), ("vars", body)), where)
    if not isinstance(body, Map):
        raise SpecError("a group is a mapping of hosts, vars and children", where=where, key=name)
    for part, kind in zip(_PARTS, (Seq, Map, Seq), strict=True):
        if not isinstance(body.get(part, kind()), kind):
            wanted = "a mapping" if kind is Map else "a list"
            raise SpecError(f"must be {wanted}", where=where, key=f"{name}.{part}")
    for host in body.get("hosts", ()):
        if not isinstance(host, str):
            raise SpecError(f"not a host name: {host!r}", where=where, key=f"{name}.hosts")
        hosts.setdefault(host)
        tree.add_hosts(name, host, where, f"{name}.hosts", expand=False)
    for variable, value in body.get("vars", {}).items():
        tree.set_group(name, variable, value, where)
    for child in body.get("children", ()):
        tree.add_group(str(child), where, name)
        tree.add_child(name, str(child), where, name)


def add_plugin(tree: Tree, path: Path, plugin: str, before: Sequence[Path | str], vault_ids: Sequence[str]) -> None:
    """Add what a plugin makes of its configuration. A plugin may use what was read before it (``constructed``), so
    ``ansible-inventory`` reads those files and lists of hosts too; only what the plugin changes is added."""
    where = Where(path, 1)
    command = shutil.which("ansible-inventory")
    if command is None:
        raise SpecError(
            f"a configuration of Ansible's inventory plugin {plugin}, which needs the program ansible-inventory",
            where=where,
            key="plugin",
            hint="install ansible-core and the plugin's collection, or give what `ansible-inventory --list --export`"
            " prints on another machine as an inventory script",
        )
    earlier = _exported(command, before, vault_ids, where) if before else Map()
    add(tree, _changes(_exported(command, (*before, path), vault_ids, where), earlier), where)


def _exported(command: str, sources: Sequence[Path | str], vault_ids: Sequence[str], where: Where) -> Map:
    names = (str(source.absolute()) if isinstance(source, Path) else source for source in sources)
    words = [word for name in names for word in ("-i", name)]
    ids = [word for id in vault_ids for word in ("--vault-id", id)]
    # Without this setting a failed plugin is only a warning, and the inventory is empty.
    strict = {"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "True", "ANSIBLE_NOCOLOR": "1"}
    try:
        found, _ = program.run([command, "--list", "--export", *words, *ids], "inventory plugin", strict)
    except UsageError as error:
        raise SpecError(str(error), where=where, key="plugin") from error
    return _json(_text(found, where), where)


def _changes(after: Map, before: Map) -> Map:
    """Every group and host of ``after``, with only the variables that ``before`` lacks or has with another value."""
    hostvars = _inner(_inner(after, "_meta"), "hostvars")
    earlier = _inner(_inner(before, "_meta"), "hostvars")
    kept = Map(here=after.here)
    for host, variables in hostvars.items():
        _put(kept, host, _other(variables, _inner(earlier, host)))
    result = Map(here=after.here)
    _put(result, "_meta", Map((("hostvars", kept),), after.here))
    for name, body in after.items():
        if name != "_meta" and isinstance(body, Map):
            parts = body.copy()
            _put(parts, "vars", _other(_inner(body, "vars"), _inner(_inner(before, name), "vars")))
            _put(result, name, parts)
    return result


def _inner(data: Map, name: str) -> Map:
    value = data.get(name)
    return value if isinstance(value, Map) else Map()


def _other(variables: Map, earlier: Map) -> Map:
    result = Map(here=variables.here)
    for name, value in variables.items():
        if name not in earlier or earlier[name] != value:
            result[name] = value
            result.where[name] = variables.where[name]
    return result


def _put(data: Map, name: str, value: Any) -> None:
    data[name] = value
    if data.here is not None:
        data.where[name] = data.here
