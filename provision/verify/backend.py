"""testinfra over an open connection of provision's transport. testinfra's own backends accept wrong host keys, and take
many times as long for a probe."""

from __future__ import annotations

import functools
import importlib
import sys
from contextlib import nullcontext
from typing import Any

import pytest
import testinfra.modules
from fabric import Connection
from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from provision.model import Login
from provision.transport.failure import HostError
from provision.transport.shell import Shell

#: Seconds that one probe may take.
_PROBE = 360.0
#: Seconds that docker may take to answer a question, and to do something.
_ANSWER, _ACT = 30, 300
_SILENT = f"docker did not answer within {_ANSWER} s"
#: docker's client waits without limit for a dockerd that hangs. A host may have no timeout(1).
_BOUNDED = f"""\
docker() {{
    case $1 in
        version | info | ps | inspect | container | image | network | volume | system) set -- {_ANSWER} docker "$@" ;;
        *) set -- {_ACT} docker "$@" ;;
    esac
    if ! command -v timeout >/dev/null; then
        shift 2
        command docker "$@"
        return
    fi
    timeout -s KILL "$@" && return
    set -- $?
    [ "$1" -ne 137 ] || echo '{_SILENT}' >&2
    return "$1"
}}
"""


class HeldBackend(BaseBackend):
    """A backend over one open connection. All probes run in one shell, as root, by sudo where the login needs it."""

    NAME = "provision"

    def __init__(self, name: str, connection: Connection, login: Login) -> None:
        super().__init__(name)
        self.shell = Shell(connection, login)
        self._silent = False

    def get_encoding(self) -> str:
        """Return a constant. testinfra would run python3 on the host, and a host may have no Python."""
        return "utf-8"

    def run(self, command: str, *args: str, **kwargs: Any) -> CommandResult:
        text = self.quote(command, *args)
        asks = "docker " in text
        if asks and self._silent:
            # One check has failed for this, and no check can say more about a silent docker.
            pytest.skip(_SILENT)
        done = self.shell.run(_BOUNDED + text if asks else text, _PROBE)
        if asks and _SILENT.encode() in done.stderr:
            self._silent = True
            raise HostError("timeout", f"{_SILENT}; is dockerd stopped by a signal, or the disk overloaded?")
        return self.result(done.status, text.encode(), done.stdout, done.stderr)


def target(name: str, connection: Connection, login: Login) -> Host:
    """The testinfra host ``name`` over an open connection."""
    backend = HeldBackend(name, connection, login)
    host = Host(backend)
    backend.set_host(host)
    return host


def unlock() -> None:
    """Let threads ask hosts in parallel: remove the lock of ``functools.cached_property``. Before Python 3.12 it has
    one lock for all instances of a class, held while the value is computed: one host that freezes would delay all
    others. Each host of provision has one thread and its own instances, so no lock is needed."""
    if sys.version_info >= (3, 12):
        return
    for place in testinfra.modules.modules.values():
        importlib.import_module(f"testinfra.modules.{place.partition(':')[0]}")
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "testinfra":
            for kind in vars(module).values():
                if isinstance(kind, type):
                    for member in vars(kind).values():
                        if isinstance(member, functools.cached_property):
                            member.lock = nullcontext()  # type: ignore[attr-defined]  # private, and removed in 3.12
