"""The labs of test runs, and the removal of those whose run has ended without its own clean-up."""

from __future__ import annotations

import contextlib
import os

from provision.lab.labs import Lab
from provision.lab.store import Store, start_time

PREFIX = "test-"


def own(lab: Lab) -> None:
    """Record which process the lab belongs to, for a process that finds the lab after this one was killed.

    Each boot does this, because the directory is removed with its last host. The directory is created together with its
    owner's record. Another session that starts at that moment would treat a directory without an owner as a dead
    session's, and remove its hosts.
    """
    folder = lab.store.lab(lab.name)
    owner = f"{os.getpid()} {start_time(os.getpid())}"
    while True:
        try:
            (folder / "owner").write_text(owner)
        except FileNotFoundError:
            part = folder.with_name(f".{folder.name}")
            part.mkdir(parents=True, exist_ok=True)
            (part / "owner").write_text(owner)
            with contextlib.suppress(OSError):
                part.rename(folder)
        else:
            return


def abandoned(store: Store) -> list[str]:
    """The labs of test runs whose process does not exist any more."""
    found = []
    for folder in sorted(store.root.glob(f"labs/{PREFIX}*")):
        pid, start = (folder / "owner").read_text().split() if (folder / "owner").exists() else ("0", "0")
        if start_time(int(pid)) != int(start):
            found.append(folder.name)
    return found


def remove() -> None:
    for name in abandoned(Store()):
        Lab(name).down()
