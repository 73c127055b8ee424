"""Events as reporters receive them: every text of a host or an operator is visible, and every change is described.

Reporters accept only :class:`Shown`, and only :func:`shown` makes it. So no text reaches a terminal, a file or another
program without it. A change is described as old -> new, a file's as a unified diff.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from provision.model import Change, Drift, Event, Failure, Impact, Plan, Withheld
from provision.visible import line, visible

#: For a new object of docker, only values that differ from the default are shown.
_OBJECTS = ("container:", "network:", "volume:")
_AS_USUAL = ("none", "no", "0", "{}", "the image's", "docker's")
#: The longest value that is shown completely, in characters.
_LIMIT = 200


def summary(change: Change) -> str:
    """``create``, ``change`` or ``remove``, and the name of the resource."""
    return f"{_verb(change.drift)} {change.resource}"


def _verb(drift: Drift) -> str:
    if all(drift.want.get(key) == "absent" for key in drift.keys):
        return "remove"
    # The existing object may be of another kind (a link in the place of a file): then it is replaced.
    if not any(drift.seen.get(key, "absent") != "absent" for key in (*drift.want, "type")):
        return "create"
    return "change"


def lines(change: Change) -> Iterator[str]:
    """The change, line by line: ``+`` and ``-`` lines are a diff, the others are ``key: old -> new``."""
    drift = change.drift
    new_file = "content" in drift and not drift.seen
    if new_file and "mode" in drift:
        yield f"owner {drift.want['owner']}, group {drift.want['group']}, mode {drift.want['mode']}"
    for key in drift.keys:
        if new_file and key in ("owner", "group", "mode"):
            continue
        old, new = drift.seen.get(key), drift.want[key]
        if not drift.seen and new in _AS_USUAL and change.resource.startswith(_OBJECTS):
            continue
        if key == "content":
            yield from _content(change, drift)
        else:
            yield f"{key}: {_value(old)} -> {_value(new)}"


def _content(change: Change, drift: Drift) -> Iterator[str]:
    old, new = drift.seen.get("content", ""), drift.want["content"]
    path = change.resource.partition(":")[2]
    if isinstance(new, Withheld):
        # The old text is not shown either: a resource that withholds one text withholds both, or could not read it.
        described = old if isinstance(old, Withheld) else "absent" if "content" not in drift.seen else "other text"
        yield f"content: {described} -> {new}"
        return
    if isinstance(old, Withheld):
        yield f"content: {old} -> this text"
    before = path if "content" in drift.seen and not isinstance(old, Withheld) else "/dev/null"
    lines = [] if isinstance(old, Withheld) else _split(old)
    yield from difflib.unified_diff(lines, _split(new), fromfile=before, tofile=path, lineterm="", n=3)


def _split(text: str) -> list[str]:
    parts = text.split("\n")
    if parts[-1] == "":
        return parts[:-1]
    return [*parts[:-1], f"{parts[-1]}", "\\ No newline at end of file"]


def _value(value: str | None) -> str:
    if value is None:
        return "absent"
    shown = value if len(value) <= _LIMIT else value[:_LIMIT] + "..."
    return shown.replace("\n", "\\n") if shown else '""'


def disturbed(plan: Plan) -> list[str]:
    """The services that the plan restarts, reloads, starts or stops."""
    found: dict[str, None] = {}
    for change in plan.changes:
        for call in change.calls:
            found.update(dict.fromkeys(call.disturbs))
    return list(found)


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
    data = {line(key): _visible(event.name, key, value) for key, value in event.data.items()}
    return Shown(line(event.name), line(event.host), data)


def _visible(name: str, key: str, value: Any) -> object:
    if isinstance(value, str):
        return visible(value) if (name, key) in _TEXTS else line(value)
    if isinstance(value, (list, tuple)):
        return [_visible(name, key, one) for one in value]
    if isinstance(value, Mapping):
        return {line(str(one)): _visible(name, key, other) for one, other in value.items()}
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
        ShownChange(line(change.resource), line(summary(change)), tuple(map(line, lines(change))))
        for change in of.changes
    )
    services = tuple(map(line, disturbed(of)))
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


class DriftReport:
    """Passes events on; before the end it emits each drift once, with the hosts that have it."""

    def __init__(self, listener: Callable[[Shown], None]) -> None:
        self._listener = listener
        self._hosts: dict[tuple[str, tuple[str, ...]], list[str]] = {}

    def __call__(self, event: Shown) -> None:
        if event.name == "host.plan" and isinstance(plan := event.data["plan"], ShownPlan):
            for change in plan.changes:
                self._hosts.setdefault((change.summary, change.diff), []).append(event.host)
            if plan.changes:
                return  # the plan of a single host would repeat this
        if event.name == "run.done":
            ordered = sorted(self._hosts.items(), key=lambda item: (-len(item[1]), item[0]))
            for (words, diff), hosts in ordered:
                data = {"summary": words, "diff": list(diff), "hosts": sorted(hosts)}
                self._listener(Shown("drift", data=data))
        self._listener(event)
