"""What we use of fabric 3, typed; fabric itself ships no types."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import paramiko

P = ParamSpec("P")
R = TypeVar("R")

class Config:
    def __init__(self, *, lazy: bool = ..., ssh_config: paramiko.SSHConfig | None = ...) -> None: ...

class Connection:
    client: paramiko.SSHClient
    transport: paramiko.Transport
    original_host: str
    host: str
    user: str
    port: int
    gateway: Connection | str | bool | None
    connect_kwargs: dict[str, Any]
    def __init__(
        self,
        host: str,
        *,
        user: str | None = ...,
        port: int | None = ...,
        gateway: Connection | str | bool | None = ...,
        config: Config | None = ...,
        connect_kwargs: dict[str, Any] | None = ...,
    ) -> None: ...
    @property
    def is_connected(self) -> bool: ...
    def open(self) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Connection: ...
    def __exit__(self, *exc: object) -> None: ...
    def create_session(self) -> paramiko.Channel: ...

def task(body: Callable[P, R]) -> Callable[P, R]: ...
