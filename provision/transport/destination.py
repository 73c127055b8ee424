"""Where a run logs in, and which programs take part in it: what a signed plan binds, and ``apply --plan`` compares.

The identity that logs in is not part of it: the machine that applies a plan may have other keys than the one that made
it.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from provision.model import Login
from provision.transport import known_hosts
from provision.transport.ssh_config import expanded
from provision.transport.target import Target

#: Options of ssh_config(5) that decide which machine is reached, which name its key must have, and which programs run.
_ANSWERS = ("hostname", "port", "user", "hostkeyalias", "proxyjump", "proxycommand", "knownhostscommand")
#: Further options with these effects that ssh itself follows (``provision_transport: openssh``).
_OPENSSH = (
    *("stricthostkeychecking", "checkhostip", "nohostauthenticationforlocalhost", "verifyhostkeydns"),
    *("controlmaster", "controlpath", "proxyusefdpass", "tunnel", "permitlocalcommand", "localcommand"),
    *("forwardagent", "forwardx11", "localforward", "remoteforward", "dynamicforward", "xauthlocation"),
    *("gssapidelegatecredentials", "pkcs11provider", "securitykeyprovider", "sendenv", "setenv"),
)
_COMMANDS = ("proxycommand", "knownhostscommand", "localcommand")
#: Directories of the operating system, whose programs differ between two machines.
_SYSTEM = ("/bin/", "/sbin/", "/usr/")


def asked(login: Login) -> dict[str, Any]:
    """The inventory's values of a login. It is compared before ssh is asked, because a file that ``-F`` names may
    have ``Match exec``."""
    words = [*login.ssh_before, *login.ssh_behind]
    named = [words[at + 1] for at, word in enumerate(words[:-1]) if word == "-F"]
    return {
        "address": login.address,
        "port": login.port,
        "user": login.user,
        "transport": login.transport,
        "become": f"{login.become_method} {login.become_user}" if login.become else None,
        "ssh words": words,
        "files of ssh words": _sums(named),
    }


def reached(route: Iterable[tuple[Login, Target]]) -> list[dict[str, Any]]:
    """The answers of ssh about a host, and about each jump host before it; with the host keys that are accepted."""
    return [_place(login, one) for login, one in route]


def _place(login: Login, one: Target) -> dict[str, Any]:
    names = (*_ANSWERS, *_OPENSSH) if login.transport == "openssh" else _ANSWERS
    answers = {name: list(values) for name in names if (values := one.found.all(name))}
    commands = [word for name in _COMMANDS for value in answers.get(name, ()) for word in _words(value)]
    files = [word for word in commands if "/" in word and not word.startswith(_SYSTEM)]
    return {**answers, "files of commands": _sums(files), "host keys": _keys(login, one)}


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def _keys(login: Login, one: Target) -> list[str]:
    """The keys and authorities that the known_hosts files have for a host."""
    rules = one.rules
    paths = rules.files if login.transport != "openssh" or login.known_hosts is not None else _read_by_ssh(one)
    files = [known_hosts.read(path) for path in paths]
    found = [known for file in files for name in {rules.name, rules.bare} for known in file.find(name)]
    if rules.accept_new and not rules.strict and not found:
        return ["any (--accept-new)"]
    return sorted({f"{one.marker} {one.shown}".lstrip() for one in found if one.marker != "@revoked"})


def _read_by_ssh(one: Target) -> list[Path]:
    """The known_hosts files that ssh itself reads. ``ssh -G`` prints a list of names with a blank between two names, so
    a name with a blank is not certain: the longest name of a file counts."""
    found = []
    for option in ("userknownhostsfile", "globalknownhostsfile"):
        words = one.found.get(option, "none").split(" ")
        while words:
            names = {end: expanded(" ".join(words[:end])) for end in range(len(words), 0, -1)}
            end, path = next(((end, path) for end, path in names.items() if path.is_file()), (1, None))
            found += [path] if path is not None and os.access(path, os.R_OK) else []
            words = words[end:]
    return found


def _sums(names: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in names:
        path = Path(name).expanduser()
        if path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def differences(approved: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """How a place differs from the approved one. Fewer accepted host keys are no difference."""
    found = []
    for name in sorted(approved.keys() | now.keys()):
        before, after = approved.get(name), now.get(name)
        if name == "host keys" and after and set(after) <= set(before or ()):
            continue
        if before != after:
            found.append(f"{name}: {_shown(before)} -> {_shown(after)}")
    return found


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {str(sum_)[:12]}" for name, sum_ in value.items()) or "none"
    if isinstance(value, list):
        return " ".join(str(one) for one in value) or "none"
    return "none" if value is None else str(value)
