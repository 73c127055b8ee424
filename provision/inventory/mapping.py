"""Groups as a mapping: YAML, JSON, and TOML, in which children are a list."""

from __future__ import annotations

from typing import Any

from provision.errors import Note, SpecError, Where
from provision.inventory.tree import Tree, set_all
from provision.text.yaml_hints import wide
from provision.text.yamlfile import Map, Seq, check_names, named, nearest, sealed

_GROUP_KEYS = ("hosts", "vars", "children")


def add(tree: Tree, data: Map, vault: bool = False) -> None:
    """Add every group of ``data``, in Ansible's order: a child is added to its parent after everything in the child was
    read. ``vault``: the file was encrypted and its values are still plain text; they become secrets."""
    check_names(data)
    for name, body in data.items():
        _group(tree, _vaulted(name, body) if vault else body, name, data.where[name], name)


def _vaulted(name: str, body: Any) -> Any:
    """A group whose variables have secrets as values."""
    if not isinstance(body, Map):
        return body
    result = body.copy()
    for part in ("vars", "hosts"):
        if part in body:
            result[part] = sealed(f"{name}.{part}", body[part], body.where[part])
    return result


def _passed_over(tree: Tree, message: str, where: Where, key: str, hint: str = "") -> None:
    """Ansible skips these keys with a warning: report them, or fail without --lenient."""
    if not tree.lenient:
        raise SpecError(message, where=where, key=key, hint=hint)
    tree.notes.append(Note(f"{key}: {message}; ignored", where, loud=True))


def _group(tree: Tree, body: Any, name: str, where: Where, key: str) -> None:
    if body is not None and not isinstance(body, Map):
        _passed_over(tree, f"group {name} must be a mapping of hosts, vars and children", where, key)
        return
    group = tree.add_group(name, where, key)
    if body is None:
        return
    check_names(body, key)
    for part, value in body.items():
        place, path = body.where[part], f"{key}.{part}"
        if part not in _GROUP_KEYS:
            hint = nearest(part, _GROUP_KEYS) or "a group has hosts, vars and children"
            _passed_over(tree, "unknown key in a group", place, path, hint)
            continue
        if value is None:
            continue
        if part == "children" and isinstance(value, Seq):
            _children(tree, name, value, path)
            continue
        if wide(value) or not isinstance(given := _as_map(value, place), Map):
            hint = wide(value) or ("write each host as a name and a colon" if part == "hosts" else "")
            raise SpecError(f"must be a mapping, not {named(value)}", where=place, key=path, hint=hint)
        check_names(given, path)
        if part == "vars":
            for variable, one in given.items():
                tree.set_group(group.name, variable, one, given.where[variable])
        elif part == "hosts":
            for pattern, variables in given.items():
                _hosts(tree, group.name, pattern, variables, given.where[pattern], f"{path}.{pattern}")
        else:
            for child, inner in given.items():
                _group(tree, inner, child, given.where[child], f"{path}.{child}")
                if child in tree.groups:
                    tree.add_child(group.name, child, given.where[child], f"{path}.{child}")


def _as_map(value: Any, where: Where) -> Any:
    """Ansible reads ``hosts: web1`` as a mapping of one key."""
    if not isinstance(value, str):
        return value
    single = Map(((value, None),), where)
    single.where[value] = where
    return single


def _children(tree: Tree, name: str, children: Seq, key: str) -> None:
    for child, where in zip(children, children.where, strict=True):
        if not isinstance(child, str):
            raise SpecError("a child is the name of a group", where=where, key=key)
        tree.add_group(child, where, key)
        tree.add_child(name, child, where, key)


def _hosts(tree: Tree, group: str, pattern: str, variables: Any, where: Where, key: str) -> None:
    if variables is not None and not isinstance(variables, Map):
        raise SpecError("a host's variables must be a mapping", where=where, key=key)
    check_names(variables or Map(), key)
    set_all(tree, tree.add_hosts(group, pattern, where, key), variables or Map())
