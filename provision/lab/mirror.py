"""The mirror among the lab's hosts: it serves what :mod:`provision.lab.archives` builds, without the internet.

One server serves the mirrors of all recipes, each below its own identity (:mod:`provision.lab.recipe`).
"""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from provision.errors import LabError
from provision.lab import archives, cgroups, network, recipe
from provision.lab.archives import Part
from provision.lab.store import MIRROR, Store

URL = f"{recipe.URL}/docker-ce"
GROUP = "provlab-mirrors"
PORT = 80


def path(store: Store) -> Path:
    return _folder(store) / recipe.RECIPE


def _folder(store: Store) -> Path:
    """The mirrors of all recipes."""
    return store.root / "mirrors"


def ensure(store: Store, parts: Sequence[Part]) -> Path:
    """Build the missing parts of the mirror; about half a minute each, then cached."""
    mirror = path(store)
    mirror.mkdir(parents=True, exist_ok=True)
    if not (mirror / "recipe").exists():
        (mirror / "recipe").write_text(mirror.name)
    for suite, group in groupby(sorted(parts, key=lambda part: part.suite), key=lambda part: part.suite):
        of_suite = list(group)
        if not there(store, of_suite):
            with store.building(mirror / f"mirror-{suite}"):
                builder = archives.Builder(store, mirror, suite)
                for part in of_suite:
                    if not part.last(mirror).exists():
                        part.build(builder)
    return mirror


def there(store: Store, parts: Sequence[Part]) -> bool:
    return all(part.last(path(store)).exists() for part in parts)


def serve(store: Store) -> None:
    """Serve the mirrors from a network namespace of their own, as a host among the lab's hosts."""
    if _answers(store):
        return
    stop()
    network.add_host(network.mirror_index())
    entries = cgroups.create(GROUP)
    with open(store.root / "mirror.log", "ab") as log:
        server = subprocess.Popen(
            [
                *(
                    "ip",
                    "netns",
                    "exec",
                    network.namespace(network.mirror_index()),
                    sys.executable,
                    "-m",
                    "http.server",
                ),
                *("--bind", MIRROR, str(PORT), "--directory", str(_folder(store))),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    for entry in entries:
        entry.write_text(str(server.pid))
    end = time.monotonic() + 10
    while not _answers(store):
        if time.monotonic() > end or server.poll() is not None:
            raise LabError(f"the lab's mirror does not answer; see {store.root / 'mirror.log'}")
        time.sleep(0.05)


def _answers(store: Store) -> bool:
    """True if the mirror of this recipe is served."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy must not be asked for the lab
    try:
        with opener.open(f"{recipe.URL}/recipe", timeout=2) as reply:
            return bool(reply.read().decode() == path(store).name)
    except OSError:
        return False


def stop() -> None:
    cgroups.kill(GROUP)
    cgroups.remove(GROUP)
    network.remove_host(network.mirror_index())
