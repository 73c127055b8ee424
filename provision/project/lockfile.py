"""The lock file: exact versions, seen on a canary, that every host of the same platform follows.

It is next to the playbook: ``site.lock.yml`` for ``site.yml``. ``provision lock`` writes it::

    debian-13:
      docker-ce: 5:28.5.2-1~debian.13~trixie
      docker-ce-cli: 5:28.5.2-1~debian.13~trixie
    images:
      registry.example:5000/app:1: sha256:9f86d0...
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from provision import limits
from provision.errors import SpecError, UsageError, Where
from provision.model import Platform
from provision.text.yamlfile import Map, load
from provision.visible import line
from provision.whole_file import write_whole

#: The key of the images' digests; the other keys are platforms.
IMAGES = "images"

Locks = Mapping[str, Mapping[str, str]]

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~:^_-]*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~:/@_-]*")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HEAD = """\
# Written by `provision lock`: versions seen on {hosts}. Hosts of the same platform follow them;
# `provision apply --upgrade` does not read them: it installs newer versions, on a canary for example.
"""


def of_playbook(playbook: Path) -> Path:
    return playbook.with_name(f"{playbook.stem}.lock.yml")


def key(platform: Platform) -> str:
    """The key that hosts with the same packages share: the distribution and its release."""
    return f"{platform.id}-{platform.release}"


def read(path: Path) -> Locks:
    """Platform -> package -> version; empty when there is no such file. Raises :class:`SpecError`."""
    if not limits.check(path).exists():
        return {}
    data = load(path)
    if not isinstance(data, Map):
        raise SpecError("a lock file is a mapping of platforms", where=Where(path, 1), hint="provision lock writes one")
    for platform, packages in data.items():
        if not isinstance(packages, Map):
            raise SpecError("must be a mapping of packages to versions", where=data.where[platform], key=platform)
        for name, version in packages.items():
            if problem := _problem(platform, version):
                raise SpecError(problem, where=packages.where[name], key=f"{platform}.{name}")
    return data


def _problem(platform: str, version: object) -> str:
    form, what = (_DIGEST, "digest") if platform == IMAGES else (_VERSION, "version")
    return "" if isinstance(version, str) and form.fullmatch(version) else f"{version!r} is not a {what}"


def write(path: Path, locks: Locks, hosts: str) -> None:
    """Write a lock file. What hosts reported must have the form that :func:`read` accepts: it becomes YAML. Raises
    :class:`UsageError`, and then the file is unchanged."""
    for platform, packages in locks.items():
        for name, version in packages.items():
            if not (_NAME.fullmatch(platform) and _NAME.fullmatch(name)):
                raise UsageError(
                    f"{path} is not written: {hosts} reported {platform!r}, {name!r}, which is not a valid name"
                )
            if problem := _problem(platform, version):
                raise UsageError(f"{path} is not written: {platform}.{name}, as reported by {hosts}: {problem}")
    lines = [_HEAD.format(hosts=line(hosts))]
    for platform, packages in sorted(locks.items()):
        lines += [f"{platform}:\n", *(f"  {name}: {version}\n" for name, version in sorted(packages.items()))]
    # A link stays a link: several projects may share the file.
    write_whole(path.resolve(), "".join(lines).encode())
