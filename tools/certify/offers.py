"""The versions of a package that the repositories of a host offer, by its own package manager."""

from __future__ import annotations

import re
from collections.abc import Iterable

from provision.distros.table import number
from provision.lines import lines_of
from provision.remote.script import quote
from tools.certify.facts import Ask

#: Family -> the command that lists versions. Where a lock would hide other versions, it is left out.
_LISTS = {
    "apt": "apt-cache madison %s",
    "apt-openrc": "apt-cache madison %s",
    "dnf": "dnf -q --disableplugin=versionlock list --showduplicates %s",
    "dnf5": "dnf -q --setopt=disable_excludes=* repoquery --qf '%%{evr}\\n' %s",
    "yum": "yum -q --disableplugin=versionlock --showduplicates list %s",
    "zypper": "zypper -n -q search -s --match-exact -t package %s",
    "apk": "apk policy %s",
    "pacman": "LC_ALL=C pacman -Si %s | grep '^Version '",
}
_VERSION = re.compile(r"(?:[0-9]+:)?([0-9]+(?:\.[0-9]+)+[^\s|:]*):?")


def offers(ask: Ask, family: str, package: str) -> tuple[str, ...]:
    """Pins for the versions that the host can install, the newest first."""
    command = _LISTS.get(family)
    return pins(lines_of(ask(f"{command % quote(package)} 2>/dev/null || :"))) if command is not None else ()


def pins(lines: Iterable[str]) -> tuple[str, ...]:
    """The upstream version of each line that has a version: without epoch and the number of the package's release."""
    found = set()
    for line in lines:
        for field in re.split(r"[\s|]+", line):
            if match := _VERSION.fullmatch(field):
                found.add(match[1].partition("-")[0])
                break
    return tuple(sorted(found, key=number, reverse=True))


def plain(version: str) -> str:
    """The part of a version that dockerd reports as its own: ``26.1.5`` of ``26.1.5+dfsg1``."""
    match = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    return match[0] if match else version
