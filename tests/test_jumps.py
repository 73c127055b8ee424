"""Jump hosts: how they are named, and that a frozen one delays only the hosts behind it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from provision.errors import SpecError
from provision.model import Login
from provision.transport.failure import Dropped, HostError
from provision.transport.jumps import Jumps, hop


@pytest.mark.parametrize(
    ("text", "address", "port", "user", "words"),
    [
        ("jump", "jump", None, None, ()),
        ("ops@jump:2222", "jump", 2222, "ops", ()),
        ("ops@corp@jump", "jump", None, "ops@corp", ()),
        ("ssh://ops@jump:2222", "jump", 2222, "ops", ()),
        ("ssh://jump/", "jump", None, None, ()),
        ("[::1]:2222", "::1", 2222, None, ()),
        ("ssh://ops@[fe80::1]", "fe80::1", None, "ops", ()),
        ("a,b@c:1,d", "d", None, None, ("-J", "a,b@c:1")),
    ],
)
def test_jump_hosts_are_parsed_as_ssh_does(
    text: str, address: str, port: int | None, user: str | None, words: tuple[str, ...]
) -> None:
    found = hop(text, Login("web", 4711, "root"))
    assert (found.address, found.port, found.user, found.ssh_before) == (address, port, user, words)
    assert found.hop


def test_only_the_configuration_file_is_passed_to_the_jump_host() -> None:
    login = Login("web", ssh_before=("-F", "file", "-o", "Port=1"), ssh_behind=("-l", "ops"))
    assert hop("a,b", login).ssh_before == ("-F", "file", "-J", "a")


@pytest.mark.parametrize("text", ["", "::1", "jump:", "jump:port", "[::1"])
def test_an_invalid_jump_host_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="is not a jump host"):
        hop(text, Login("web"))


def connection(name: str) -> Any:
    return SimpleNamespace(host=name, is_connected=True, close=lambda: None)


def test_a_frozen_jump_host_does_not_delay_other_jump_hosts() -> None:
    thawed = threading.Event()

    def log_in(login: Login, deadline: float) -> Any:
        if login.address == "frozen":
            thawed.wait(60)
        return connection(login.address)

    jumps = Jumps(log_in)
    with ThreadPoolExecutor() as pool:
        waits = [pool.submit(jumps.open, Login("frozen"), time.monotonic() + 60) for _ in range(3)]
        try:
            assert pool.submit(jumps.open, Login("healthy"), time.monotonic() + 60).result(30).host == "healthy"
        finally:
            thawed.set()
        first, *others = [wait.result(60) for wait in waits]
    assert all(other is first for other in others), "one connection for all behind it"


def test_waiting_hosts_share_a_failure_and_the_next_host_tries_again() -> None:
    tries: list[str] = []

    def log_in(login: Login, deadline: float) -> Any:
        tries.append(login.address)
        if len(tries) == 1:
            raise Dropped("jump: gone")
        return connection(login.address)

    jumps = Jumps(log_in)
    with pytest.raises(Dropped, match="jump host jump: gone"):
        jumps.open(Login("jump"), time.monotonic() + 60)
    held = jumps.open(Login("jump"), time.monotonic() + 60)
    assert jumps.open(Login("jump"), time.monotonic() + 60) is held
    held.is_connected = False  # type: ignore[misc]
    assert jumps.open(Login("jump"), time.monotonic() + 60) is not held
    assert len(tries) == 3


def test_a_host_waits_for_a_jump_host_until_its_deadline_only() -> None:
    thawed = threading.Event()

    def log_in(login: Login, deadline: float) -> Any:
        thawed.wait(60)
        return connection("jump")

    jumps = Jumps(log_in)
    with ThreadPoolExecutor() as pool:
        pool.submit(jumps.open, Login("jump"), time.monotonic() + 60)
        while not jumps._held:
            time.sleep(0.001)
        with pytest.raises(HostError) as caught:
            jumps.open(Login("jump"), time.monotonic())
        thawed.set()
    assert caught.value.failure.kind == "timeout"
