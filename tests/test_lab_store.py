"""How commands wait for each other in the lab's directory: an image that several commands need is built only once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from provision.lab import disk, images, mirror, recipe
from provision.lab.store import Store
from tools.images import IMAGES, PROGRAMS


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_a_file_that_several_commands_need_is_built_once(store: Store) -> None:
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


def test_only_root_enters_the_directory(store: Store) -> None:
    """It has set-id programs, private keys, and the files of hosts whose uid 0 is the machine's."""
    store.root.mkdir(exist_ok=True)
    store.root.chmod(0o755)
    with store.one("x"):
        assert store.root.stat().st_mode & 0o777 == 0o700


def test_the_remains_of_an_interrupted_build_are_not_used(store: Store) -> None:
    folder = store.root / "bases/one"

    def broken(part: Path) -> None:
        part.mkdir()
        (part / "half").touch()
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        store.built(folder, broken)
    assert not folder.exists()
    assert list(store.built(folder, Path.mkdir).iterdir()) == []


def test_different_files_are_built_in_parallel_and_none_is_removed_meanwhile(store: Store) -> None:
    def build(part: Path) -> None:
        part.mkdir()
        with store.tidying() as idle:
            assert not idle
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(store.built, store.root / "bases/two", Path.mkdir).result(10).is_dir()

    store.built(store.root / "bases/one", build)
    with store.tidying() as idle:
        assert idle


def test_one_command_at_a_time_uses_a_lab_and_no_lock_remains(store: Store) -> None:
    inside, most = 0, 0

    def command(number: int) -> None:
        nonlocal inside, most
        with store.one("lab"):
            inside += 1
            most = max(most, inside)
            # Sometimes the process leaves a lab, and with it the lock's file.
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


def test_the_code_of_another_checkout_has_its_own_mirror_and_bases(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a lab of another checkout served the mirror of its own recipe to the hosts of all labs."""

    def built() -> set[Path]:
        return {
            mirror.path(store),
            *(disk.path(store, name) for name in disk.SUITES),
            *(images.path(store, name) for name in images.NAMES),
        }

    before = built()
    monkeypatch.setattr(recipe, "RECIPE", "another")
    assert before.isdisjoint(built())
    assert mirror.URL.split("/")[3] in {path.name for path in before}, "the URL that hosts have names the recipe"


def test_a_checkout_has_the_images_of_the_tests(store: Store) -> None:
    """And the mirror of a checkout is another one than that of an installed wheel."""
    assert tuple(images.NAMES) == ("trixie", "bookworm", *IMAGES)
    assert {"rpmbuild", "createrepo_c"} < PROGRAMS.keys() == images.PROGRAMS.keys()
    assert {path.name for path in recipe.OF_TESTS} >= {"repositories.py", "lookalike.py", "rpms.py", "pacman.py"}
    assert all(image.suite in images.NAMES for image in images.IMAGES.values())
    built = {image.path(store) for image in images.IMAGES.values()}
    assert len(built) == len(images.NAMES)
    assert built <= images.current(store)
