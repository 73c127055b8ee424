"""The threads that process hosts: each host once, a limited number at a time, and no thread waits for a frozen host."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest

from provision.rollout.worker_pool import Member, Shift


def test_each_item_runs_once_within_the_limit() -> None:
    lock, done, under_way, most = threading.Lock(), Counter[int](), [0], [0]

    def job(item: int, member: Member) -> None:
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        time.sleep(0.001)
        with lock:
            under_way[0] -= 1
            done[item] += 1

    Shift(range(200), job, 7).wait()
    assert done == Counter(range(200))
    assert most[0] == 7
    Shift([], job, 7).wait()


def test_frozen_hosts_do_not_delay_other_hosts() -> None:
    """Four places, and six hosts that freeze first: all other hosts end before any of the six has answered."""
    thawed, others, order = threading.Event(), threading.Semaphore(0), []

    def job(item: int, member: Member) -> None:
        member.waits(True)
        if item < 6:
            assert thawed.wait(30)
        member.waits(False)
        order.append(item)
        others.release()

    shift = Shift(range(30), job, 4, patience=0.05)
    waiter = threading.Thread(target=shift.wait)
    waiter.start()
    for _ in range(24):
        assert others.acquire(timeout=30)
    assert set(order) == set(range(6, 30))
    thawed.set()
    waiter.join(30)
    assert sorted(order) == list(range(30))


def test_a_host_that_answers_again_waits_for_a_place() -> None:
    """Never more hosts are processed at the same time than there are places."""
    lock, working, most, frozen = threading.Lock(), [0], [0], threading.Barrier(5)

    def job(item: int, member: Member) -> None:
        member.waits(True)
        if item < 4:
            frozen.wait(30)  # all four continue at the same time, when the fifth is being processed
        member.waits(False)
        with lock:
            working[0] += 1
            most[0] = max(most[0], working[0])
        if item == 4:
            frozen.wait(30)
        time.sleep(0.02)
        with lock:
            working[0] -= 1

    Shift(range(12), job, 2, patience=0.02).wait()
    assert most[0] <= 2


def test_slow_hosts_are_not_treated_as_frozen() -> None:
    """At first no host has answered, so the usual time is unknown. Later no more hosts are asked at a time than there
    are places."""
    lock, waiting, begun, most = threading.Lock(), [0], [0], [0]

    def job(item: int, member: Member) -> None:
        member.waits(True)
        with lock:
            begun[0] += 1
            waiting[0] += 1
            if begun[0] > 12:
                most[0] = max(most[0], waiting[0])
        time.sleep(0.3)
        with lock:
            waiting[0] -= 1
        member.waits(False)

    Shift(range(24), job, 2, patience=0.05).wait()
    assert begun[0] == 24
    assert most[0] <= 2


def test_an_error_of_provision_is_raised_after_the_other_hosts() -> None:
    done = []

    def job(item: int, member: Member) -> None:
        if item == 1:
            raise RuntimeError("an error of provision")
        done.append(item)

    with pytest.raises(RuntimeError, match="an error of provision"):
        Shift(range(5), job, 2).wait()
    assert sorted(done) == [0, 2, 3, 4]


def test_no_host_starts_after_a_cancellation() -> None:
    go, begun = threading.Event(), []

    def job(item: int, member: Member) -> None:
        begun.append(item)
        assert go.wait(30)

    shift = Shift(range(9), job, 2)
    shift.cancel()
    go.set()
    shift.wait()
    assert sorted(begun) == [0, 1]


def test_no_thread_remains() -> None:
    before = set(threading.enumerate())
    Shift(range(50), lambda item, member: None, 10).wait()
    end = time.monotonic() + 10
    while set(threading.enumerate()) - before and time.monotonic() < end:
        time.sleep(0.01)
    assert set(threading.enumerate()) <= before
