"""How the controller asks for the result of a job: a refused login, compared with an answer that cannot be read."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from fabric import Connection

from provision import tasks
from provision.model import Failure, Login
from provision.rollout.host_run import settle, take_up
from provision.transport import job
from provision.transport.execute import Finished
from provision.transport.failure import NotBegun
from provision.transport.job import Job, _Progress
from provision.transport.ssh import HostError

Execute = Callable[..., Finished]


@pytest.fixture
def persist(monkeypatch: pytest.MonkeyPatch) -> Callable[[Execute], tuple[HostError, _Progress, int]]:
    """A function that asks a host whose answers ``execute`` gives. Returns the result, and how often it asked."""
    monkeypatch.setattr(job, "_BACKOFF", (0.0,))
    monkeypatch.setattr(job, "_SECOND_TRY", 0.0)
    connection: Any = argparse.Namespace(close=lambda: None, is_connected=False)
    config: Any = argparse.Namespace(host=argparse.Namespace(name="web1", login=Login("192.0.2.1")))
    work: Any = argparse.Namespace(run="20260101T000000-1", steps=(), risky=False, confirm_within=1)

    def ask(execute: Execute) -> tuple[HostError, _Progress, int]:
        asked = []

        def counted(*args: Any) -> Finished:
            asked.append(args)
            return execute(*args)

        monkeypatch.setattr(job, "execute", counted)
        one = Job(config, work, (), time.monotonic() + 600, lambda event: None, lambda: connection)
        progress = one._progress()
        with pytest.raises(HostError) as caught:
            one._persist("reached", "", progress, one.deadline)
        return caught.value, progress, len(asked)

    return ask


def test_a_login_without_a_shell_is_a_refused_login(persist: Any) -> None:
    def nologin(*args: Any) -> Finished:
        raise NotBegun("protocol", "the shell of root ended with 1 before the script began")

    error, progress, asked = persist(nologin)
    assert "ended with 1 before the script began" in error.failure.message
    assert (progress.refused_login, asked) == ("the shell of root ended with 1 before the script began", 2)


def test_an_answer_without_a_result_is_not_a_refused_login(persist: Any) -> None:
    """The script began, so the login is good. Its record may be unreadable, as on a full disk."""
    error, progress, asked = persist(lambda *args: Finished(1, "no space left on device"))
    assert error.failure.kind == "protocol"
    assert "the host did not report the state of the run" in error.failure.message
    assert (error.failure.detail, progress.refused_login, asked) == ("no space left on device", "", job._UNREAD)


def _rolled_back(failed_undo: str, stays: str) -> HostError:
    config: Any = argparse.Namespace(host=argparse.Namespace(name="web1", login=Login("192.0.2.1")))
    work: Any = argparse.Namespace(run="r", steps=(), risky=False, confirm_within=1)
    connect: Any = None
    one = Job(config, work, (), 0.0, lambda event: None, connect)
    progress = one._progress()
    progress.frame(("undone", "died", failed_undo, "restored /etc/one", *([stays] if stays else [])))
    progress.frame(("result", "rolled_back died"))
    return one._error(progress, [], Finished(0, ""))


def test_a_complete_rollback_leaves_nothing() -> None:
    failure = _rolled_back("", "").failure
    assert (failure.rolled_back, failure.left) == (True, ())
    assert "not as before the run" not in failure.detail


def test_a_partial_rollback_names_what_it_left() -> None:
    failed = "service enabled+active docker\nfile 3 /etc/docker/daemon.json\n"
    stays = "package docker-ce: 5:28.5.2 (before the run: 5:26.1.5)\n"
    failure = _rolled_back(failed, stays).failure
    assert failure.left == (
        "service docker (enabled+active)",
        "file /etc/docker/daemon.json",
        "package docker-ce: 5:28.5.2 (before the run: 5:26.1.5)",
    )
    assert failure.detail.splitlines() == [
        "the rollback: restored /etc/one",
        "not as before the run:",
        *failure.left,
    ]


def test_a_rollback_that_the_host_did_not_report_is_not_complete() -> None:
    """A full disk: the host has its result in the reserve, and no room for its report."""
    config: Any = argparse.Namespace(host=argparse.Namespace(name="web1", login=Login("192.0.2.1")))
    work: Any = argparse.Namespace(run="r", steps=(), risky=False, confirm_within=1)
    connect: Any = None
    one = Job(config, work, (), 0.0, lambda event: None, connect)
    progress = one._progress()
    progress.frame(("result", "rolled_back died"))
    failure = one._error(progress, [], Finished(0, "")).failure
    assert failure.rolled_back
    assert failure.left == ("the host did not report what it restored and what it left",), "`restored` is `partial`"
    assert "did not report" in failure.detail


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Failure]:
    """A function that asks for the receipt of an earlier run. Returns the failure."""
    config: Any = argparse.Namespace(host=argparse.Namespace(name="web1", login=Login("192.0.2.1")))

    def ask(question: Callable[..., object], *words: object, frames: Sequence[tuple[str, ...]]) -> Failure:
        def execute(connection: Any, login: Any, script: str, deadline: float, on_frame: Any) -> Finished:
            for frame in frames:
                on_frame(frame)
            return Finished(0, "")

        monkeypatch.setattr(tasks, "execute", execute)
        with pytest.raises(HostError) as caught:
            question(Connection("192.0.2.1"), config, "r1", *words, 1.0)
        return caught.value.failure

    return ask


@pytest.mark.parametrize("question", [(take_up,), (settle, True)], ids=["take up", "settle"])
def test_an_earlier_run_that_was_rolled_back_reports_what_it_left(question: Any, answered: Any) -> None:
    """The receipt begins with the last look of the run. Its frames are no part of the rollback."""
    undone = ("undone", "died", "service enabled+active docker", "restored /etc/one", "package tree: 2.1")
    frames = (("file", "/etc/one", "absent"), ("end",), undone, ("result", "rolled_back died"), ("end",))
    failure = answered(*question, frames=frames)
    assert (failure.rolled_back, failure.left) == (True, ("service docker (enabled+active)", "package tree: 2.1"))
    assert "the rollback: restored /etc/one" in failure.detail


def test_an_earlier_run_without_a_result_is_not_called_rolled_back(answered: Any) -> None:
    failure = answered(settle, False, frames=[("result", "waiting")])
    assert "how it ended is not known" in failure.message
    assert not failure.rolled_back


def test_a_host_of_an_earlier_version_reports_no_remarks() -> None:
    assert _rolled_back("account 2 op\n", "").failure.left == ("account op",)


def test_a_remark_after_the_last_step_is_no_part_of_the_last_look() -> None:
    config: Any = argparse.Namespace(host=argparse.Namespace(name="web1", login=Login("192.0.2.1")))
    events: list[Any] = []
    connect: Any = None
    work: Any = argparse.Namespace(run="r", steps=(), risky=False, confirm_within=1)
    progress = Job(config, work, (), 0.0, events.append, connect)._progress()
    for frame in (("steps.end",), ("file", "/etc/x", "absent"), ("note", "waiting"), ("end",)):
        progress.frame(frame)
    assert progress.after == [("file", "/etc/x", "absent"), ("end",)]
    assert [event.data for event in events] == [{"text": "waiting"}]
