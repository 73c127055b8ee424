"""Which value a variable has on a host, by Ansible's precedence, lowest first.

inventory file ``all`` < other groups' inventory vars < inventory ``group_vars/all`` < playbook ``group_vars/all``
< inventory ``group_vars/*`` < playbook ``group_vars/*`` < inventory host vars < inventory ``host_vars/*``
< playbook ``host_vars/*`` < play ``vars`` < ``--extra-vars``. (Ansible, "Variable precedence", items 3 to 22;
its VARIABLE_PRECEDENCE setting gives the order of the group sources.)

One variable is special: each step does not replace ``spec`` but refines it (maps merge, lists replace).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from provision.errors import Note, SpecError, Where
from provision.inventory.tree import Tree
from provision.text import confinement
from provision.text.merge import refine
from provision.text.yaml_hints import wide
from provision.text.yamlfile import Map, Reader, check_names, load

_SUFFIXES = ("", ".yml", ".yaml", ".json")


class Variables:
    """Layers of variables for the hosts of ``tree``; ``folders`` hold group_vars/ and host_vars/, weakest first."""

    def __init__(self, tree: Tree, folders: Sequence[Path], extra: Map) -> None:
        self.tree, self.folders, self.extra = tree, folders, extra
        self._reader = Reader(tree.lenient, tree.notes)
        self._files: dict[tuple[str, str], list[Map]] = {}
        self._shared: dict[tuple[str, ...], list[Map]] = {}
        self._listed: dict[Path, set[str]] = {}

    def groups_of(self, host: str) -> tuple[str, ...]:
        return tuple(self.tree.groups_of(host))

    def layers(self, host: str, play: Map | None = None) -> list[Map]:
        """Every layer of a host, weakest first."""
        own = self.tree.hosts[host]
        above = [play] if play else []
        host_files = [layer for files in self._read("host_vars", host) for layer in files]
        return [*self._group_layers(self.groups_of(host)), own, *host_files, *above, self.extra]

    def of(self, host: str, play: Map | None = None) -> tuple[Map, Map]:
        """A host's variables (unrendered) and its own refinements of ``spec``, merged."""
        values, spec = Map(), Map()
        for layer in self.layers(host, play):
            for name, value in layer.items():
                if name == "spec":
                    if not isinstance(value, Map):
                        raise SpecError("must be a mapping", where=layer.where.get(name), key="spec")
                    spec = refine(spec, value)
                    continue
                values[name] = value
                if name in layer.where:
                    values.where[name] = layer.where[name]
        return values, spec

    def _group_layers(self, groups: tuple[str, ...]) -> list[Map]:
        """The layers of some groups. Hosts with the same groups share them: they are read and merged once."""
        if groups not in self._shared:
            layers = [self.tree.groups["all"].vars, *(self.tree.groups[name].vars for name in groups)]
            for files in self._read("group_vars", "all"):
                layers += files
            by_group = [self._read("group_vars", name) for name in groups]
            for index in range(len(self.folders)):
                layers += [layer for sources in by_group for layer in sources[index]]
            self._shared[groups] = layers
        return self._shared[groups]

    def _read(self, kind: str, name: str) -> list[list[Map]]:
        """For each directory, the maps of ``kind/name`` (a file, or a directory of files)."""
        return [self._files_of(folder, kind, name) for folder in self.folders]

    def _files_of(self, folder: Path, kind: str, name: str) -> list[Map]:
        root = folder / kind
        key = (str(root), name)
        if key not in self._files:
            found = self._found(root, name) if name in self._names(root) else []
            self._files[key] = [layer for path in found if (layer := self._mapping(path)) is not None]
        return self._files[key]

    def _found(self, root: Path, name: str) -> list[Path]:
        """The first of ``name``, ``name.yml`` ... that exists, as in Ansible: ``web/`` hides ``web.yml``."""
        # lexists: a link without its target is an error, and not a file that is not there.
        there = [path for suffix in _SUFFIXES if os.path.lexists(path := root / f"{name}{suffix}")]
        for path in there[1:]:
            text = f"{path} is not read: {there[0].name} in the same directory takes precedence, as in Ansible"
            self.tree.notes.append(Note(text, loud=True))
        return [file for path in there[:1] for file in (_inside(path) if path.is_dir() else [path])]

    def _names(self, root: Path) -> set[str]:
        """The names in ``root``, listed once: 1,000 hosts must not need 4,000 look-ups."""
        if root not in self._listed:
            confinement.check(root)
            entries = list(root.iterdir()) if root.is_dir() else []
            self._listed[root] = {e.name for e in entries} | {e.stem for e in entries if e.suffix in _SUFFIXES}
        return self._listed[root]

    def _mapping(self, path: Path) -> Map | None:
        data = load(path, reader=self._reader)
        if data is None:
            return None
        if not isinstance(data, Map):
            raise SpecError("a file of variables must be a mapping", where=Where(path, 1), hint=wide(data))
        check_names(data)
        return data


def _inside(folder: Path) -> list[Path]:
    """The files of variables in a directory, in order of their names, and in subdirectories without an ending."""
    confinement.check(folder)
    found: list[Path] = []
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.name.startswith(".") or path.name.endswith("~"):
            continue
        if path.is_dir():
            found += [] if path.suffix else _inside(path)
        elif path.suffix in _SUFFIXES:
            found.append(path)
    return found
