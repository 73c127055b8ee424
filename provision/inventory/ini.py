"""INI inventories, by the rules of Ansible's ``ini`` plugin.

A line of ``[group]`` is a host with variables, split like words of a shell. A line of ``[group:vars]`` is a variable up
to its first ``=``. A line of ``[group:children]`` is a group. Values are Python literals where they can be: ``5`` is a
number and ``[1, 2]`` a list; ``0644`` and ``yes`` are text.
"""

from __future__ import annotations

import ast
import re
import shlex
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from provision import limits
from provision.errors import SpecError, Where
from provision.inventory.tree import Tree, set_all, valid_group
from provision.lines import lines_of
from provision.text.yamlfile import Map, check_key, nearest, plain, sealed

_SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?")
_GROUP = re.compile(r"([^:\]\s]+)\s*(?:#.*)?")
_KINDS = ("hosts", "children", "vars")
#: What ends a line besides a newline: the characters of Python's ``str.splitlines``, which Ansible's plugin calls.
_ENDS = re.compile("[\r\v\f\x1c-\x1e\x85\u2028\u2029]")


def add(tree: Tree, path: Path, text: str, vault: bool = False) -> None:
    """Read an INI inventory. Raises :class:`SpecError` for other text. ``vault``: the text was encrypted, so its values
    are secrets."""
    _Reader(tree, path, vault).read(text)


class _Reader:
    def __init__(self, tree: Tree, path: Path, vault: bool) -> None:
        self.tree, self.path, self.vault = tree, path, vault
        #: declared groups: from before this file, or by [group] or [group:children] in it
        self.declared = set(tree.groups)
        #: children that are named before they are declared -> their parents, and the place of each
        self.pending: dict[str, list[tuple[str, Where]]] = {}
        #: [group:vars] -> its place
        self.needed: dict[str, Where] = {}

    def read(self, text: str) -> None:
        group, kind = "ungrouped", "hosts"
        for number, line in _numbered(text):
            where, line = Where(self.path, number), line.strip()
            if not line or line[0] in ";#":
                continue
            if section := _SECTION.fullmatch(line):
                group, kind = section[1], section[2] or "hosts"
                self._section(group, kind, where)
            elif line.startswith("[") and (line.endswith("]") or "]" not in line):
                raise SpecError(f"not a section: {line}", where=where, hint="[group], [group:vars] or [group:children]")
            elif kind == "hosts":
                self._hosts(group, line, where)
            elif kind == "vars":
                name, equals, value = line.partition("=")
                if not equals:
                    raise SpecError(f"a variable is NAME=VALUE, not {line!r}", where=where, key=f"{group}:vars")
                name = name.strip()
                self.tree.set_group(group, name, self._value(name, value.strip(), where), where)
            else:
                self._child(group, line, where)
        for group, where in self.needed.items():
            if group not in self.declared:
                raise self._unknown(f"[{group}:vars] is of a group that is not declared", group, where)
        for child, parents in self.pending.items():
            raise self._unknown(
                f"[{parents[-1][0]}:children] names a group that is not declared: {child}", child, parents[-1][1]
            )

    def _unknown(self, message: str, name: str, where: Where) -> SpecError:
        return SpecError(message, where=where, hint=nearest(name, self.declared) or f"add a section [{name}]")

    def _section(self, group: str, kind: str, where: Where) -> None:
        if kind not in _KINDS:
            hint = nearest(kind, _KINDS) or "a section is [group], [group:vars] or [group:children]"
            raise SpecError(f"a section of an unknown kind: {kind}", where=where, key=group, hint=hint)
        self.tree.add_group(group, where)
        if kind == "vars":
            self.needed.setdefault(group, where)
            return
        self.declared.add(group)
        self._settle(group)

    def _settle(self, group: str) -> None:
        """Declare the group, and make it a child of the groups that have named it as one."""
        for parent, where in self.pending.pop(group, []):
            self.tree.add_child(parent, group, where)

    def _child(self, group: str, line: str, where: Where) -> None:
        match = _GROUP.fullmatch(line)
        if match is None or not valid_group(match[1]):
            raise SpecError(f"not the name of a group: {line!r}", where=where, key=f"{group}:children")
        if match[1] in self.tree.groups:
            self.tree.add_child(group, match[1], where)
        else:
            self.pending.setdefault(match[1], []).append((group, where))

    def _hosts(self, group: str, line: str, where: Where) -> None:
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise SpecError(f"not a host and its variables: {error}", where=where, key=group) from error
        if not words:
            return
        if words[0] == "---" or words[0].endswith(":"):
            hint = "a YAML file needs a name that ends in .yml or .yaml"
            raise SpecError(f"not a host name: {words[0]!r}", where=where, key=group, hint=hint)
        variables = Map(here=where)
        for word in words[1:]:
            name, equals, value = word.partition("=")
            if not equals:
                hint = "a value ends at a blank; quote it as a whole: 'name=a b'"
                raise SpecError(f"a variable is NAME=VALUE, not {word!r}", where=where, key=words[0], hint=hint)
            variables[name] = self._value(name, value, where)
            variables.where[name] = where
        set_all(self.tree, self.tree.add_hosts(group, words[0], where, group), variables)

    def _value(self, name: str, text: str, where: Where) -> Any:
        value: Any = text
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)
                value = _literal(name, text, where)
        except (ValueError, SyntaxError, TypeError):
            pass
        except (MemoryError, RecursionError) as error:
            raise SpecError("the value is nested too deep", where=where, key=name) from error
        value = plain(_data(value), where, name)
        return sealed(name, value, where) if self.vault else value


def _literal(name: str, text: str, where: Where) -> Any:
    """The value of a Python literal. Its size and its keys are checked before it is made."""
    if limits.parts(text) > limits.of(limits.NODES):
        message, hint = f"the value has {limits.more(limits.NODES)}", limits.hint(limits.NODES)
        raise SpecError(message, where=where, key=name, hint=hint)
    tree = ast.parse(text.lstrip(" \t"), mode="eval")
    for node in ast.walk(tree):
        keys = node.keys if isinstance(node, ast.Dict) else node.elts if isinstance(node, ast.Set) else ()
        for one in keys:
            for part in ast.walk(one) if one is not None else ():
                check_key((part,) if isinstance(part, ast.Tuple) else getattr(part, "value", None), where, name)
    return ast.literal_eval(tree)


def _numbered(text: str) -> Iterator[tuple[int, str]]:
    """The lines as Ansible's plugin reads them (also a form feed or U+0085 ends one), with the numbers that an editor
    shows."""
    for number, line in enumerate(lines_of(text), 1):
        for part in _ENDS.split(line):
            yield number, part


def _data(value: Any) -> Any:
    """A Python literal as data; a value that JSON can't express is text."""
    if isinstance(value, dict):
        return {key: _data(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_data(one) for one in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if value is ...:
        return "..."
    return str(value) if isinstance(value, complex) else value
