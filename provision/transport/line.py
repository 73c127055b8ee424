"""fabric's connection, without what each attribute of it costs."""

from __future__ import annotations

from typing import Any

import paramiko
from fabric import Config, Connection


class Line(Connection):
    """fabric's connection. All that it keeps are attributes that its class has: asking at each whether it might be a
    setting instead (invoke's DataProxy) takes longer than the rest of it."""

    def __setattr__(self, key: str, value: Any) -> None:
        object.__setattr__(self, key, value)


def line(kind: type[Line], address: str, user: str, port: int, arguments: dict[str, Any]) -> Any:
    """A connection that is not open yet. It has a configuration of its own: one that threads share loses attributes.
    No fabric.yml is read."""
    config = Config(lazy=True, ssh_config=paramiko.SSHConfig())
    return kind(address, user=user, port=port, gateway=False, config=config, connect_kwargs=arguments)
