"""The inventory for the rest of the program: hosts by pattern, each with its variables and its login."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from provision import limits
from provision.errors import Note, SpecError, Where
from provision.inventory import sources
from provision.inventory.login import Logins, login
from provision.inventory.patterns import select
from provision.inventory.sources import Given, Reading
from provision.inventory.tree import Tree
from provision.model import Host
from provision.text.merge import refine
from provision.text.render import Scope
from provision.text.yaml_hints import wide
from provision.text.yamlfile import Map, Reader, check_names, load
from provision.visible import line


class Inventory:
    """``source`` is what ``-i`` names: files, directories, lists of hosts. ``playbook_dir`` adds the group_vars/ and
    host_vars/ in the playbook's directory. ``logins`` are the options of the command line."""

    def __init__(
        self,
        source: Given | None = None,
        *,
        playbook_dir: Path | None = None,
        extra: Map | None = None,
        reading: Reading | None = None,
        logins: Logins | None = None,
    ) -> None:
        self.reading = reading or Reading()
        found = sources.read(source, self.reading)
        self.tree = found.tree
        folders = [*found.folders]
        if playbook_dir is not None and (not folders or playbook_dir.resolve() != folders[-1].resolve()):
            folders.append(playbook_dir)
        self.playbook_dir = playbook_dir
        self._playbook_folder = str((playbook_dir or Path()).resolve())
        self._places: dict[Path, dict[str, str]] = {}
        self.variables = Variables(self.tree, folders, extra or Map())
        self._logins = logins or Logins()
        self._defaults = self._logins.defaults(found.login)
        self._groups = {name: self.tree.members(name) for name in self.tree.groups}
        self._hostvars = _HostVars(self)

    @property
    def notes(self) -> list[Note]:
        """The differences from Ansible, in the files read so far; each difference once."""
        return list({(note.text, str(note.where)): note for note in self.tree.notes}.values())

    def select(self, pattern: str, *, where: Where | None = None, key: str = "") -> list[str]:
        return select(self.tree, pattern, where=where, key=key)

    def limit(self, hosts: list[str], pattern: str | None) -> list[str]:
        """Reduce ``hosts`` to those of ``-l PATTERN``."""
        if pattern is None:
            return hosts
        allowed = set(self.select(pattern, key="--limit"))
        return [host for host in hosts if host in allowed]

    def scope(self, host: str, play: Map | None = None, own: bool = True) -> tuple[Scope, Map]:
        """The variables of a host with Ansible's magic variables, and its refinements of ``spec`` (unrendered). In
        ``hostvars`` (not ``own``), ``ansible_host`` exists only where it is set."""
        values, spec = self.variables.of(host, play)
        magic: dict[str, Any] = {
            "inventory_hostname": host,
            "inventory_hostname_short": host.partition(".")[0],
            "group_names": sorted(self.variables.groups_of(host)),
            "groups": self._groups,
            "hostvars": self._hostvars,
            **self._files(host),
            "playbook_dir": self._playbook_folder,
        }
        if own and "ansible_host" not in values and "ansible_ssh_host" not in values:
            magic["ansible_host"] = host
        return Scope(values, magic), spec

    def _files(self, host: str) -> dict[str, str]:
        """The file in which a host occurs first; a list of hosts is not in a file."""
        file = self.tree.files.get(host)
        if file is None:
            return {}
        if file not in self._places:
            path = file.absolute()
            self._places[file] = {"inventory_file": str(path), "inventory_dir": str(path.parent)}
        return self._places[file]

    def host(self, name: str, scope: Scope | None = None) -> Host:
        # A reader that runs no program of the project also decrypts none of its values, so it needs no passwords.
        found = login(
            name,
            (scope or self.scope(name)[0]).with_defaults(self._defaults),
            passwords=self.reading.programs,
            notes=self.tree.notes,
            lenient=self.reading.lenient,
        )
        found = dataclasses.replace(
            found,
            password=self._logins.password or found.password,
            become_password=self._logins.become_password or found.become_password,
        )
        return Host(name, self.variables.groups_of(name), found)

    def graph(self, top: str = "all") -> str:
        """A group and its content as a tree, as ``ansible-inventory --graph`` prints it."""

        def lines(name: str, depth: int) -> Iterator[str]:
            yield f"{'  |' * depth}{'--' if depth else ''}@{line(name)}:"
            group = self.tree.groups[name]
            for child in group.children:
                yield from lines(child, depth + 1)
            if name != "all":
                for host in group.hosts:
                    yield f"{'  |' * (depth + 1)}--{line(host)}"

        return "\n".join(lines(top, 0))

    def listing(self, variables: Callable[[str], dict[str, Any]] | None = None) -> dict[str, Any]:
        """Groups and every host's variables, in the form of ``ansible-inventory --list``. ``variables`` returns the
        variables of a host to show; by default as written, with passwords masked."""
        shown = variables or self.visible
        hostvars = {host: found for host in self.tree.members("all") if (found := shown(host))}
        result: dict[str, Any] = {"_meta": {"hostvars": hostvars}}
        for name, group in self.tree.groups.items():
            entry: dict[str, Any] = {}
            if group.children:
                entry["children"] = list(group.children)
            if group.hosts and name != "all":
                entry["hosts"] = list(group.hosts)
            if entry:
                result[name] = entry
        return result

    def visible(self, host: str) -> dict[str, Any]:
        """A host's variables as written, with passwords masked."""
        values, spec = self.variables.of(host)
        shown = {name: _masked(name, value) for name, value in values.items()}
        return {**shown, "spec": spec} if spec else shown


#: Names of passwords, with names in front of and behind them: ``DB_PASSWD``, ``api_token_eu``; not ``compass``.
_PASSWORD = re.compile(
    r"(?:.*[_.-])?(?:pass|pw|pwd|passwd|password|passphrase|secret|token|api_?key|secret_?key|private_?key)s?(?:[_.-].*)?",
    re.IGNORECASE | re.DOTALL,
)
#: Names about a password that are none.
_ABOUT = re.compile(r".*[_.-](?:file|path|dir|user|name|id|length|ttl|age|days)", re.IGNORECASE | re.DOTALL)


def _masked(name: object, value: Any) -> Any:
    """A value to show: passwords in mappings and lists are masked too."""
    text = str(name)
    if value is not None and not isinstance(value, bool) and _PASSWORD.fullmatch(text) and not _ABOUT.fullmatch(text):
        return "********"
    if isinstance(value, dict):
        return {key: _masked(key, one) for key, one in value.items()}
    return [_masked("", one) for one in value] if isinstance(value, list) else value


class _HostVars(Mapping[str, Any]):
    """``hostvars['other']``: another host's variables, rendered when a template reads them."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        #: A template may visit all hosts, and every host may have such a template.
        self._found: dict[str, _Lookup] = {}

    def __getitem__(self, host: str) -> Any:
        if host not in self._found:
            if host not in self._inventory.tree.hosts:
                missing = jinja2.UndefinedError(f"hostvars: no such host: {host}")
                raise SpecError(str(missing)) from missing
            self._found[host] = _Lookup(self._inventory.scope(host, own=False)[0])
        return self._found[host]

    def __contains__(self, host: object) -> bool:
        return host in self._inventory.tree.hosts

    def __iter__(self) -> Iterator[str]:
        return iter(self._inventory.tree.members("all"))

    def __len__(self) -> int:
        return len(self._inventory.tree.hosts)


class _Lookup(Mapping[str, Any]):
    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def __getitem__(self, name: str) -> Any:
        if name not in self._scope:
            raise KeyError(name)
        return self._scope[name]

    def __contains__(self, name: object) -> bool:
        return name in self._scope.raw

    def __iter__(self) -> Iterator[str]:
        return iter(self._scope.raw)

    def __len__(self) -> int:
        return len(self._scope.raw)


_SUFFIXES = ("", ".yml", ".yaml", ".json")


class Variables:
    """Layers of variables for the hosts of ``tree``; ``folders`` hold group_vars/ and host_vars/, weakest first.

    Ansible's precedence, lowest first: inventory file ``all`` < other groups' inventory vars < inventory
    ``group_vars/all`` < playbook ``group_vars/all`` < inventory ``group_vars/*`` < playbook ``group_vars/*`` <
    inventory host vars < inventory ``host_vars/*`` < playbook ``host_vars/*`` < play ``vars`` < ``--extra-vars``
    (Ansible, "Variable precedence", items 3 to 22; its VARIABLE_PRECEDENCE setting gives the order of the group
    sources).

    One variable is special: each step does not replace ``spec`` but refines it (maps merge, lists replace).
    """

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
            limits.check(root)
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
    limits.check(folder)
    found: list[Path] = []
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.name.startswith(".") or path.name.endswith("~"):
            continue
        if path.is_dir():
            found += [] if path.suffix else _inside(path)
        elif path.suffix in _SUFFIXES:
            found.append(path)
    return found
