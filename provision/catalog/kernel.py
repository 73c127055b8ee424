"""Kernel modules and settings, now and at the next boot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from provision.catalog.context import CompileContext, sysctl_dropin
from provision.model import Resource
from provision.resources.dropin import Dropin
from provision.resources.file import File
from provision.resources.module import KernelModule, ModulesElsewhere
from provision.resources.sysctl import Sysctl, SysctlElsewhere


def kernel(ctx: CompileContext) -> Iterator[Resource]:
    """Each play has its own drop-ins, so that one can be removed without the other. Modules come first: some settings
    exist only when their module is loaded."""
    dropins: dict[str, str] = {}
    for play in ctx.plays:
        if play.spec.modules:
            path = f"/etc/modules-load.d/provision-{play.slug}.conf"
            file = _file(ctx, path, "modules.conf.j2", play=play.play, modules=play.spec.modules)
            yield Dropin(file, ModulesElsewhere(tuple(play.spec.modules)))
        if play.spec.sysctl:
            path = sysctl_dropin(play.slug)
            dropins |= dict.fromkeys(play.spec.sysctl, path)
            file = _file(ctx, path, "sysctl.conf.j2", play=play.play, sysctl=play.spec.sysctl)
            yield Dropin(file, SysctlElsewhere(play.spec.sysctl))
    for module in ctx.spec.modules:
        yield KernelModule(module)
    # Read only where it is needed: hosts with different values there cannot share this part.
    paths = ctx.paths | {sysctl_dropin(play.slug) for play in ctx.plays} if ctx.spec.sysctl else frozenset()
    for key, value in ctx.spec.sysctl.items():
        yield Sysctl(key, value, dropins[key], paths)


def _file(ctx: CompileContext, path: str, template: str, **values: Any) -> File:
    return File(path, ctx.render(template, **values), watchers=ctx.watchers.get(path, ()))
