"""A host's variables -> how to reach it. The names are Ansible's."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from provision.errors import SpecError, Where
from provision.inventory import ssh_words
from provision.model import ANSWER_LIMIT, Login
from provision.secrets.secret import holds, reveal
from provision.text.render import Scope

_TRUE = ("yes", "true", "on", "1")
_FALSE = ("no", "false", "off", "0", "")
_MIB = 1024 * 1024
#: The most MiB that ``provision_answer_limit`` takes.
_MOST = 4096


def login(name: str, scope: Scope) -> Login:
    """Read ``ansible_host``, ``_port``, ``_user``, ``_ssh_private_key_file``, ``_ssh_args``, ``_ssh_common_args``,
    ``_ssh_extra_args``, ``_password``, ``_become*``, ``provision_transport``, ``provision_known_hosts`` and
    ``provision_answer_limit`` (MiB). Paths are relative to the inventory's folder.

    Raises :class:`SpecError` for a value of the wrong type and a key file that can't be read.
    """
    become_user = _text(scope, "ansible_become_user") or "root"
    if become_user != "root":
        raise SpecError(
            f"only root can provision a host, not {become_user}",
            where=scope.raw.where.get("ansible_become_user"),
            key="ansible_become_user",
        )
    return Login(
        address=_text(scope, "ansible_host") or name,
        port=_port(scope),
        user=_text(scope, "ansible_user") or _text(scope, "ansible_ssh_user"),
        key_file=_key_file(scope),
        known_hosts=_path(scope, "provision_known_hosts"),
        # In the order of Ansible's own command line: ssh takes the first value of an option.
        ssh_before=_ssh_words(scope, "ansible_ssh_args"),
        ssh_behind=_ssh_words(scope, "ansible_ssh_common_args", "ansible_ssh_extra_args"),
        transport=_one_of(scope, "provision_transport", ("ssh", "openssh")),
        password=_secret(scope, "ansible_password") or _secret(scope, "ansible_ssh_pass"),
        become=_flag(scope, "ansible_become"),
        become_user=become_user,
        become_method=_become_method(scope),
        become_password=_secret(scope, "ansible_become_password") or _secret(scope, "ansible_become_pass"),
        answer_limit=_answer_limit(scope),
    )


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
        raise SpecError("does not accept a secret: plans and logs would show it", where=_where(scope, name), key=name)
    if any(ord(character) < 32 for character in text):
        raise SpecError("must not hold control characters", where=_where(scope, name), key=name)
    return text


def _secret(scope: Scope, name: str) -> str | None:
    """A password: the value itself, which goes to the other side's standard input and nowhere else."""
    token = _text(scope, name, takes_secret=True)
    return None if token is None else reveal(token)


def _flag(scope: Scope, name: str) -> bool:
    value = scope.get(name, False)
    if isinstance(value, bool):
        return value
    if str(value).lower() in (*_TRUE, *_FALSE):
        return str(value).lower() in _TRUE
    raise SpecError(f"must be true or false, not {value!r}", where=_where(scope, name), key=name)


def _port(scope: Scope) -> int | None:
    value = scope.get("ansible_port", scope.get("ansible_ssh_port"))
    if value is None:
        return None
    if not str(value).isdigit() or not 0 < int(value) < 65536:
        raise SpecError(
            f"must be a port (1 to 65535), not {value!r}", where=_where(scope, "ansible_port"), key="ansible_port"
        )
    return int(value)


def _answer_limit(scope: Scope) -> int:
    """In bytes; the variable is in MiB."""
    name = "provision_answer_limit"
    value = scope.get(name)
    if value is None:
        return ANSWER_LIMIT
    if isinstance(value, bool) or not str(value).isdecimal() or not 0 < int(value) <= _MOST:
        raise SpecError(f"must be a number of MiB (1 to {_MOST}), not {value!r}", where=_where(scope, name), key=name)
    return int(value) * _MIB


def _path(scope: Scope, name: str) -> Path | None:
    text = _text(scope, name)
    if text is None:
        return None
    path = Path(text).expanduser()
    if path.is_absolute():
        return path
    place = _where(scope, name)
    base = Path(str(scope.get("inventory_dir") or ".")) if place is None else place.file.parent
    return base / path


def _key_file(scope: Scope) -> Path | None:
    for name in ("ansible_ssh_private_key_file", "ansible_private_key_file"):
        path = _path(scope, name)
        if path is None:
            continue
        try:
            with open(path, "rb"):
                return path
        except OSError as error:
            raise SpecError(
                f"key file {path} can't be read: {error.strerror}", where=_where(scope, name), key=name
            ) from error
    return None


def _ssh_words(scope: Scope, *names: str) -> tuple[str, ...]:
    """Options of ssh's command line, which ssh itself resolves."""
    found: list[str] = []
    for name in names:
        text = _text(scope, name)
        try:
            found += ssh_words.words(text or "")
        except ValueError as error:
            raise SpecError(f"{error}: {text}", where=_where(scope, name), key=name) from error
    return tuple(found)


def _one_of(scope: Scope, name: str, known: tuple[str, ...]) -> str:
    """One of some words; the first one where there is no such variable."""
    word = _text(scope, name) or known[0]
    if word not in known:
        raise SpecError(f"must be {' or '.join(known)}, not {word}", where=_where(scope, name), key=name)
    return word


#: What Ansible passes to sudo as a rule, and what changes nothing for provision: it names the user, the shell and the
#: environment itself.
_FLAGS = {"sudo": {"-H", "-S", "-n", "-k"}, "su": set(), "doas": {"-n"}}


def _become_method(scope: Scope) -> str:
    method = _one_of(scope, "ansible_become_method", ("sudo", "su", "doas"))
    flags = shlex.split(_text(scope, "ansible_become_flags") or "")
    if others := [flag for flag in flags if flag not in _FLAGS[method]]:
        raise SpecError(
            f"{method} is run with provision's own flags; {' '.join(others)} is not supported",
            where=_where(scope, "ansible_become_flags"),
            key="ansible_become_flags",
        )
    if method == "doas" and _text(scope, "ansible_become_password", takes_secret=True):
        raise SpecError(
            "doas reads its password from a terminal only; permit this login with nopass",
            where=_where(scope, "ansible_become_password"),
            key="ansible_become_password",
        )
    return method
