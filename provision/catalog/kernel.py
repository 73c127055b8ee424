"""Kernel modules and settings, now and at the next boot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from provision.catalog.setting import Setting, sysctl_dropin
from provision.model import Resource
from provision.resources.dropin import Dropin
from provision.resources.file import File
from provision.resources.module import KernelModule, ModulesElsewhere
from provision.resources.sysctl import Sysctl, SysctlElsewhere


def kernel(at: Setting) -> Iterator[Resource]:
    """Each play has its own drop-ins, so that one can be removed without the other. Modules come first: some settings
    exist only when their module is loaded."""
    dropins: dict[str, str] = {}
    for play in at.plays:
        if play.spec.modules:
            path = f"/etc/modules-load.d/provision-{play.slug}.conf"
            file = _file(at, path, "modules.conf.j2", play=play.play, modules=play.spec.modules)
            yield Dropin(file, ModulesElsewhere(tuple(play.spec.modules)))
        if play.spec.sysctl:
            path = sysctl_dropin(play.slug)
            dropins |= dict.fromkeys(play.spec.sysctl, path)
            file = _file(at, path, "sysctl.conf.j2", play=play.play, sysctl=play.spec.sysctl)
            yield Dropin(file, SysctlElsewhere(play.spec.sysctl))
    for module in at.spec.modules:
        yield KernelModule(module)
    # Read only where it is needed: hosts with different values there cannot share this part.
    paths = at.paths | {sysctl_dropin(play.slug) for play in at.plays} if at.spec.sysctl else frozenset()
    for key, value in at.spec.sysctl.items():
        yield Sysctl(key, value, dropins[key], paths)


def _file(at: Setting, path: str, template: str, **values: Any) -> File:
    return File(path, at.render(template, **values), watchers=at.watchers.get(path, ()))
