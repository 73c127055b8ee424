"""The address and settings of a login: from the inventory, and from ssh for values that the inventory does not have."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from msgspec import Struct

from provision.model import Login
from provision.transport import known_hosts, options
from provision.transport.host_keys import CA_SIGNATURES, Rules
from provision.transport.known_hosts_command import Command
from provision.transport.options import OPENSSH
from provision.transport.ssh_config import Question, Resolved, expand, expanded, home, local_user

_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}


class Target(Struct, frozen=True):
    """A login with ssh's answers. ``tokens`` are those of ssh_config(5) (``h`` -> the host's name).

    ``identities`` and ``certificates`` are files; ``chosen`` means that the operator has named them. ``agent`` is the
    path of the agent's socket, empty without an agent.
    """

    found: Resolved
    address: str
    port: int
    user: str
    rules: Rules
    tokens: Mapping[str, str]
    jump: str | None = None
    command: str | None = None
    family: socket.AddressFamily = socket.AF_UNSPEC
    source: str | None = None
    identities: tuple[Path, ...] = ()
    certificates: tuple[Path, ...] = ()
    chosen: bool = False
    agent: str = ""
    only_identities: bool = False

    @property
    def name(self) -> str:
        return self.rules.name


def question(login: Login) -> Question:
    """The question to ssh about a login."""
    return Question(login.address, login.port, login.user, login.ssh_before, login.ssh_behind, login.hop)


def target(login: Login, found: Resolved, accept_new: bool) -> Target:
    """Raises :class:`SpecError` for an option that provision can't honour."""
    options.check(found, openssh=login.transport == "openssh", hop=login.hop)
    address, port, user = found.get("hostname"), int(found.get("port", "22")), found.get("user")
    tokens = _tokens(found, address, port, user)
    jump = found.get("proxyjump", "none")
    command = found.get("proxycommand", "none")
    chosen = "identityfile" in found.changed
    return Target(
        found=found,
        address=address,
        port=port,
        user=user,
        rules=_rules(login, found, address, port, tokens, accept_new),
        tokens=tokens,
        jump=None if jump == "none" else jump,
        # A jump host replaces a command (ssh_config(5), ProxyJump).
        command=None if command == "none" or jump != "none" else command,
        family=_FAMILIES.get(found.get("addressfamily"), socket.AF_UNSPEC),
        source=found.get("bindaddress") or None,
        identities=_paths(found.all("identityfile"), tokens),
        certificates=_paths(found.all("certificatefile"), tokens),
        chosen=chosen,
        agent=_agent(found),
        only_identities=found.get("identitiesonly") == "yes",
    )


def _rules(
    login: Login, found: Resolved, address: str, port: int, tokens: Mapping[str, str], accept_new: bool
) -> Rules:
    alias = found.get("hostkeyalias")
    command = found.get("knownhostscommand", "none")
    own: tuple[Path, ...] = ()
    shared: tuple[Path, ...] = ()
    if login.known_hosts is not None:
        own, command = (login.known_hosts,), "none"
    elif login.transport != "openssh":
        # ssh -G has replaced the tokens of the first list; in the second ssh replaces "~" only.
        own = tuple(Path(name) for name in _listed(found, "userknownhostsfile"))
        shared = tuple(expanded(name) for name in _listed(found, "globalknownhostsfile"))
    revoked = found.get("revokedhostkeys", "none")
    checking = found.get("stricthostkeychecking", "ask")
    signatures = found.get("casignaturealgorithms")
    return Rules(
        name=alias or known_hosts.entry(address, port),
        bare=alias or address,
        host=alias or address,
        files=(*own, *shared),
        # ssh stores no key in a file of GlobalKnownHostsFile (sshconnect.c, check_host_key).
        store=own[0] if own else None,
        command=None if command == "none" else Command.of(command, tokens),
        revoked=None if revoked == "none" else Path(revoked),
        accept_new=accept_new or checking == "accept-new",
        strict=checking in ("yes", "true"),
        lenient=checking in ("no", "off", "false"),
        least_rsa=int(found.get("requiredrsasize", "1024")),
        ca_algorithms=tuple(signatures.split(",")) if signatures else CA_SIGNATURES,
    )


def _tokens(found: Resolved, address: str, port: int, user: str) -> dict[str, str]:
    local = socket.gethostname()
    jump = found.get("proxyjump", "none")
    jump = "" if jump == "none" else jump
    name = found.get("hostkeyalias") or found.host
    told = f"{local}{address}{port}{user}"
    return {
        "%": "%",
        "C": hashlib.sha1(f"{told}{jump}".encode()).hexdigest(),  # noqa: S324 - a name, as ssh makes it
        "d": str(home()),
        "h": address,
        "i": str(os.getuid()),
        "j": jump,
        "k": name,
        "L": local.partition(".")[0],
        "l": local,
        "n": found.host,
        "p": str(port),
        "r": user,
        "u": local_user(),
    }


def _listed(found: Resolved, option: str) -> tuple[str, ...]:
    """The names of files that ``ssh -G`` prints in one line, with a blank between two names.

    Raises :class:`SpecError` where a name may contain a blank itself: a name that provision guesses could be a file
    that the operator did not name. Two names are certain if the second is absolute, and if both together would be in a
    directory that does not exist: ssh would neither read nor create such a file.
    """
    text = found.get(option, "none")
    if text == "none":
        return ()
    names = tuple(text.split(" "))
    for first, second in pairwise(names):
        folder = f"{first} {second.partition('/')[0]}"
        if not first or not second.startswith(("/", "~")) or expanded(folder).is_dir():
            raise options.refusal(found.host, option, repr(text), f"use absolute names without a blank, or {OPENSSH}")
    return names


def _paths(names: tuple[str, ...], tokens: Mapping[str, str]) -> tuple[Path, ...]:
    """The files of a list; ``none`` is no file (ssh_config(5))."""
    paths = _in_home(names)
    if not any("%" in str(path) or "$" in str(path) for path in paths):
        return paths
    return tuple(Path(expand(str(path), tokens)) for path in paths)


@lru_cache(maxsize=256)
def _in_home(names: tuple[str, ...]) -> tuple[Path, ...]:
    """The files before their tokens and variables are replaced. Most hosts of a fleet share their lists."""
    return tuple(expanded(name) for name in names if name not in ("", "none"))


def _agent(found: Resolved) -> str:
    named = found.get("identityagent", "SSH_AUTH_SOCK")
    if named == "none":
        return ""
    if named == "SSH_AUTH_SOCK":
        return os.environ.get("SSH_AUTH_SOCK", "")
    # ssh has replaced everything else in the value (ssh.c).
    return os.environ.get(named[1:], "") if named.startswith("$") else named
