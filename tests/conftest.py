"""Helpers for the fast tests: a project in a directory, and resources seen through canned looks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provision import limits
from provision.catalog import Options
from provision.errors import all_of
from provision.inventory import Inventory, program
from provision.load import Loaded, check
from provision.project.host_config import HostConfig, context, declare
from provision.project.playbook import read_playbook
from provision.secrets import secret
from provision.text import yamlfile


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden scripts again")
    parser.addoption("--lock-rounds", default="5", help="how many rounds the takers of a lock play, in test_lock.py")
    parser.addoption("--injections", default="20", help="how often a run is broken off, in test_torture.py")


class Project:
    """A directory with an inventory and a playbook. ``write`` makes files, ``load`` reads and checks everything."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("inventory/hosts.yml", "docker: {hosts: {web1: }}\n")

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def spec(self, text: str) -> None:
        """One play for all docker hosts; ``text`` is the spec's YAML."""
        indented = "".join(f"    {line}\n" for line in text.splitlines())
        self.write("playbooks/site.yml", f"- name: Site\n  hosts: docker\n  spec:\n{indented}")

    def inventory(self, **extra: Any) -> Inventory:
        return Inventory(self.folder / "inventory", playbook_dir=self.folder / "playbooks", **extra)

    def declared(self, **extra: Any) -> list[HostConfig]:
        """Every host of every play. Raises :class:`SpecError` with every fault of the plays, or of the hosts."""
        plays, faults = read_playbook(self.folder / "playbooks/site.yml")
        if faults:
            raise all_of(faults)
        return declare(self.inventory(**extra), plays)

    def load(self, **extra: Any) -> Loaded:
        path = self.folder / "playbooks/site.yml"
        loaded = Loaded(self.declared(**extra), context(path))
        check(loaded, Options())
        return loaded

    def config(self, **extra: Any) -> HostConfig:
        return self.load(**extra).configs[0]


@pytest.fixture(autouse=True)
def _unconfined(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A command confines its whole process: to an untrusted project, or to the programs of a plan. It also registers
    the project's secrets, which a later test in the same process could not read."""
    monkeypatch.setattr(secret, "_KNOWN", dict(secret._KNOWN))
    monkeypatch.setattr(yamlfile._Compared, "left", yamlfile._PAIRS)
    yield
    limits.confine([])
    program.approve(None)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
