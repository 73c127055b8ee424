"""An SSH server in this process, whose commands are real programs of this machine: for tests of what a host may
send."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import fabric
import paramiko

_PIECE = 65_536


class Sshd(paramiko.ServerInterface):
    """A server that accepts every login, and runs each command by the account's ``shell`` in ``environment``."""

    def __init__(self, environment: dict[str, str], shell: str = "/bin/sh") -> None:
        self.shell = shell
        self.environment = {**os.environ, **environment}
        self.commands: list[str] = []
        self.transports: list[paramiko.Transport] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def get_allowed_auths(self, username: str) -> str:
        return "none"

    def check_auth_none(self, username: str) -> int:
        return paramiko.common.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.commands.append(command.decode())
        process = subprocess.Popen(
            [self.shell, "-c", command],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._processes.append(process)
        _after_reply(channel, threading.Thread(target=self._serve, args=(channel, process), daemon=True))
        return True

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def _serve(self, channel: paramiko.Channel, process: subprocess.Popen[bytes]) -> None:
        threading.Thread(target=self._feed, args=(channel, process), daemon=True).start()
        sending = [
            threading.Thread(target=self._send, args=(process.stdout, channel.sendall), daemon=True),
            threading.Thread(target=self._send, args=(process.stderr, channel.sendall_stderr), daemon=True),
        ]
        for thread in sending:
            thread.start()
        for thread in sending:
            thread.join()
        status = process.wait()
        with contextlib.suppress(OSError, EOFError):
            # A command that a signal ended has no exit status (RFC 4254, 6.10).
            if status >= 0:
                channel.send_exit_status(status)
            channel.close()

    def _feed(self, channel: paramiko.Channel, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        with contextlib.suppress(OSError, EOFError):
            while data := channel.recv(_PIECE):
                process.stdin.write(data)
                process.stdin.flush()
            process.stdin.close()

    def _send(self, pipe: Any, send: Any) -> None:
        with contextlib.suppress(OSError, EOFError):
            while data := os.read(pipe.fileno(), _PIECE):
                send(data)
        # A process that continues to write receives SIGPIPE.
        pipe.close()


def _after_reply(channel: paramiko.Channel, thread: threading.Thread) -> None:
    """Start ``thread`` when the client has been answered that its command runs. paramiko answers after the server's
    decision: a command that ends at once would close the channel before, and a real sshd never does that."""
    transport: Any = channel.get_transport()
    send = transport._send_user_message
    reply = paramiko.common.cMSG_CHANNEL_SUCCESS + channel.remote_chanid.to_bytes(4, "big")

    def sent(message: paramiko.Message) -> None:
        send(message)
        if message.asbytes() == reply and not thread.ident:
            transport._send_user_message = send
            thread.start()

    transport._send_user_message = sent


@contextlib.contextmanager
def connected(sshd: Sshd) -> Iterator[fabric.Connection]:
    """A connection to the server, as the transport opens it."""
    here, there = socket.socketpair()
    server = paramiko.Transport(there)
    server.add_server_key(paramiko.RSAKey.generate(2048))
    server.start_server(event=threading.Event(), server=sshd)
    connection = fabric.Connection("host", user="ops", config=fabric.Config(lazy=True, ssh_config=paramiko.SSHConfig()))
    transport = paramiko.Transport(here)
    transport.start_client(timeout=30)
    transport.auth_none("ops")
    client: Any = connection.client
    client._transport = transport
    connection.transport = transport
    try:
        yield connection
    finally:
        transport.close()
        server.close()
        sshd.close()


def close_listener(server: socket.socket, accepting: threading.Thread) -> None:
    """Close a listening socket. Before that its thread must have ended: in its next accept(2) it could use the number
    of the descriptor, which another socket has by then."""
    server.shutdown(socket.SHUT_RDWR)
    accepting.join()
    server.close()


@contextlib.contextmanager
def listening(sshd: Sshd, key: paramiko.PKey | None = None) -> Iterator[tuple[int, str]]:
    """The same server behind a port of this machine, for clients that connect by themselves. Yields the port, and its
    key as a line of known_hosts."""
    key = key or paramiko.RSAKey.generate(2048)
    server = socket.create_server(("127.0.0.1", 0))
    transports = sshd.transports

    def serve() -> None:
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            transport = paramiko.Transport(peer)
            transports.append(transport)
            transport.add_server_key(key)
            with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
                transport.start_server(event=threading.Event(), server=sshd)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    port = server.getsockname()[1]
    try:
        yield port, f"[127.0.0.1]:{port} {key.get_name()} {key.get_base64()}\n"
    finally:
        close_listener(server, thread)
        for transport in transports:
            transport.close()
        sshd.close()
