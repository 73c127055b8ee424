"""The files of a new project: the shipped ones, with the answers to the questions of ``provision init`` in them.

This module reads the shipped files and writes nothing.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from provision.errors import SpecError
from provision.inventory import tree
from provision.project.playbook import playbook_schema
from provision.text.render import shipped
from provision.text.yamlfile import bounded

#: A small file that every mirror has: Docker's public key for Debian, 4 kB.
PROBE = "linux/debian/gpg"


class Mirror(Struct, frozen=True):
    """``url`` has ``linux/debian`` and the other directories."""

    name: str
    about: str
    url: str


class _Data(Struct):
    mirrors: tuple[Mirror, ...]
    ignored: str
    editor: dict[str, Any]


_DATA = msgspec.yaml.decode(Path(__file__).with_suffix(".yml").read_bytes(), type=_Data)
MIRRORS = _DATA.mirrors
_FOLDERS = ("inventory", "playbooks", "molecule/default", "molecule/plays")
_KINDS = (".yml", ".py")
_HOSTS, _GROUP, _PLAYBOOK = (
    Path("inventory/hosts.yml"),
    Path("inventory/group_vars/docker.yml"),
    Path("playbooks/site.yml"),
)
#: In the playbook's directory, for the reference in its first line.
_SCHEMA = Path("playbooks/provision.schema.json")
#: The groups of the new inventory: a host with such a name is an error when it is read.
_GROUPS = ("docker", "all", "ungrouped")
#: The longest host name of DNS, in characters. YAML ends a key after 1024.
_LONGEST = 253
#: A user name as useradd(8) and most directories allow it.
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.@-]{0,63}\$?")
#: The characters that a URL may have and plain YAML too.
_URL = re.compile(r"https?://[A-Za-z0-9][A-Za-z0-9._~:/%+-]*")


class Entry(Struct, frozen=True):
    """A host of the inventory as it was given: a name (with ranges), or a name with an address."""

    name: str
    address: str = ""
    port: int | None = None


class Answers(Struct, frozen=True):
    """No ``entries``: the shipped example hosts. ``user`` is empty where ssh chooses. ``source`` is the engine's."""

    entries: tuple[Entry, ...] = ()
    user: str = ""
    become: bool = False
    mirror: str = MIRRORS[0].url
    source: Literal["docker", "distribution"] = "docker"
    live_restore: bool = True


def entries(text: str) -> tuple[Entry, ...]:
    """Parse hosts, with blanks or commas between them. Raises ``ValueError`` for what is no host."""
    found: dict[str, Entry] = {}
    for word in re.split(r"[\s,]+", text.strip()):
        if not word:
            continue
        if "@" in word:
            raise ValueError(f"{word}: leave the user out, it is the next question")
        name, equals, address = word.partition("=")
        if equals and not address:
            raise ValueError(f"{word}: an address is missing after =")
        if len(name) > _LONGEST:
            raise ValueError(f"{name[:20]}...: a host name has at most {_LONGEST} characters")
        expanded, _ = tree.hosts_of(name)
        if not tree.is_address(name):
            raise ValueError(f"{word}: not the name of a host")
        for one in expanded:
            _named(one, word)
            if one in found:
                raise ValueError(f"{one} is there twice")
        host, port = tree.split_port(address)
        if equals and (len(expanded) != 1 or not tree.is_address(address)):
            raise ValueError(f"{word}: write NAME=ADDRESS for each host with an address")
        if port is not None and not 0 < port < 65536:
            raise ValueError(f"{word}: a port is a number from 1 to 65535")
        entry = Entry(name, host, port)
        found |= dict.fromkeys(expanded, entry)
    return tuple(dict.fromkeys(found.values()))


def _named(name: str, word: str) -> None:
    if re.fullmatch(r"[0-9.]+", name) or tree.is_ipv6(name):
        raise ValueError(f"{word}: give the address a name, such as web1={word}")
    if name in _GROUPS:
        raise ValueError(f"{name}: the inventory has a group of this name; give the host another name")


def user(text: str) -> str:
    """Raises ``ValueError`` for what is no user name."""
    if text and not _USER.fullmatch(text):
        raise ValueError(f"{text}: not a user name")
    return text


def mirror(text: str) -> str:
    """The URL of a mirror: a name of the known ones, or a URL. Raises ``ValueError``."""
    known = {one.name: one.url for one in MIRRORS}
    if text in known:
        return known[text]
    if not _URL.fullmatch(text):
        raise ValueError(f"{text}: neither a known mirror ({', '.join(known)}) nor an http:// or https:// URL")
    url = text.rstrip("/")
    if url.endswith(":"):
        raise ValueError(f"{text}: a URL must not end with a colon")
    return url


def files(answers: Answers) -> dict[Path, bytes]:
    """The project's files, by their paths in it."""
    found = [path for name in _FOLDERS for path in sorted(shipped(name).rglob("*")) if path.is_file()]
    made = {path.relative_to(shipped("inventory").parent): path.read_bytes() for path in found if path.suffix in _KINDS}
    if answers.entries:
        made[_HOSTS] = _inventory(answers).encode()
    made[_GROUP] = _variables(made[_GROUP].decode(), answers).encode()
    made[_PLAYBOOK] = _playbook(made[_PLAYBOOK].decode(), answers).encode()
    made[_SCHEMA] = (json.dumps(playbook_schema(), indent=1) + "\n").encode()
    made[Path(".gitignore")] = _DATA.ignored.encode()
    made[Path(".vscode/settings.json")] = (json.dumps(_DATA.editor, indent=2) + "\n").encode()
    return made


def _inventory(answers: Answers) -> str:
    lines = [
        "# The hosts. ssh's own configuration (~/.ssh/config) counts: a name may be an alias of it.",
        "docker:  # the group that the playbook names",
        "  hosts:",
    ]
    for entry in answers.entries:
        lines.append(f"    {_scalar(entry.name)}:")
        if entry.address:
            lines.append(f"      ansible_host: {_quoted(entry.address)}  # where ssh connects to")
        if entry.port is not None:
            lines.append(f"      ansible_port: {entry.port}  # where its sshd listens")
    variables = []
    if answers.user:
        variables.append(f"    ansible_user: {_quoted(answers.user)}  # the account to log in as")
    if answers.become:
        variables.append("    ansible_become: true  # changes need root: sudo")
    return "\n".join([*lines, *(["  vars:", *variables] if variables else [])]) + "\n"


def _variables(text: str, answers: Answers) -> str:
    if answers.source == "distribution":
        # Without Docker's packages there is no mirror of them.
        return text[text.index("# The manager of") :]
    return _replaced(text, r"package_mirror: .*", f"package_mirror: {_scalar(answers.mirror)}")


def _scalar(text: str) -> str:
    """The text for YAML, quoted only where a YAML parser reads the plain text as something else: ``no``, ``12_3``."""
    try:
        plain = bounded(_HOSTS, text) == text
    except SpecError:
        plain = False
    return text if plain else _quoted(text)


def _quoted(text: str) -> str:
    # Not ASCII alone: JSON writes a character above U+FFFF as two escapes, which are two characters in YAML.
    return json.dumps(text, ensure_ascii=False)


def _playbook(text: str, answers: Answers) -> str:
    if answers.source == "distribution":
        line = "      source: distribution  # the distribution's engine: its security updates, often an older version"
        text = _replaced(text, r"      package_mirror: .*\n      fingerprint: .*", line)
    if not answers.live_restore:
        line = "        live-restore: false  # containers stop while dockerd restarts; swarm requires it"
        text = _replaced(text, r"        live-restore: .*", line)
    if answers.entries:
        # The hosts exist and have names; an alias of ssh is often another one.
        line = '    # hostname: "{{ inventory_hostname }}"  # would name each host as in the inventory'
        text = _replaced(text, r"    hostname: .*", line)
    return f"# yaml-language-server: $schema={_SCHEMA.name}\n{text}"


def _replaced(text: str, pattern: str, line: str) -> str:
    made, count = re.subn(rf"(?m)^{pattern}$", lambda _: line, text)
    if count != 1:
        raise ValueError(f"the shipped file has {count} times {pattern!r}")
    return made
