"""Convert words of ssh's command line in an inventory (``ansible_ssh_args`` and others) to words for ``ssh -G``.

This module does not decide which options are honoured: ssh resolves them, and the table of docs/ssh.md judges the
answer. Words that are not an option of a login (a command, ``-N``, ``-W``) are refused.
"""

from __future__ import annotations

import re
import shlex

#: Flags with a value, which ssh accepts in this form; as with ``-o`` the first one counts (ssh(1)).
_VALUED = set("oJpiFlLRD")
#: Flags whose last value would override every ``-o``: they are passed to ssh as the option that they set.
_OPTIONS = {"c": "Ciphers", "m": "MACs", "b": "BindAddress", "B": "BindInterface", "I": "PKCS11Provider"}
_OPTIONS |= {"S": "ControlPath", "e": "EscapeChar"}
#: Flags without a value that do not affect where to log in.
_PLAIN = set("46aACkKxXY")
#: Flags for messages and terminals: provision decides both.
_WITHOUT_EFFECT = set("qvtT")


def words(text: str, passed_over: list[str]) -> tuple[str, ...]:
    """Raises ``ValueError`` that names the unknown or refused word. An option that disables the check of host keys is
    skipped, and the reason is added to ``passed_over``."""
    found: list[str] = []
    rest = shlex.split(text)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word in ("-", "--"):
            raise ValueError(f"{word} is not an option of ssh's login")
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in _WITHOUT_EFFECT:
                continue
            if letter in _PLAIN:
                found.append(f"-{letter}")
                continue
            if letter not in _VALUED and letter not in _OPTIONS:
                raise ValueError(f"-{letter} is not an option of ssh's login")
            if not letters and not rest:
                raise ValueError(f"-{letter} lacks its value")
            value, letters = letters or rest.pop(0), ""
            if letter in _OPTIONS:
                value, letter = f"{_OPTIONS[letter]}={value}", "o"
            if letter == "o" and (unsafe := _unsafe(value)):
                passed_over.append(unsafe)
                continue
            found += [f"-{letter}", value]
    return tuple(found)


def _unsafe(setting: str) -> str:
    """Why an option that disables the check of host keys is not followed, or an empty text. Raises ``ValueError`` for
    a text that is not an option."""
    # ssh also takes quotes in the name, and line endings between name and value: none of them is needed.
    split = re.fullmatch(r"[ \t]*([A-Za-z0-9]+)(?:[ \t]*=[ \t]*|[ \t]+|$)([^\x00-\x08\x0a-\x1f\x7f]*)", setting)
    if split is None:
        raise ValueError(f"-o {setting!r} is not an option and its value" if setting.strip() else "-o lacks its option")
    name = split[1].lower()
    if name not in ("userknownhostsfile", "stricthostkeychecking"):
        return ""
    values = [value.lower() for value in shlex.split(split[2])]
    if name == "userknownhostsfile" and values and set(values) <= {"/dev/null", "none"}:
        return f"-o {setting} is refused: it turns off the check of host keys"
    if name == "stricthostkeychecking" and values and values[0] in ("no", "off", "false"):
        return f"-o {setting} is refused: host keys are verified"
    return ""
