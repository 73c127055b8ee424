"""``ansible_ssh_args``, ``_common_args`` and ``_extra_args``: options of ssh in words of a shell.

Ansible gives ssh the three in this order, with port, user and key of the inventory behind the first; of an option that
is given twice ssh takes the first (ssh_config(5)). Each word is understood, harmless, or refused by its name: none is
passed over in silence.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from msgspec import Struct, field

#: ssh's flags with a value, and the option that each stands for (ssh(1)).
_FLAGS = {"J": "proxyjump", "p": "port", "i": "identityfile", "F": "configfile", "l": "user"}
#: Flags with a value that nothing here stands for.
_OTHER_FLAGS = "BbcDEeILmOPQRSWw"
#: They change how ssh keeps and fills a connection, not where it leads or who is there: provision has one connection a
#: host, and does not compress.
HARMLESS = frozenset(
    ("controlmaster", "controlpath", "controlpersist", "compression", "loglevel", "tcpkeepalive", "requesttty")
)
_HARMLESS_FLAGS = {"C": "compression", "q": "loglevel", "v": "loglevel", "t": "requesttty", "T": "requesttty"}
#: What provision takes over.
UNDERSTOOD = ("proxyjump", "port", "identityfile", "user", "userknownhostsfile", "stricthostkeychecking")
_NAMES = {
    "proxyjump": "ProxyJump",
    "identityfile": "IdentityFile",
    "userknownhostsfile": "UserKnownHostsFile",
    "stricthostkeychecking": "StrictHostKeyChecking",
    "configfile": "-F",
}


class Arguments(Struct, frozen=True):
    """Options in lower case, each with its first value; ``shown`` is how each was written."""

    options: Mapping[str, str] = field(default_factory=dict)
    shown: Mapping[str, str] = field(default_factory=dict)

    def get(self, name: str) -> str | None:
        return self.options.get(name)


def parse(text: str, passed_over: list[str] | None = None) -> Arguments:
    """Raises ``ValueError`` with the reason, for what is no option of ssh, and for one that provision has not. With a
    list, one that turns off the check of host keys is passed over, and the list gets the reason."""
    words = shlex.split(text)
    options: dict[str, str] = {}
    shown: dict[str, str] = {}
    while words:
        word = words.pop(0)
        if not word.startswith("-") or word in ("-", "--"):
            raise ValueError(f"not an option of ssh: {word}")
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in _HARMLESS_FLAGS:
                continue
            if letter != "o" and letter not in _FLAGS and letter not in _OTHER_FLAGS:
                raise ValueError(f"the option -{letter} of ssh is not supported")
            if not letters and not words:
                raise ValueError(f"-{letter} needs a value")
            value, letters = letters or words.pop(0), ""
            if letter in _OTHER_FLAGS:
                raise ValueError(f"the option -{letter} {value} of ssh is not supported")
            name, value = _setting(value) if letter == "o" else (_FLAGS[letter], value)
            written = f"-{letter} {value}" if letter != "o" else f"-o {_NAMES.get(name, name)}={value}"
            if unsafe := _unsafe(name, value, written):
                if passed_over is None:
                    raise ValueError(f"{unsafe}; --accept-new stores the key of a new host")
                passed_over.append(unsafe)
                continue
            _check(name, value, written)
            options.setdefault(name, value)
            shown.setdefault(name, written)
    return Arguments(options, shown)


def _setting(text: str) -> tuple[str, str]:
    """``Option=value`` or ``Option value``, as ssh takes it."""
    name, equals, value = text.partition("=")
    if not equals or " " in name.strip():
        name, _, value = text.strip().partition(" ")
        value = value.strip().removeprefix("=")
    if not name.strip() or not value.strip():
        raise ValueError(f"-o {text}: an option has a value")
    return name.strip().lower(), value.strip().strip('"')


def _check(name: str, value: str, written: str) -> None:
    if name in HARMLESS:
        return
    if name not in UNDERSTOOD:
        instead = "put it into ~/.ssh/config" if name != "configfile" else "put its lines into ~/.ssh/config"
        raise ValueError(f"{written} is not supported here; {instead}")
    if name == "port" and not (value.isdecimal() and 0 < int(value) < 65536):
        raise ValueError(f"{written}: a port is a number from 1 to 65535")


def _unsafe(name: str, value: str, written: str) -> str:
    """Why an option that turns off the check of host keys is not followed, or nothing."""
    if name == "userknownhostsfile" and value in ("/dev/null", "none"):
        return f"{written} is refused: it turns off the check of host keys"
    if name == "stricthostkeychecking" and value.lower() not in ("yes", "true"):
        return f"{written} is refused: host keys are verified"
    return ""
