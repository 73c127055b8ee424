"""Describe a change: old -> new, and files as unified diffs. Its texts come unmodified from the host and the spec;
:mod:`provision.report.shown` makes them safe to show."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from provision.model import Change, Drift, Plan, Withheld

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
