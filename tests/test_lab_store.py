"""How commands wait for each other in a lab's folder: what several commands need at once is built once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from provision.lab.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_what_several_want_is_built_once(store: Store) -> None:
    built: list[Path] = []
    all_ask = threading.Barrier(4)

    def build(part: Path) -> None:
        part.mkdir()
        built.append(part)
        (part / "whole").touch()

    def ask(number: int) -> bool:
        all_ask.wait(10)
        return (store.built(store.root / "bases/one", build) / "whole").exists()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [True] * 4
    assert built == [store.root / "bases/one.part"]


def test_what_is_left_of_a_build_that_broke_off_is_none_of_the_next(store: Store) -> None:
    folder = store.root / "bases/one"

    def broken(part: Path) -> None:
        part.mkdir()
        (part / "half").touch()
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        store.built(folder, broken)
    assert not folder.exists()
    assert list(store.built(folder, Path.mkdir).iterdir()) == []


def test_other_things_are_built_meanwhile_and_nothing_is_tidied_up(store: Store) -> None:
    def build(part: Path) -> None:
        part.mkdir()
        with store.tidying() as idle:
            assert not idle
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(store.built, store.root / "bases/two", Path.mkdir).result(10).is_dir()

    store.built(store.root / "bases/one", build)
    with store.tidying() as idle:
        assert idle


def test_a_lab_is_one_commands_at_a_time_and_leaves_no_lock(store: Store) -> None:
    inside, most = 0, 0

    def command(number: int) -> None:
        nonlocal inside, most
        with store.one("lab"):
            inside += 1
            most = max(most, inside)
            # Now and then the process leaves a lab behind, and with it the lock's file.
            store.lab("lab").mkdir(parents=True, exist_ok=True)
            if number % 3:
                store.lab("lab").rmdir()
            inside -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(command, range(400)))
    assert most == 1
    with store.one("lab"):
        store.lab("lab").mkdir(parents=True, exist_ok=True)
        store.lab("lab").rmdir()
    assert list((store.root / "locks").iterdir()) == []
