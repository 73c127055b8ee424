"""How provision treats each option of ssh_config(5) (``options.yml``, the table of docs/ssh.md).

An option is honoured, harmless or refused. A harmless option can't change the host, user, port or key. A refused option
is an error, unless its value is one of those that have no effect. An option that is not in the table is refused if its
value is not the default of this OpenSSH. With ``transport: openssh`` ssh itself honours all options except those that
are never honoured.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from provision.errors import SpecError
from provision.transport.ssh_config import Resolved

OPENSSH = "set provision_transport: openssh for this host"


class Refused(Struct, frozen=True, forbid_unknown_fields=True):
    """``options.yml`` says what the fields mean."""

    without: tuple[str, ...]
    instead: str
    where: str = ""
    never: bool = False
    session: bool = False


class _Table(Struct, frozen=True, forbid_unknown_fields=True):
    honoured: tuple[str, ...]
    resolved: tuple[str, ...]
    harmless: dict[str, str]
    refused: dict[str, Refused]


_TABLE = msgspec.yaml.decode(Path(__file__).with_suffix(".yml").read_bytes(), type=_Table)
#: Each option of the table in lower case, as ``ssh -G`` prints it -> its spelling in ssh_config(5), for messages.
SPELLED = {name.lower(): name for name in (*_TABLE.honoured, *_TABLE.resolved, *_TABLE.harmless, *_TABLE.refused)}
REFUSED = {name.lower(): one for name, one in _TABLE.refused.items()}


def check(found: Resolved, openssh: bool, hop: bool) -> None:
    """Refuse what can't be honoured. A jump host (``hop``) runs no script. Raises :class:`SpecError` that names the
    option and the alternative."""
    for option, one in REFUSED.items():
        value = found.get(option)
        if not value or value.lower() in one.without or option not in found.changed or (hop and one.session):
            continue
        if (not openssh or one.never) and (not one.where or found.get(one.where) == "yes"):
            raise refusal(found.host, option, value, one.instead)
    for option, values in found.changed.items():
        if option not in SPELLED and values and not openssh:
            raise refusal(found.host, option, found.get(option), OPENSSH)


def refusal(host: str, option: str, value: str, instead: str) -> SpecError:
    """The error for an option that can't be honoured."""
    return SpecError(f"{host}: {SPELLED.get(option, option)} {value} is not supported", key="ssh_config", hint=instead)


def allowed(found: Resolved, option: str, have: tuple[str, ...]) -> tuple[str, ...]:
    """Those of provision's algorithms that ssh's list has, in provision's order; all of them without a list.

    Raises :class:`SpecError` where the result is empty.
    """
    if option not in found.changed or not found.get(option):
        return have
    wanted = set(found.get(option).split(","))
    # One algorithm with two names (RFC 8731).
    if "curve25519-sha256" in wanted:
        wanted.add("curve25519-sha256@libssh.org")
    left = tuple(name for name in have if name in wanted)
    if not left:
        raise refusal(found.host, option, found.get(option), OPENSSH)
    return left
