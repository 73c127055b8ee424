"""A timer on the host, and the service that it starts: systemd.timer(5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from provision.catalog.context import CompileContext
from provision.model import Resource
from provision.resources.file import File
from provision.resources.obstacle import Obstacle
from provision.resources.service import Service
from provision.resources.unit_file import UnitFile


def timer(ctx: CompileContext, unit: str, what: str, every: str, steps: Sequence[str]) -> Iterator[Resource]:
    """``steps`` are lines of the service (``ExecStart=...``); ``every`` is a calendar word (``daily``)."""
    if ctx.family.init.name != "systemd":
        yield Obstacle(unit, f"{unit} is a systemd timer, and {ctx.platform.name} has none")
        return
    folder = "/etc/systemd/system"
    service = ctx.render("systemd/timed.service.j2", what=what, steps=steps)
    clock = ctx.render("systemd/timed.timer.j2", what=what, every=every)
    yield UnitFile(f"{unit}.service", File(f"{folder}/{unit}.service", service))
    yield File(f"{folder}/{unit}.timer", clock, watchers=(f"{unit}.timer",))
    yield Service(f"{unit}.timer", enabled=True, running=True, watch=(f"{folder}/{unit}.timer",))
