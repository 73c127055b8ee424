"""Services, last: they must see what came before them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from provision import engine
from provision.desire.setting import Setting
from provision.model import Resource
from provision.resources.service import Service


def services(at: Setting) -> Iterator[Resource]:
    for unit, declared in at.services.items():
        is_engine = unit == engine.UNIT and at.spec.engine is not None
        daemon = (engine.daemon_json(at.spec.engine) if at.spec.engine else None) or {}
        yield Service(
            unit,
            declared.enabled,
            declared.running,
            tuple(declared.watch),
            declared.on_change,
            "docker_info" if is_engine else None,
            partial(engine.agrees, daemon) if is_engine else None,
            unit == at.flavour.network,
        )
