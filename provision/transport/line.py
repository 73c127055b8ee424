"""fabric's connection with fast access to its attributes."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import paramiko
from fabric import Config, Connection

from provision.transport.sockets import Watchdog, kill


class Line(Connection):
    """fabric's connection, with only the attributes that its class declares. For other attributes invoke's DataProxy
    first checks whether they are settings, which takes longer than all other work of a connection.

    The inventory and ssh give provision every setting of a login. fabric's constructor and ``open`` would read fabric's
    settings for each of them, which took a fifth of a login's own CPU time."""

    def __init__(self, address: str, user: str, port: int, arguments: dict[str, Any]) -> None:
        self.command_prefixes: list[str] = []
        self.command_cwds: list[str] = []
        self.ssh_config: dict[str, str] = {}
        self.original_host = self.host = address
        self.user, self.port = user, port
        self.gateway = self.forward_agent = False
        self.connect_timeout = None
        self.connect_kwargs = arguments
        self.client = paramiko.SSHClient()
        self.transport: Any = None
        #: the connection to the jump host that this one goes through
        self.through: Connection | None = None
        self.inline_ssh_env = True
        #: the one of its transport, which cuts it at a deadline
        self.watchdog: Watchdog | None = None

    @cached_property
    def _config(self) -> Config:
        """fabric's settings, for a task that calls ``run``. Each connection has a separate object, because settings
        that threads share lose attributes. fabric.yml is not read."""
        return Config(lazy=True, ssh_config=paramiko.SSHConfig())

    def __setattr__(self, key: str, value: Any) -> None:
        object.__setattr__(self, key, value)

    def cut(self) -> None:
        """:func:`cut` for this kind of connection."""
        _end(self)

    def open(self) -> None:
        """Log in, unless the connection is already logged in."""
        if not self.is_connected:
            self.client.connect(self.host, port=self.port, username=self.user, **self.connect_kwargs)
            self.transport = self.client.get_transport()


def cut(connection: Connection) -> None:
    """End a connection from another thread: every read and write of it fails at once."""
    if isinstance(connection, Line):
        connection.cut()
    else:
        _end(connection)


def _end(connection: Connection) -> None:
    transport = connection.client.get_transport()
    if transport is not None:
        kill(transport.sock)
