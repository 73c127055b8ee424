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
    for play, slug, spec in ctx.plays:
        if spec.modules:
            path = f"/etc/modules-load.d/provision-{slug}.conf"
            file = _file(ctx, path, "modules.conf.j2", play=play, modules=spec.modules)
            yield Dropin(file, ModulesElsewhere(tuple(spec.modules)))
        if spec.sysctl:
            path = sysctl_dropin(slug)
            dropins |= dict.fromkeys(spec.sysctl, path)
            file = _file(ctx, path, "sysctl.conf.j2", play=play, sysctl=spec.sysctl)
            yield Dropin(file, SysctlElsewhere(spec.sysctl))
    for module in ctx.spec.modules:
        yield KernelModule(module)
    paths = frozenset(ctx.spec.files).union(sysctl_dropin(slug) for _, slug, _ in ctx.plays)
    for key, value in ctx.spec.sysctl.items():
        yield Sysctl(key, value, dropins[key], paths)


def _file(ctx: CompileContext, path: str, template: str, **values: Any) -> File:
    return File(path, ctx.render(template, **values), watchers=ctx.watchers.get(path, ()))
