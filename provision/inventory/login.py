"""Read a host's login: from its variables, which have Ansible's names, then from the command line, then from Ansible's
settings."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from provision import limits
from provision.errors import Note, SpecError, Where
from provision.inventory import ssh_words
from provision.model import ANSWER_LIMIT, Login
from provision.secrets.secret import holds, reveal
from provision.text.render import Scope
from provision.text.yamlfile import REACHING, Map

_TRUE = ("yes", "true", "on", "1")
_FALSE = ("no", "false", "off", "0", "")
_MIB = 1024 * 1024
#: The largest value of ``provision_answer_limit``, in MiB.
_MOST = 4096


#: Of several names of one setting the last one wins, wherever each is set (the options of Ansible's ssh connection).
_HOST = ("ansible_host", "ansible_ssh_host")
_PORT = ("ansible_port", "ansible_ssh_port")
_USER = ("ansible_user", "ansible_ssh_user")
_KEY = ("ansible_private_key_file", "ansible_ssh_private_key_file")
_PASSWORD = ("ansible_password", "ansible_ssh_pass", "ansible_ssh_password")
_CONNECTIONS = ("ssh", "paramiko", "paramiko_ssh", "smart", "ansible.builtin.ssh", "ansible.builtin.paramiko_ssh")
#: Options of ssh as text, before and behind the port and user of the inventory, in the order of Ansible's own command
#: line. ssh uses the first value of an option.
_BEFORE = ("ansible_ssh_args",)
_BEHIND = ("ansible_ssh_common_args", "ansible_ssh_extra_args")


_KEY_CHECKING = ("ansible_host_key_checking", "ansible_ssh_host_key_checking")
#: Variables that change how Ansible logs in and that provision does not follow: (values that change nothing, what to do
#: instead).
_NOT_FOLLOWED = {
    "ansible_ssh_executable": (("ssh", "/usr/bin/ssh"), "put the program first in PATH"),
    "ansible_ssh_pkcs11_provider": ((), "set -o PKCS11Provider in ansible_ssh_args, and provision_transport: openssh"),
    "ansible_private_key": ((), "write the key to a file, and name it by ansible_private_key_file"),
    "ansible_ssh_private_key": ((), "write the key to a file, and name it by ansible_private_key_file"),
    "ansible_private_key_passphrase": ((), "add the key to an agent"),
    "ansible_ssh_private_key_passphrase": ((), "add the key to an agent"),
}
#: The same for ``ansible_connection: paramiko``; Ansible's ssh connection ignores them.
_PARAMIKO = {
    "ansible_paramiko_host": ((), "set ansible_host"),
    "ansible_paramiko_port": ((), "set ansible_port"),
    "ansible_paramiko_user": ((), "set ansible_user"),
    "ansible_paramiko_pass": ((), "set ansible_password"),
    "ansible_paramiko_password": ((), "set ansible_password"),
    "ansible_paramiko_private_key_file": ((), "set ansible_private_key_file"),
    "ansible_paramiko_proxy_command": ((), "set -o ProxyCommand in ansible_ssh_common_args"),
}
#: Every variable that decides how a host is reached.
VARIABLES = frozenset(
    (
        *(*_HOST, *_PORT, *_USER, *_KEY, *_PASSWORD, *_BEFORE, *_BEHIND, *_KEY_CHECKING, *_NOT_FOLLOWED, *_PARAMIKO),
        *("ansible_connection", "ansible_become", "ansible_become_method"),
        *("ansible_become_password", "ansible_become_pass", "ansible_become_flags", "ansible_become_exe"),
        *("ansible_become_user", "provision_known_hosts", "provision_transport", "provision_answer_limit"),
        "provision_distribution",
        *(f"ansible_{method}_{part}" for method in ("sudo", "su", "doas") for part in ("pass", "flags", "exe", "user")),
    )
)


class Logins(Struct, frozen=True):
    """The login options of the command line. The inventory's variables have precedence over them, except over a
    password that the operator has typed."""

    user: str | None = None
    key_file: Path | None = None
    become: bool = False
    become_password: str | None = None
    password: str | None = None

    def defaults(self, settings: Map) -> Map:
        """Values of variables that the inventory does not set: of the command line, otherwise of Ansible's settings."""
        found = Map(settings.items())
        found.where.update(settings.where)
        words = {
            "ansible_user": ("--user", self.user),
            "ansible_private_key_file": ("--private-key", self.key_file and str(self.key_file)),
            "ansible_become": ("--become", self.become or None),
        }
        for name, (word, value) in words.items():
            if value is not None:
                found[name] = value
                found.where[name] = Where(Path(word), 1)
        return found


def login(name: str, scope: Scope, *, passwords: bool = True, notes: list[Note], lenient: bool = False) -> Login:
    """Read how a host is reached: ``ansible_host``, ``_port``, ``_user``, ``_ssh_private_key_file``, ``_password`` and
    their other names, ``_ssh_args`` and similar ones, ``_become*``, ``provision_known_hosts`` and
    ``provision_answer_limit`` (MiB). Paths are relative to the file that has them. Without ``passwords``, passwords
    stay tokens, and nothing is decrypted. ``notes`` receives the settings that are ignored and do not change the
    destination. With ``lenient``, an ssh option that disables the check of host keys is one of these; otherwise it is
    an error.

    Raises :class:`SpecError` for a value of the wrong type, an unreadable key file, and an unsupported setting.
    """
    connection = _text(scope, "ansible_connection") or "ssh"
    if connection not in _CONNECTIONS:
        raise _refused(scope, "ansible_connection", f"provision connects by ssh, not by {connection}")
    _not_followed(scope, _NOT_FOLLOWED | (_PARAMIKO if "paramiko" in connection else {}))
    _keys_are_checked(scope, notes)
    method = _become_method(scope)
    return Login(
        address=_last(scope, _HOST) or name,
        port=_port(scope),
        user=_last(scope, _USER),
        key_file=_key_file(scope, passwords),
        known_hosts=_path(scope, "provision_known_hosts"),
        ssh_before=_ssh_words(scope, _BEFORE, notes, lenient),
        ssh_behind=_ssh_words(scope, _BEHIND, notes, lenient),
        transport=_one_of(scope, "provision_transport", {"ssh": "ssh", "openssh": "openssh"}),
        password=_secret(scope, _PASSWORD, passwords),
        become=_flag(scope, "ansible_become"),
        become_user=_become_user(scope, method),
        become_method=method,
        become_password=_secret(scope, _become_passwords(method), passwords),
        answer_limit=_answer_limit(scope),
    )


def _not_followed(scope: Scope, table: Mapping[str, tuple[tuple[str, ...], str]]) -> None:
    for name, (neutral, instead) in table.items():
        if name in scope and (value := _text(scope, name, takes_secret=True)) and value not in neutral:
            raise _refused(scope, name, "is not supported", instead)


def _keys_are_checked(scope: Scope, notes: list[Note]) -> None:
    name = _chosen(scope, _KEY_CHECKING)
    if name is not None and not _flag(scope, name):
        text = "is not followed: host keys are verified (--accept-new stores the key of a new host)"
        notes.append(Note(f"{name}: false {text}", _where(scope, name), loud=True))


def _refused(scope: Scope, name: str, message: str, hint: str = "") -> SpecError:
    return SpecError(message, where=_where(scope, name), key=name, hint=hint)


def _chosen(scope: Scope, names: tuple[str, ...]) -> str | None:
    """Of several names, the one that has precedence."""
    return next((name for name in reversed(names) if name in scope), None)


def _last(scope: Scope, names: tuple[str, ...]) -> str | None:
    name = _chosen(scope, names)
    return None if name is None else _text(scope, name)


def _where(scope: Scope, name: str) -> Where | None:
    return scope.raw.where.get(name)


def _text(scope: Scope, name: str, takes_secret: bool = False) -> str | None:
    value: Any = scope.get(name)
    if value is None:
        return None
    if isinstance(value, (dict, list)):
        raise SpecError("must be text", where=_where(scope, name), key=name)
    text = str(value)
    if holds(text) and not takes_secret:
        hint = "messages show every host's address, port and user; do not encrypt it"
        message = "does not accept a secret: plans and logs would show it"
        raise SpecError(message, where=_where(scope, name), key=name, hint=hint if name in REACHING else "")
    if any(ord(character) < 32 for character in text):
        raise SpecError("must not hold control characters", where=_where(scope, name), key=name)
    return text


def _secret(scope: Scope, names: tuple[str, ...], revealed: bool) -> str | None:
    """A password: the value itself, which is sent to the other side's standard input and nowhere else."""
    name = _chosen(scope, names)
    token = None if name is None else _text(scope, name, takes_secret=True)
    return reveal(token) if token is not None and revealed else token


def _flag(scope: Scope, name: str) -> bool:
    value = scope.get(name, False)
    if isinstance(value, bool):
        return value
    if str(value).lower() in (*_TRUE, *_FALSE):
        return str(value).lower() in _TRUE
    raise SpecError(f"must be true or false, not {value!r}", where=_where(scope, name), key=name)


def _port(scope: Scope) -> int | None:
    name = _chosen(scope, _PORT)
    value = None if name is None else scope[name]
    if name is None or value is None:
        return None
    if (number := _number(value, 65535)) is None:
        raise _refused(scope, name, f"must be a port (1 to 65535), not {str(value)[:20]!r}")
    return number


def _number(value: object, most: int) -> int | None:
    """A whole number from 1 to ``most``."""
    found = limits.number(str(value)) or 0
    return found if 0 < found <= most else None


def _answer_limit(scope: Scope) -> int:
    """The limit in bytes; the variable is in MiB."""
    name = "provision_answer_limit"
    value = scope.get(name)
    if value is None:
        return ANSWER_LIMIT
    if (number := _number(value, _MOST)) is None:
        raise _refused(scope, name, f"must be a number of MiB (1 to {_MOST}), not {str(value)[:20]!r}")
    return number * _MIB


def _path(scope: Scope, name: str) -> Path | None:
    text = _text(scope, name)
    if text is None:
        return None
    path = Path(limits.home(text))
    if path.is_absolute():
        return path
    place = _where(scope, name)
    base = Path(str(scope.get("inventory_dir") or ".")) if place is None else place.file.parent
    return base / path


def _key_file(scope: Scope, connects: bool) -> Path | None:
    name = _chosen(scope, _KEY)
    path = None if name is None else _path(scope, name)
    if path is None or name is None or (scope.is_default(name) and not connects):
        # The machine that checks a project need not have the keys that Ansible's settings name.
        return path
    return _readable(path, scope, name)


def _readable(path: Path, scope: Scope, name: str) -> Path:
    if not limits.inside(path):
        # The machine that lints a third party's project has none of its keys.
        return path
    try:
        with limits.opened(path):
            return path
    except OSError as error:
        raise _refused(scope, name, f"key file {path} can't be read: {error.strerror}") from error


def _ssh_words(scope: Scope, names: tuple[str, ...], notes: list[Note], lenient: bool) -> tuple[str, ...]:
    """Options of ssh's command line, which ssh itself resolves."""
    found: list[str] = []
    for name in names:
        passed_over: list[str] = []
        try:
            found += ssh_words.words(_text(scope, name) or "", passed_over)
        except ValueError as error:
            raise _refused(scope, name, str(error)) from error
        if passed_over and not lenient and not scope.is_default(name):
            message = f"{passed_over[0]}; --accept-new stores the key of a new host"
            raise _refused(scope, name, message, "--lenient ignores the option, with a warning")
        notes += [Note(f"{name}: {reason}", _where(scope, name), loud=True) for reason in passed_over]
    return tuple(found)


def _one_of(scope: Scope, name: str, known: Mapping[str, str]) -> str:
    """The meaning of a variable whose value is one of the ``known`` words. Without the variable: the meaning of the
    first word."""
    word = _text(scope, name) or next(iter(known))
    if word not in known:
        raise _refused(scope, name, f"must be {' or '.join(dict.fromkeys(known.values()))}, not {word}")
    return known[word]


_METHODS = {"sudo": "sudo", "su": "su", "doas": "doas"}
_METHODS |= {"ansible.builtin.sudo": "sudo", "ansible.builtin.su": "su", "community.general.doas": "doas"}
#: Flags that Ansible passes by default, and flags without effect in provision, which itself names the user, the shell
#: and the environment.
_FLAGS = {"sudo": {"-H", "-S", "-n", "-k"}, "su": set(), "doas": {"-n"}}


def _become_passwords(method: str) -> tuple[str, ...]:
    return ("ansible_become_password", "ansible_become_pass", f"ansible_{method}_pass")


def _become_method(scope: Scope) -> str:
    method = _one_of(scope, "ansible_become_method", _METHODS)
    flags = _chosen(scope, ("ansible_become_flags", f"ansible_{method}_flags"))
    try:
        given = [] if flags is None else shlex.split(_text(scope, flags) or "")
    except ValueError as error:
        raise _refused(scope, flags or "", str(error)) from error
    if flags is not None and (others := [flag for flag in given if flag not in _FLAGS[method]]):
        message = f"{method} is run with provision's own flags; {' '.join(others)} is not supported"
        raise _refused(scope, flags, message)
    program = _chosen(scope, ("ansible_become_exe", f"ansible_{method}_exe"))
    if program is not None and _text(scope, program) not in (None, "", method, f"/usr/bin/{method}", f"/bin/{method}"):
        raise _refused(scope, program, f"provision runs {method} of the login's PATH, no other program")
    password = _chosen(scope, _become_passwords(method))
    if method == "doas" and password is not None and _text(scope, password, takes_secret=True):
        raise _refused(scope, password, "doas reads its password from a terminal only; permit this login with nopass")
    return method


def _become_user(scope: Scope, method: str) -> str:
    name = _chosen(scope, ("ansible_become_user", f"ansible_{method}_user"))
    user = (None if name is None else _text(scope, name)) or "root"
    if name is not None and user != "root":
        raise _refused(scope, name, f"only root can provision a host, not {user}")
    return user
