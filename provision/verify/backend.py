"""testinfra over an open connection of provision's transport. testinfra's own backends accept wrong host keys, and take
many times as long for a probe."""

from __future__ import annotations

from typing import Any

from fabric import Connection
from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from provision.model import Login
from provision.transport.shell import Shell

#: Seconds that one probe may take.
_PROBE = 360.0


class HeldBackend(BaseBackend):
    """A backend over one open connection. All probes run in one shell, as root, by sudo where the login needs it."""

    NAME = "provision"

    def __init__(self, name: str, connection: Connection, login: Login) -> None:
        super().__init__(name)
        self.shell = Shell(connection, login)

    def get_encoding(self) -> str:
        """Return a constant. testinfra would run python3 on the host, and a host may have no Python."""
        return "utf-8"

    def run(self, command: str, *args: str, **kwargs: Any) -> CommandResult:
        text = self.quote(command, *args)
        done = self.shell.run(text, _PROBE)
        return self.result(done.status, text.encode(), done.stdout, done.stderr)


def target(name: str, connection: Connection, login: Login) -> Host:
    """The testinfra host ``name`` over an open connection."""
    backend = HeldBackend(name, connection, login)
    host = Host(backend)
    backend.set_host(host)
    return host
