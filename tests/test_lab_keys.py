"""The lab's keys, on a machine that has none yet."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.lab import keys
from provision.lab.process import output, run
from provision.lab.store import Store

_ASK = "from provision.lab import keys; from provision.lab.store import Store; print(keys.fingerprint(Store()))"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    yield store
    run(["gpgconf", "--homedir", keys.folder(store), "--kill", "all"])


def secret_keys(store: Store) -> int:
    return output([*keys.gnupg(store), "--with-colons", "--list-secret-keys"]).count("sec:")


def test_concurrent_callers_get_the_same_key(store: Store) -> None:
    environment = {**os.environ, "PROVISION_LAB_DIR": str(store.root)}
    asked = [
        subprocess.Popen([sys.executable, "-c", _ASK], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    told = {process.communicate()[0] for process in asked}
    assert told == {keys.fingerprint(store) + "\n"}
    assert secret_keys(store) == len((keys.DOCKER, keys.ARCHIVE))


def test_an_interrupted_creation_of_a_key_is_continued(store: Store) -> None:
    was = keys.fingerprint(store)
    keys.public(store, keys.DOCKER).unlink()
    assert keys.fingerprint(store) == was
    assert keys.public(store, keys.DOCKER).read_text().count("BEGIN PGP PUBLIC KEY BLOCK") == 1
    assert secret_keys(store) == len((keys.DOCKER, keys.ARCHIVE))
