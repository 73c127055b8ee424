"""Sockets that no peer can block: real sockets, and peers that stop."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import paramiko
import pytest

from provision.transport import sockets
from provision.transport.tunnel import Tunnel


def test_a_connection_to_a_peer_that_stops_reading_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen process whose kernel still answers: its window is closed, and keep-alives alone would wait for ever."""
    monkeypatch.setattr(sockets, "_GIVEN_UP", 4)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address, port = server.getsockname()
        sock = sockets.connect(address, port, 5)
        peer, _ = server.accept()
        sock.settimeout(60)
        with sock, peer, pytest.raises(TimeoutError, match="timed out") as error:
            sock.sendall(bytes(64 << 20))
        assert error.value.errno is not None, "the kernel ended the connection, and not the test's timeout"


def test_a_blocked_callback_does_not_delay_the_watchdog() -> None:
    held, called = threading.Event(), threading.Event()
    watchdog = sockets.Watchdog()

    def hold() -> None:
        held.wait(60)

    watchdog.watch(time.monotonic(), hold)
    watchdog.watch(time.monotonic(), called.set)
    assert called.wait(30)
    held.set()
    watchdog.close()


class _Carrier(paramiko.Transport):
    """A connection that records the kinds of the messages that it would send, and delays a message with data."""

    def __init__(self) -> None:
        near, self.peer = socket.socketpair()
        super().__init__(near)
        self.sent: list[str] = []
        self.sending, self.go_on = threading.Event(), threading.Event()

    def open_channel(self, kind: str, *_: object, **__: object) -> Any:
        assert kind == "direct-tcpip"
        channel: Any = paramiko.Channel(1)
        channel._set_transport(self)
        channel._set_window(1 << 20, 1 << 15)
        channel._set_remote_channel(7, 1 << 20, 1 << 15)
        return channel

    def _send_user_message(self, data: paramiko.Message) -> None:
        kind = {94: "data", 96: "eof", 97: "close"}[data.asbytes()[0]]
        if kind == "data":
            self.sending.set()
            assert self.go_on.wait(30)
        self.sent.append(kind)

    def close_of_the_peer(self, tunnel: Tunnel) -> None:
        inner: Any = self
        inner._channel_handler_table[97](tunnel._channel, paramiko.Message())


@pytest.mark.parametrize("first", ["provision", "peer"])
def test_no_data_of_a_tunnel_is_sent_after_its_close(first: str) -> None:
    """When data for a closed channel arrives, sshd ends the whole connection, and every tunnel in it."""
    carrier = _Carrier()
    tunnel = Tunnel(carrier, "192.0.2.1", 22, 5)
    sender = threading.Thread(target=tunnel.send, args=(b"late",))
    sender.start()
    assert carrier.sending.wait(30)
    if first == "peer":
        carrier.close_of_the_peer(tunnel)
        assert tunnel.recv(10) == b"", "the reader receives the end of the data"
    closer = threading.Thread(target=tunnel.close)
    closer.start()
    closer.join(0.2)  # a close that does not wait would be sent now
    carrier.go_on.set()
    closer.join(30)
    sender.join(30)
    assert carrier.sent == ["data", "eof", "close"]
    with pytest.raises(OSError, match="closed"):
        tunnel.sendall(b"more")
    if first == "provision":
        carrier.close_of_the_peer(tunnel)
    assert carrier.sent == ["data", "eof", "close"], "answered once"
    carrier.peer.close()
