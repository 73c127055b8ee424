"""Read what ``-i`` names (files, directories and lists of hosts), one after the other, into one tree."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from provision import limits
from provision.errors import Note, ProvisionError, SpecError, UsageError, Where
from provision.inventory import config as configs
from provision.inventory import mapping
from provision.inventory.config import Config
from provision.inventory.tree import Tree
from provision.lines import lines_of
from provision.secrets import secret
from provision.text.yamlfile import Map, Reader, load, plain

DEFAULT = "inventory"
_YAML = ("", ".yml", ".yaml", ".json")
#: Endings of files that are certainly an inventory: a file that can't be read is an error. So it is for most files
#: without an ending. For any other file in a directory it is a warning, as in Ansible, which tries each file as INI.
_MEANT = (".yml", ".yaml", ".json", ".ini", ".toml")
_SECTION = re.compile(r"\[[^\]]+\]\s*(#.*)?")

_KEYS = re.compile(rb"^(?:-----BEGIN |(?:\S+ )*(?:ssh|ecdsa|sk)-\S+ AAAA)", re.MULTILINE)
#: A line that only an inventory has: a section of INI, or a part of a group of YAML.
_PART = re.compile(rb"^(?:\[[^\]\s]+\]\s*(?:#.*)?$| +(?:hosts|children|vars):)", re.MULTILINE)

Given = str | Path | Sequence[str | Path]


class Reading(Struct, frozen=True):
    """How an inventory is read. ``lenient``: what Ansible accepts with a warning is a warning here too. ``programs``:
    scripts and plugins are run. ``vault_ids``: the vault ids whose passwords are in files, in the form of
    ``--vault-id`` for ``ansible-inventory``. ``partial``: what cannot be read is left out of a directory."""

    lenient: bool = False
    programs: bool = True
    vault_ids: tuple[str, ...] = ()
    partial: bool = False


class Sources(Struct, frozen=True):
    """A tree, with the directories whose group_vars/ and host_vars/ are used, weakest first. ``login`` are Ansible's
    settings of a login, by the names of variables."""

    tree: Tree
    folders: tuple[Path, ...]
    login: Map


def given(words: Given | None, config: Config) -> tuple[str, ...]:
    """The sources: those of the command line, otherwise those of ``$ANSIBLE_INVENTORY``, otherwise those of
    ``ansible.cfg``, otherwise ``inventory/``."""
    if isinstance(words, (str, Path)):
        return (str(words),)
    if words:
        return tuple(str(word) for word in words)
    if found := config.paths("ANSIBLE_INVENTORY", ("defaults", "inventory")):
        return found
    return (DEFAULT,)


def read(words: Given | None, reading: Reading | None = None) -> Sources:
    """Read every source. Raises :class:`SpecError` for a source that is not an inventory."""
    config = configs.read()
    found = _Files(Tree(lenient=(reading or Reading()).lenient), reading or Reading(), config)
    folders: dict[Path, None] = {}
    sources = given(words, config)
    for source in sources:
        if (folder := found.source(source)) is not None:
            # The last of two equal directories counts: its variables override those between the two.
            folders.pop(folder, None)
            folders[folder] = None
    found.tree.notes.extend(config.notes)
    found.tree.finish()
    return Sources(found.tree, tuple(folders), config.login())


def readable(words: Given | None) -> Tree:
    """The hosts and groups of the files that can be read, for shell completion. No program is run, no password is used,
    and what cannot be read is left out."""
    config = configs.read()
    found = _Files(Tree(lenient=True), Reading(lenient=True, programs=False, partial=True), config)
    for source in given(words, config):
        # A read from a terminal or a pipe would block.
        if is_list(source) or Path(source).is_file() or Path(source).is_dir():
            with contextlib.suppress(ProvisionError, OSError):
                found.source(source)
    return found.tree


def is_list(source: str) -> bool:
    """True if ``-i`` lists hosts: a comma makes it a list, unless a file has that name."""
    return "," in source and not Path(source).exists()


class _Files:
    def __init__(self, tree: Tree, reading: Reading, config: Config) -> None:
        self.tree, self.reading, self.config = tree, reading, config
        self.reader = Reader(reading.lenient, tree.notes)
        #: files and lists of hosts that were read, and directories inside a directory that -i names
        self.done: list[Path | str] = []
        self._inner: set[Path] = set()

    def source(self, source: str) -> Path | None:
        """Read a source; return the directory of its group_vars/ (a list of hosts has none)."""
        if is_list(source):
            self._list(source)
            return None
        path = Path(source)
        # With the name of the command line the project is confined to its directory; ansible.cfg names others.
        if limits.check(path).is_dir():
            before = len(self.done)
            self._folder(path)
            if len(self.done) == before:
                raise SpecError(f"no inventory file in {path}", hint="hosts.yml is the usual name")
            return path
        if not path.exists():
            raise SpecError(f"no such inventory: {path}", hint="give one with -i, or write one with `provision init`")
        self._file(path)
        return path.parent

    def _list(self, source: str) -> None:
        self.tree.file = None
        for word in filter(None, (part.strip() for part in source.split(","))):
            if Path(word).exists() and ("/" in word or "." in word):
                hint = "repeat -i to read several files"
                raise UsageError(f"-i {source}: {word} is a file, and a comma makes a list of hosts ({hint})")
            if "[" in word and ":" not in word.partition("]")[2]:
                raise UsageError(f"-i {source}: Ansible expands no range in a list of hosts; write {word} into a file")
            self.tree.add_hosts("ungrouped", word, Where(Path("--inventory"), 1))
        self.done.append(source)

    def _folder(self, folder: Path) -> None:
        limits.check(folder)
        for name in sorted(os.listdir(folder)):
            path = folder / name
            if self.config.ignored.search(name):
                if path.is_dir() and name in ("group_vars", "host_vars") and folder in self._inner:
                    text = "is not read: group_vars/ and host_vars/ count in the directory that -i names"
                    self.tree.notes.append(Note(f"{path} {text}"))
                continue
            if path.is_dir():
                self._inner.add(path)
                self._folder(path)
                continue
            if self.reading.partial:
                if path.is_file():
                    with contextlib.suppress(SpecError):
                        self._file(path)
            elif path.suffix in _MEANT or _is_script(path):
                self._file(path)
            else:
                self._attempt(path)

    def _attempt(self, path: Path) -> None:
        """Read a file that may be no inventory. Then no line of it counts; Ansible keeps the lines above the error."""
        before = self.tree.copy()
        try:
            self._file(path)
        except SpecError as error:
            if path.suffix == "" and not _is_other(path):
                raise
            self.tree = before
            self.tree.notes.append(Note(f"{path} is not read: it is not an inventory ({error.message})", loud=True))

    def _file(self, path: Path) -> None:
        self.tree.file = path
        if _is_script(path):
            from provision.inventory import dynamic  # most inventories need no program

            self._allowed(path, "an inventory script")
            dynamic.add_script(self.tree, path)
        elif path.suffix == ".toml":
            self._toml(path)
        elif path.suffix in _YAML:
            self._yaml(path)
        else:
            self._ini(path, limits.text(path))
        self.done.append(path)

    def _allowed(self, path: Path, what: str) -> None:
        if not self.reading.programs:
            hint = "`provision lint --trusted` does"
            raise SpecError(f"is {what}, and no program of the project is run here", where=Where(path, 1), hint=hint)

    def _yaml(self, path: Path) -> None:
        text = limits.text(path)
        try:
            data = load(path, text, self.reader)
        except SpecError:
            if not _like_ini(text, path.suffix):
                raise
            data = text
        if isinstance(data, Map):
            if (plugin := data.get("plugin")) is not None and not isinstance(plugin, Map):
                from provision.inventory import dynamic

                self._allowed(path, f"a configuration of the inventory plugin {plugin}")
                dynamic.add_plugin(self.tree, path, str(plugin), self.done, self.reading.vault_ids)
                return
            mapping.add(self.tree, data)
        elif data is not None:
            if not _like_ini(text, path.suffix) and not text.startswith(secret.VAULT):
                raise SpecError("an inventory is a mapping of groups", where=Where(path, 1))
            self._ini(path, text)

    def _ini(self, path: Path, text: str) -> None:
        from provision.inventory import ini

        vault = text.startswith(secret.VAULT)
        ini.add(self.tree, path, secret.opened(text, Where(path, 1)) if vault else text, vault)

    def _toml(self, path: Path) -> None:
        import tomllib  # few inventories are TOML

        text, where = limits.text(path), Where(path, 1)
        vault = text.startswith(secret.VAULT)
        try:
            found: Any = tomllib.loads(secret.opened(text, where) if vault else text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            line = re.search(r"line (\d+)", str(error))
            raise SpecError(f"not TOML: {error}", where=Where(path, int(line[1]) if line else 1)) from error
        mapping.add(self.tree, plain(found, where), vault)


def _is_script(path: Path) -> bool:
    """True if a file is executable and a program. Ansible runs each executable file, and reads it if it can't run."""
    if not os.access(path, os.X_OK):
        return False
    limits.check(path)
    with limits.opened(path) as file:
        return file.read(4).startswith((b"#!", b"\x7fELF"))


def _is_other(path: Path) -> bool:
    """True if a file without an ending is no inventory: an inventory's directory may have such files. It has keys (an
    identity, known_hosts) or no text. Or its name begins with a capital letter (LICENSE, Makefile), and it has no part
    of an inventory."""
    data = limits.read(path)
    return b"\0" in data or _KEYS.search(data) is not None or (path.name[0].isupper() and not _PART.search(data))


def _like_ini(text: str, suffix: str) -> bool:
    """True if a text that is not a YAML mapping is INI. A file without an ending may be either; one with a YAML ending
    is read as INI only if it has a section or a variable of INI."""
    lines = (line.strip() for line in lines_of(text))
    first = next((line for line in lines if line and line[0] not in "#;"), "")
    if _SECTION.fullmatch(first):
        return True
    if first.startswith(("---", "- ", "{")) or first.endswith(":"):
        return False
    return suffix == "" or re.fullmatch(r"\S+(\s+\w+=\S+)+", first) is not None
