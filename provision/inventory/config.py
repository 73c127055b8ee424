"""Ansible's settings for where an inventory is and how it is read: ``ansible.cfg``, ``ANSIBLE_...`` variables.

The first of ``$ANSIBLE_CONFIG``, ``./ansible.cfg`` (not in a folder that every user may write to), ``~/.ansible.cfg``
and ``/etc/ansible/ansible.cfg`` is used, as in ``ansible.config.manager.find_ini_config_file``.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from provision.errors import Note, SpecError, Where
from provision.text import limits

#: File endings that Ansible skips in an inventory folder (REJECT_EXTS and INVENTORY_IGNORE_EXTS of 2.19).
_EXTENSIONS = (
    *(".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst"),
    *(".orig", ".cfg", ".retry"),
)
_ALWAYS = (r"^\.", r"^host_vars$", r"^group_vars$", r"^vars_plugins$")
#: Settings that change what Ansible reads, and that provision does not follow: (section, key) -> the value that has the
#: same effect as no value.
_NOT_FOLLOWED = {
    ("defaults", "hash_behaviour"): "replace",
    ("defaults", "precedence"): "",
    ("defaults", "force_valid_group_names"): "never",
    ("defaults", "remote_user"): "",
    ("defaults", "remote_port"): "22",
    ("defaults", "private_key_file"): "",
    ("inventory", "enable_plugins"): "",
    ("ssh_connection", "ssh_args"): "",
    ("ssh_connection", "ssh_common_args"): "",
    ("ssh_connection", "ssh_extra_args"): "",
}
_INSTEAD = {
    "remote_user": "give it by -u or ansible_user",
    "private_key_file": "give it by --private-key or ansible_ssh_private_key_file",
    "remote_port": "set ansible_port",
    "hash_behaviour": "dictionaries replace each other",
}


class Config(Struct, frozen=True):
    """``path`` is None where no file was found. ``values`` are those of the file: (section, key) -> text."""

    path: Path | None = None
    values: Mapping[tuple[str, str], str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()

    def get(self, variable: str, *keys: tuple[str, str]) -> tuple[str, Path] | None:
        """A setting's value, and the folder of its relative paths. An environment variable has precedence."""
        if given := os.environ.get(variable):
            return given, Path()
        for key in keys:
            if (value := self.values.get(key)) and self.path is not None:
                return value, self.path.parent
        return None

    def paths(self, variable: str, *keys: tuple[str, str]) -> tuple[str, ...]:
        """Split a list of paths at its commas."""
        found = self.get(variable, *keys)
        return () if found is None else tuple(_resolved(word, found[1]) for word in _words(found[0]))

    def path_of(self, variable: str, *keys: tuple[str, str]) -> str | None:
        found = self.get(variable, *keys)
        return None if found is None else _resolved(found[0], found[1])

    def words(self, variable: str, *keys: tuple[str, str]) -> tuple[str, ...]:
        found = self.get(variable, *keys)
        return () if found is None else tuple(_words(found[0]))

    def flag(self, variable: str, *keys: tuple[str, str]) -> bool:
        found = self.get(variable, *keys)
        return found is not None and found[0].lower() in ("1", "true", "yes", "on", "y", "t")

    @property
    def ignored(self) -> re.Pattern[str]:
        """The names that are skipped in an inventory folder."""
        extensions = self.words(
            "ANSIBLE_INVENTORY_IGNORE", ("defaults", "inventory_ignore_extensions"), ("inventory", "ignore_extensions")
        )
        patterns = self.words(
            "ANSIBLE_INVENTORY_IGNORE_REGEX",
            ("defaults", "inventory_ignore_patterns"),
            ("inventory", "ignore_patterns"),
        )
        ends = [f"{re.escape(extension)}$" for extension in extensions or _EXTENSIONS]
        try:
            return re.compile("|".join((*_ALWAYS, *patterns, *ends)))
        except re.error as error:
            raise SpecError(f"inventory ignore_patterns: not a regular expression: {error}") from error


def read() -> Config:
    """The configuration for the working directory. Raises :class:`SpecError` for one that can't be read."""
    notes: list[Note] = []
    for path in _places(notes):
        if path.is_file() and os.access(path, os.R_OK):
            return _parsed(path, notes)
    return Config(notes=tuple(notes))


def _places(notes: list[Note]) -> list[Path]:
    found: list[Path] = []
    if named := os.environ.get("ANSIBLE_CONFIG"):
        path = Path(named).expanduser()
        found.append(path / "ansible.cfg" if path.is_dir() else path)
    here = Path("ansible.cfg").absolute()
    if here.is_file():
        if here.parent.stat().st_mode & stat.S_IWOTH:
            notes.append(Note(f"{here} is not read: every user may write to its folder", loud=True))
        else:
            found.append(here)
    return [*found, Path("~/.ansible.cfg").expanduser(), Path("/etc/ansible/ansible.cfg")]


def _parsed(path: Path, notes: list[Note]) -> Config:
    from configparser import ConfigParser, Error

    parser = ConfigParser(inline_comment_prefixes=(";",), interpolation=None)
    try:
        parser.read_string(limits.text(path), str(path))
    except Error as error:
        raise SpecError(f"not an ansible.cfg: {' '.join(str(error).split())}", where=Where(path, 1)) from error
    values = {(section, key): value for section in parser.sections() for key, value in parser[section].items()}
    for (section, key), same in _NOT_FOLLOWED.items():
        if (value := values.get((section, key), same)) and value != same:
            instead = _INSTEAD.get(key, "Ansible follows it, provision does not")
            notes.append(Note(f"[{section}] {key} = {value} is not read: {instead}", Where(path, 1), loud=True))
    return Config(path, values, tuple(notes))


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _resolved(text: str, folder: Path) -> str:
    text = os.path.expandvars(text.replace("{{CWD}}", str(Path().absolute())).strip("\"'"))
    path = Path(text).expanduser()
    return str(path if path.is_absolute() else folder / path)
