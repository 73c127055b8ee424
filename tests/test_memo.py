"""Values that are computed once for all threads, and values that hosts of a run publish for each other."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from provision.project.memo import Memo
from provision.rollout.run_request import Published


def test_threads_that_request_the_same_value_wait_for_the_first() -> None:
    memo, began, finish, computed = Memo(), threading.Event(), threading.Event(), []

    def slow() -> int:
        began.set()
        finish.wait(60)
        computed.append(1)
        return 7

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(memo.of, ("x",), slow) for _ in range(4)]
        assert began.wait(60)
        # Another key does not wait.
        assert memo.of(("y",), lambda: 8) == 8
        finish.set()
        assert [one.result(60) for one in asked] == [7] * 4
    assert computed == [1]


def test_a_failed_computation_is_repeated() -> None:
    memo = Memo()

    def fails() -> int:
        raise ValueError("not yet")

    with pytest.raises(ValueError, match="not yet"):
        memo.of("x", fails)
    assert memo.of("x", lambda: 1) == 1
    assert memo.of("x", fails) == 1, "the value is remembered"


def test_none_is_remembered_as_a_value() -> None:
    memo, computed = Memo(), []
    for _ in range(2):
        assert memo.of("x", lambda: computed.append(1)) is None
    assert computed == [1]


def test_published_images_are_returned_as_a_sorted_snapshot() -> None:
    published = Published()
    before = published.now()
    published.add({"b": "sha256:2", "a": "sha256:1"})
    published.add({"b": "sha256:3"})
    assert before == ()
    assert published.now() == (("a", "sha256:1"), ("b", "sha256:3"))
