"""fabric's connection with cheap attributes."""

from __future__ import annotations

from typing import Any

import paramiko
from fabric import Config, Connection


class Line(Connection):
    """fabric's connection, with only attributes that its class declares. For other attributes invoke's DataProxy checks
    first whether they are settings, which takes longer than the rest of the work."""

    def __setattr__(self, key: str, value: Any) -> None:
        object.__setattr__(self, key, value)


def line(kind: type[Line], address: str, user: str, port: int, arguments: dict[str, Any]) -> Any:
    """Return a connection that is not open yet. It has its own configuration: one that threads share loses attributes.
    fabric.yml is not read."""
    config = Config(lazy=True, ssh_config=paramiko.SSHConfig())
    return kind(address, user=user, port=port, gateway=False, config=config, connect_kwargs=arguments)
