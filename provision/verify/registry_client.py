"""A client of a host's registry, through the connection to the host. provision itself handles TLS and sends passwords,
so no program between them and the registry can read them. (RFC 9110; distribution's docs/spec/api.md)"""

from __future__ import annotations

import base64
import http.client
import io
import ssl
from typing import Any

import pytest
from msgspec import Struct
from testinfra.host import Host

from provision.transport.proxy_command import ProxyCommand
from provision.transport.tunnel import Tunnel
from provision.verify.backend import HeldBackend

#: Seconds until an answer must arrive.
_PATIENCE = 20.0
#: Bytes of an answer that are read.
_MOST = 16 * 1024**2


class Server(Struct, frozen=True):
    """A registry by its name and port. ``authority`` is the PEM of the CA that must have signed its certificate
    (``None``: plain HTTP). ``user`` and ``password`` are an account, if the registry requires one."""

    name: str
    port: int
    authority: str | None
    user: str = ""
    password: str = ""


class Answer(Struct, frozen=True):
    status: int
    headers: dict[str, str]
    body: bytes


class _Stream(io.RawIOBase):
    """A tunnel to the host's own port, with TLS where the registry has it; the part of a socket that http.client
    needs."""

    def __init__(self, tunnel: Tunnel | ProxyCommand, context: ssl.SSLContext | None, name: str) -> None:
        self._tunnel = tunnel
        self._tls: ssl.SSLObject | None = None
        if context is not None:
            self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = context.wrap_bio(self._in, self._out, server_hostname=name)
            self._step(self._tls.do_handshake)

    def _step(self, action: Any, *words: Any) -> Any:
        while True:
            try:
                done = action(*words)
            except ssl.SSLWantReadError:
                self._flush()
                data = self._tunnel.recv(65536)
                if data:
                    self._in.write(data)
                else:
                    self._in.write_eof()
                continue
            except ssl.SSLEOFError:
                return b""
            finally:
                self._flush()
            return done

    def _flush(self) -> None:
        if self._tls is not None and (data := self._out.read()):
            self._tunnel.sendall(data)

    def sendall(self, data: bytes) -> None:
        if self._tls is None:
            self._tunnel.sendall(data)
        else:
            self._step(self._tls.write, data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._tunnel.recv(len(buffer)) if self._tls is None else self._step(self._tls.read, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)


def ask(
    host: Host,
    server: Server,
    method: str,
    path: str,
    body: bytes = b"",
    login: tuple[str, str] | None = None,
    authority: str | None = None,
) -> Answer:
    """Send one request. ``authority`` is trusted in place of the server's own. Raises :class:`ssl.SSLError` where the
    certificate is not trusted."""
    trusted = authority or server.authority
    context = ssl.create_default_context(cadata=trusted) if trusted is not None else None
    held = host.backend
    if not isinstance(held, HeldBackend):
        pytest.skip("a tunnel needs provision's own SSH connection")
    tunnel = held.shell.tunnel("127.0.0.1", server.port, _PATIENCE)
    try:
        connection = http.client.HTTPConnection(server.name, server.port)
        stream: Any = _Stream(tunnel, context, server.name)
        connection.sock = stream
        headers = {"Content-Type": "application/octet-stream"} if body else {}
        if login is not None:
            headers["Authorization"] = f"Basic {base64.b64encode(':'.join(login).encode()).decode()}"
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        return Answer(answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read(_MOST))
    finally:
        tunnel.close()
