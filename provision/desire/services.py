"""Services, last: they must see what came before them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from provision import engine
from provision.daemon_keys import NEWEST, version
from provision.desire.packages import engine_package
from provision.desire.setting import Setting
from provision.impact import key_effects, worst
from provision.model import Report, Resource
from provision.resources.packages import installed
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
            partial(_effect, at, daemon) if is_engine and declared.on_change == "restart" else None,
        )


def _effect(at: Setting, daemon: dict[str, Any], report: Report, changing: tuple[str, ...]) -> tuple[str, str]:
    """The verb for a change of files that docker watches, and what each key asks for.

    Where live-restore is about to be declared it is switched on first, by a reload, so that the restart that follows
    ends no container.
    """
    if changing != (engine.DAEMON_JSON,):
        return "restart", ", ".join(changing)
    try:
        old = json.loads(report.content(engine.DAEMON_JSON) or b"{}")
    except (ValueError, RecursionError):
        old = {}
    name = engine_package(at)
    there = version(installed(report).get(name, "")) if name is not None else None
    effects = key_effects(old if isinstance(old, dict) else {}, daemon, there or NEWEST)
    verb = "restart" if worst(effects.values()) == "restart" else "reload"
    if verb == "restart" and daemon.get("live-restore") is True and old.get("live-restore") is not True:
        verb = "live-restart"
    return verb, ", ".join(f"{key}: {effect}" for key, effect in effects.items())
