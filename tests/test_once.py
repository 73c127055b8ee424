"""An answer of a host is asked for once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from testinfra.backend.base import BaseBackend
from testinfra.host import Host

from provision.verify.services import Once


def a_host() -> Host:
    return Host(BaseBackend("web1"))


def test_each_host_is_asked_once_until_its_answer_is_forgotten() -> None:
    answers: Once[int] = Once()
    asked: list[Host] = []

    def ask(host: Host) -> int:
        asked.append(host)
        return len(asked)

    one, other = a_host(), a_host()
    assert [answers.of(host, ask) for host in (one, other, one, other)] == [1, 2, 1, 2]
    answers.forget(one)
    assert [answers.of(host, ask) for host in (one, other)] == [3, 2]
    assert asked == [one, other, one]


def test_an_error_is_no_answer() -> None:
    answers: Once[str] = Once()
    host = a_host()

    def fails(host: Host) -> str:
        raise AssertionError("no docker")

    with pytest.raises(AssertionError, match="no docker"):
        answers.of(host, fails)
    assert answers.of(host, lambda host: "there") == "there"


def test_checks_of_one_host_wait_for_its_answer_and_those_of_others_do_not() -> None:
    answers: Once[str] = Once()
    slow, quick = a_host(), a_host()
    begun, released = threading.Event(), threading.Event()
    asked: list[Host] = []

    def ask(host: Host) -> str:
        asked.append(host)
        begun.set()
        assert released.wait(60)
        return "slow"

    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(answers.of, slow, ask) for _ in range(2)]
        assert begun.wait(60)
        assert answers.of(quick, lambda host: "quick") == "quick"
        released.set()
        assert [one.result() for one in waiting] == ["slow", "slow"]
    assert asked == [slow]
