"""Events as reporters receive them: every text of a host or an operator is visible, and every plan is described.

Reporters accept only :class:`Shown`, and only :func:`shown` makes it. So no text reaches a terminal, a file or another
program without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from provision.model import Event, Failure, Impact, Plan
from provision.report import diff
from provision.visible import line, visible

#: Values with several lines; every other text of an event is one line. (event, key)
_TEXTS = {("check.done", "message")}


class ShownChange(Struct, frozen=True):
    """One resource's change: its action (``create``, ``change``, ``remove``), and its diff, line by line."""

    resource: str
    summary: str
    diff: tuple[str, ...]


class ShownPlan(Struct, frozen=True):
    """A plan as text. ``disturbed`` are the services that it restarts, reloads, starts or stops."""

    host: str
    platform: str
    changes: tuple[ShownChange, ...]
    impacts: tuple[Impact, ...]
    impact: str
    disturbed: tuple[str, ...]
    rollback_impacts: tuple[Impact, ...] = ()


class Shown(Struct, frozen=True):
    """An event for a reporter: as :class:`~provision.model.Event`, with :class:`ShownPlan` for a plan."""

    name: str
    host: str = ""
    data: Mapping[str, object] = field(default_factory=dict)


def shown(event: Event) -> Shown:
    data = {line(key): _value(event.name, key, value) for key, value in event.data.items()}
    return Shown(line(event.name), line(event.host), data)


def _value(name: str, key: str, value: Any) -> object:
    if isinstance(value, str):
        return visible(value) if (name, key) in _TEXTS else line(value)
    if isinstance(value, (list, tuple)):
        return [_value(name, key, one) for one in value]
    if isinstance(value, Mapping):
        return {line(str(one)): _value(name, key, other) for one, other in value.items()}
    if isinstance(value, Failure):
        return _failure(value)
    if isinstance(value, Plan):
        return plan(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return line(str(value))


def _failure(failure: Failure) -> Failure:
    return replace(
        failure,
        kind=line(failure.kind),
        message=line(failure.message),
        step=line(failure.step),
        detail=visible(failure.detail),
        done=tuple(map(line, failure.done)),
        undone=tuple(map(line, failure.undone)),
        title=line(failure.title),
        done_titles=tuple(map(line, failure.done_titles)),
        undone_titles=tuple(map(line, failure.undone_titles)),
    )


def plan(of: Plan) -> ShownPlan:
    changes = (
        ShownChange(line(change.resource), line(diff.summary(change)), tuple(map(line, diff.lines(change))))
        for change in of.changes
    )
    services = tuple(map(line, diff.disturbed(of)))
    return ShownPlan(
        line(of.host),
        line(of.platform.name),
        tuple(changes),
        _impacts(of.impacts),
        line(of.impact),
        services,
        _impacts(of.rollback_impacts),
    )


def _impacts(impacts: Iterable[Impact]) -> tuple[Impact, ...]:
    return tuple(Impact(line(one.level), line(one.subject), line(one.reason)) for one in impacts)
