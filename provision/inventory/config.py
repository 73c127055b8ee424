"""Ansible's settings for where an inventory is, how it is read and how its hosts are reached: ``ansible.cfg``, and
``ANSIBLE_...`` variables.

The first of ``$ANSIBLE_CONFIG``, ``./ansible.cfg`` (not in a directory that every user may write to),
``~/.ansible.cfg`` and ``/etc/ansible/ansible.cfg`` is used, as in ``ansible.config.manager.find_ini_config_file``.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from provision import limits
from provision.errors import Note, SpecError, Where
from provision.lines import lines_of
from provision.text.expressions import Costly, bounded
from provision.text.yamlfile import Map

#: File endings that Ansible skips in an inventory directory (REJECT_EXTS and INVENTORY_IGNORE_EXTS of 2.19).
_EXTENSIONS = (
    *(".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst"),
    *(".orig", ".cfg", ".retry"),
)
_ALWAYS = (r"^\.", r"^host_vars$", r"^group_vars$", r"^vars_plugins$")
#: Settings of a login: the variable that has the same meaning in an inventory -> where Ansible reads its default. An
#: environment variable has precedence over the file (lib/ansible/config/base.yml, plugins/connection/ssh.py).
_LOGIN: dict[str, tuple[str, *tuple[tuple[str, str], ...]]] = {
    "ansible_user": ("ANSIBLE_REMOTE_USER", ("defaults", "remote_user")),
    "ansible_port": ("ANSIBLE_REMOTE_PORT", ("defaults", "remote_port")),
    "ansible_private_key_file": ("ANSIBLE_PRIVATE_KEY_FILE", ("defaults", "private_key_file")),
    "ansible_connection": ("ANSIBLE_TRANSPORT", ("defaults", "transport")),
    "ansible_ssh_args": ("ANSIBLE_SSH_ARGS", ("ssh_connection", "ssh_args")),
    "ansible_ssh_common_args": ("ANSIBLE_SSH_COMMON_ARGS", ("ssh_connection", "ssh_common_args")),
    "ansible_ssh_extra_args": ("ANSIBLE_SSH_EXTRA_ARGS", ("ssh_connection", "ssh_extra_args")),
    "ansible_ssh_executable": ("ANSIBLE_SSH_EXECUTABLE", ("ssh_connection", "ssh_executable")),
    "ansible_ssh_pkcs11_provider": ("ANSIBLE_PKCS11_PROVIDER", ("ssh_connection", "pkcs11_provider")),
    "ansible_private_key": ("ANSIBLE_PRIVATE_KEY",),
    "ansible_private_key_passphrase": ("ANSIBLE_PRIVATE_KEY_PASSPHRASE",),
    "ansible_paramiko_port": ("ANSIBLE_REMOTE_PARAMIKO_PORT", ("paramiko_connection", "remote_port")),
    "ansible_paramiko_user": ("ANSIBLE_PARAMIKO_REMOTE_USER", ("paramiko_connection", "remote_user")),
    "ansible_paramiko_private_key_file": (
        "ANSIBLE_PARAMIKO_PRIVATE_KEY_FILE",
        ("paramiko_connection", "private_key_file"),
    ),
    "ansible_paramiko_proxy_command": (
        "ANSIBLE_PARAMIKO_PROXY_COMMAND",
        ("paramiko_connection", "proxy_command"),
    ),
    "ansible_host_key_checking": (
        "ANSIBLE_HOST_KEY_CHECKING",
        ("ssh_connection", "host_key_checking"),
        ("defaults", "host_key_checking"),
    ),
    "ansible_ssh_host_key_checking": ("ANSIBLE_SSH_HOST_KEY_CHECKING",),
    "ansible_become": ("ANSIBLE_BECOME", ("privilege_escalation", "become")),
    "ansible_become_method": ("ANSIBLE_BECOME_METHOD", ("privilege_escalation", "become_method")),
    "ansible_become_user": ("ANSIBLE_BECOME_USER", ("privilege_escalation", "become_user")),
    "ansible_become_exe": ("ANSIBLE_BECOME_EXE", ("privilege_escalation", "become_exe")),
    "ansible_become_flags": ("ANSIBLE_BECOME_FLAGS", ("privilege_escalation", "become_flags")),
}
_PLUGIN = {"user": "USER", "flags": "FLAGS", "executable": "EXE", "password": "PASS"}
#: Settings that Ansible follows and provision does not: (section, key) -> the value that has the same effect as no
#: value, and the environment variables.
_NOT_FOLLOWED: dict[tuple[str, str], tuple[str, *tuple[str, ...]]] = {
    ("defaults", "hash_behaviour"): ("replace", "ANSIBLE_HASH_BEHAVIOUR"),
    ("defaults", "precedence"): ("", "ANSIBLE_PRECEDENCE"),
    ("defaults", "force_valid_group_names"): ("never", "ANSIBLE_TRANSFORM_INVALID_GROUP_CHARS"),
    ("defaults", "ask_pass"): ("False", "ANSIBLE_ASK_PASS"),
    ("defaults", "connection_password_file"): ("", "ANSIBLE_CONNECTION_PASSWORD_FILE"),
    ("defaults", "become_password_file"): ("", "ANSIBLE_BECOME_PASSWORD_FILE"),
    ("inventory", "enable_plugins"): ("", "ANSIBLE_INVENTORY_ENABLED"),
    ("privilege_escalation", "become_ask_pass"): ("False", "ANSIBLE_BECOME_ASK_PASS"),
    **{
        (f"{method}_become_plugin", key): ("", f"ANSIBLE_{method.upper()}_{word}")
        for method in ("sudo", "su", "doas")
        for key, word in _PLUGIN.items()
    },
    ("sudo_become_plugin", "password"): ("", "ANSIBLE_SUDO_PASS", "ANSIBLE_BECOME_PASS"),
}
#: Characters of a file's name, on Linux (limits.h NAME_MAX).
_LONGEST_NAME = 255
#: The most blanks in a row in the name of a setting. configparser tries each one as the end of the name, and the rest
#: for each. It does so with every kind of blank, and not with comments.
_BLANKS = 100
_GAP = re.compile(rf"\s{{{_BLANKS}}}")
_YES = ("1", "true", "yes", "on", "y", "t")
_INSTEAD = {
    "hash_behaviour": "dictionaries replace each other",
    "ask_pass": "give -k to be asked",
    "become_ask_pass": "give -K to be asked",
    "connection_password_file": "set ansible_password, or give -k to be asked",
    "become_password_file": "set ansible_become_password, or give -K to be asked",
}


class Config(Struct, frozen=True):
    """``path`` is None where no file was found. ``values`` are those of the file: (section, key) -> text. ``lines`` are
    the numbers of their lines."""

    path: Path | None = None
    values: Mapping[tuple[str, str], str] = field(default_factory=dict)
    lines: Mapping[tuple[str, str], int] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()

    def get(self, variable: str, *keys: tuple[str, str]) -> tuple[str, Path] | None:
        """A setting's value, and the directory of its relative paths. An environment variable has precedence."""
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
        return found is not None and found[0].lower() in _YES

    def login(self) -> Map:
        """The settings of a login, by the names of the variables that have precedence over them."""
        found = Map()
        for name, (variable, *keys) in _LOGIN.items():
            if (setting := self.get(variable, *keys)) is None:
                continue
            # A relative path is resolved where the login is read, from the file of ``where``.
            found[name] = _expanded(setting[0]) if name == "ansible_private_key_file" else setting[0]
            if os.environ.get(variable) or self.path is None:
                found.where[name] = Where(Path(f"${variable}"), 1)
            else:
                key = next(key for key in keys if self.values.get(key))
                found.where[name] = Where(self.path, self.lines.get(key, 1))
        return found

    @property
    def ignored(self) -> re.Pattern[str]:
        """The names that are skipped in an inventory directory."""
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
            for pattern in patterns:
                bounded(pattern, ["x" * _LONGEST_NAME])
            return re.compile("|".join((*_ALWAYS, *patterns, *ends)))
        except Costly as error:
            raise SpecError(f"inventory ignore_patterns: a regular expression {error}", hint=error.hint) from error
        except re.error as error:
            raise SpecError(f"inventory ignore_patterns: not a regular expression: {error}") from error


def read() -> Config:
    """The configuration for the working directory. Raises :class:`SpecError` for one that can't be read."""
    notes: list[Note] = []
    for path in _places(notes):
        if not path.exists() or path.is_dir():
            continue
        if os.access(path, os.R_OK):
            return _parsed(path, notes, named=path != _here())
        notes.append(Note(f"{path} is not read: this account may not read it", loud=True))
    return Config(notes=(*notes, *_not_followed(Config())))


def _places(notes: list[Note]) -> list[Path]:
    found: list[Path] = []
    if named := os.environ.get("ANSIBLE_CONFIG"):
        path = Path(named).expanduser()
        found.append(path / "ansible.cfg" if path.is_dir() else path)
        if not found[0].exists():
            notes.append(Note(f"ANSIBLE_CONFIG: there is no {found[0]}; the next ansible.cfg is read", loud=True))
    here = _here()
    if here.is_symlink():
        limits.check(here)
    if here.exists():
        if here.parent.stat().st_mode & stat.S_IWOTH:
            notes.append(Note(f"{here} is not read: every user may write to its directory", loud=True))
        else:
            found.append(here)
    return [*found, Path("~/.ansible.cfg").expanduser(), Path("/etc/ansible/ansible.cfg")]


def _here() -> Path:
    """The file of the project; the operator names or has written each other one."""
    return Path("ansible.cfg").absolute()


def _parsed(path: Path, notes: list[Note], named: bool) -> Config:
    from configparser import ConfigParser, Error

    parser = ConfigParser(inline_comment_prefixes=(";",), interpolation=None)
    text = limits.text(path, named=named)
    for number, line in enumerate(lines_of(text), 1):
        name = re.split("[=:]", line, maxsplit=1)[0].strip()
        if not name.startswith(("#", ";")) and _GAP.search(name):
            raise SpecError(f"{_BLANKS} blanks in a row in the name of a setting", where=Where(path, number))
    try:
        parser.read_string(text, str(path))
    except Error as error:
        raise SpecError(f"not an ansible.cfg: {' '.join(str(error).split())}", where=Where(path, 1)) from error
    lines = _numbered(text)
    values = {(section, key): value for section in parser.sections() for key, value in parser[section].items()}
    found = Config(path, values, lines)
    return replace(found, notes=(*notes, *_not_followed(found)))


def _not_followed(config: Config) -> Iterator[Note]:
    """Notes about settings that change nothing here; an environment variable has precedence over the file."""
    for (section, key), (same, *variables) in _NOT_FOLLOWED.items():
        variable = next((name for name in variables if os.environ.get(name)), None)
        value = config.values.get((section, key), "") if variable is None else os.environ[variable]
        if not value or value.lower() == same or (same == "False" and value.lower() not in _YES):
            continue
        shown = "..." if key == "password" else value
        name, where = f"${variable}", None
        if variable is None and config.path is not None:
            name, where = f"[{section}] {key}", Where(config.path, config.lines.get((section, key), 1))
        instead = _INSTEAD.get(key, "Ansible follows it, provision does not")
        yield Note(f"{name} = {shown} is not read: {instead}", where, loud=True)


def _numbered(text: str) -> dict[tuple[str, str], int]:
    """The line of each setting; of two equal ones, which configparser refuses, the last."""
    found: dict[tuple[str, str], int] = {}
    section = ""
    for number, line in enumerate(lines_of(text), 1):
        if head := re.match(r"\[(.+)\]", line):
            section = head[1]
        elif setting := re.match(r"([^\s=:#;][^=:]*?)\s*[=:]", line):
            found[section, setting[1].lower()] = number
    return found


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _resolved(text: str, folder: Path) -> str:
    return str(folder / _expanded(text))


def _expanded(text: str) -> str:
    """A path of a setting (``ansible.config.manager.resolve_path``)."""
    return limits.expanded(text.replace("{{CWD}}", str(Path().absolute())).strip("\"'"))
