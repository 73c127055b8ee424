"""Write the package versions and image digests of a canary into the lock file, which the rest of the fleet follows."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from provision.commands import options, running
from provision.errors import UsageError

if TYPE_CHECKING:
    from provision.model import Event


def arguments(parser: argparse.ArgumentParser) -> None:
    options.selection(parser)
    options.logging_in(parser)


def run(args: argparse.Namespace) -> int:
    from provision.project import lockfile
    from provision.rollout.run_request import Goal

    found = _Found()
    status = running.ask(args, Goal.LOCK, found)
    if status:
        return status
    path = lockfile.of_playbook(args.playbook)
    locks: dict[str, dict[str, str]] = {name: dict(packages) for name, packages in lockfile.read(path).items()}
    seen: dict[str, dict[str, str]] = {}
    images = locks.get(lockfile.IMAGES, {})
    for host, platform, packages, digests in found.rows:
        if seen.setdefault(platform, packages) != packages:
            raise UsageError(
                f"{host} has other versions than another host of {platform}: use --limit with one canary of each"
            )
        for name, digest in digests.items():
            if seen.setdefault(lockfile.IMAGES, {}).setdefault(name, digest) != digest:
                raise UsageError(f"{host} has a different {name} than another host: use --limit with one canary")
    if not any(seen.values()):
        raise UsageError("no host has packages of an engine, or images: apply first")
    if images and lockfile.IMAGES in seen:
        seen[lockfile.IMAGES] = images | seen[lockfile.IMAGES]
    lockfile.write(path, locks | seen, ", ".join(host for host, *_ in found.rows))
    return 0


class _Found:
    """Collects what hosts have, and passes every event on."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, dict[str, str], dict[str, str]]] = []

    def __call__(self, event: Event) -> None:
        if event.name == "versions":
            packages: Any = event.data["packages"]
            images: Any = event.data["images"]
            self.rows.append((event.host, str(event.data["platform"]), dict(packages), dict(images)))
