"""The garbage collection of the builder, which dockerd configures when it starts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from provision.errors import Where
from provision.lint import shapes
from provision.lint.finding import Finding
from provision.lint.reading import Target
from provision.lint.rules import finding
from provision.lint.shapes import is_duration
from provision.lint.values import is_size
from provision.text.yamlfile import Map, Seq, locate

#: The first engine with reserved, largest and free space; earlier engines have keepStorage alone (moby#48914).
_SPACES = (28, 0)
_OLD, _NEW = ("keepStorage",), ("keepStorage", "reservedSpace", "maxUsedSpace", "minFreeSpace")


def collection(daemon: Map, target: Target) -> Iterator[Finding]:
    gc = member(daemon.get("builder"), "gc")
    where = daemon.where.get("builder")
    # Before 23.0 it is off by default; from 23.0 on it is on by default.
    enabled = member(gc, "enabled")
    if not isinstance(gc, Map) or where is None or enabled is False:
        return
    policy = member(gc, "policy")
    names = _NEW if target.engine >= _SPACES else _OLD
    if not isinstance(policy, Seq):
        for name in names:
            called = f"default{name[0].upper()}{name[1:]}"
            yield from _size(f"builder.gc.{called}", member(gc, called), locate(gc, (called,)) or where)
        return
    for index, rule in enumerate(policy):
        place, path = policy.where[index], f"builder.gc.policy[{index}]"
        for name in names:
            yield from _size(f"{path}.{name}", member(rule, name), place)
        yield from _filters(path, member(rule, "filter"), place)
        if target.engine < (23, 0) and not member(rule, "keepStorage"):
            yield finding("DJ222", place, f"{path} needs keepStorage")


def member(value: Any, name: str) -> Any:
    """A field of an object, as Go's decoder finds it: in any letter case; ``None`` without one."""
    found = shapes.field(name, dict.fromkeys(value)) if isinstance(value, Map) else None
    return value[found] if found is not None else None


def _size(path: str, value: Any, where: Where) -> Iterator[Finding]:
    if isinstance(value, str) and value and not is_size(value):
        yield finding("DJ222", where, f'{path} "{value}" is not a size such as "20GB"')


def _filters(path: str, filters: Any, where: Where) -> Iterator[Finding]:
    if not isinstance(filters, Seq):
        return
    times = []
    for item in filters:
        name, _, value = str(item).partition("=")
        if name.strip(" ").lower() in ("until", "unused-for"):
            times.append(value.strip(" "))
    if len(times) > 1:
        yield finding("DJ222", where, f"{path}.filter has more than one age")
    elif times and not _is_age(times[0]):
        yield finding("DJ222", where, f'{path}.filter "{times[0]}" is not a duration such as "24h"')


def _is_age(text: str) -> bool:
    """A duration or a timestamp (moby, api/types/time, GetTimestamp)."""
    try:
        return is_duration(text) or text.replace(".", "").isdigit() or bool(datetime.fromisoformat(text))
    except ValueError:
        return False
