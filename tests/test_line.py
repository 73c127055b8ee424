"""provision's connection is a complete connection of fabric."""

from __future__ import annotations

from typing import Any

import paramiko
from fabric import Config, Connection

from provision.transport.line import Line


def test_a_connection_has_what_fabrics_own_has() -> None:
    settings = Config(lazy=True, ssh_config=paramiko.SSHConfig())
    arguments = {"banner_timeout": 5}
    fabrics = Connection("192.0.2.7", user="root", port=22, config=settings, gateway=False, connect_kwargs=arguments)
    mine = Line("192.0.2.7", "root", 22, arguments)
    # Attributes that differ by object, or that fabric reads from a file that provision does not read.
    differ = {"client", "ssh_config"}
    # One more than a constructor sets: the class may declare it.
    for name in {*vars(fabrics), "inline_ssh_env"} - differ:
        assert getattr(mine, name) == getattr(fabrics, name), name
    assert (mine == fabrics, repr(mine), hash(mine)) == (True, repr(fabrics), hash(fabrics))
    assert isinstance(mine.client, paramiko.SSHClient)


def test_each_connection_has_its_own_settings() -> None:
    one: Any = Line("192.0.2.7", "root", 22, {})
    other: Any = Line("192.0.2.7", "root", 22, {})
    one.config.run.echo = True
    assert (one.config.run.echo, other.config.run.echo) == (True, False)
