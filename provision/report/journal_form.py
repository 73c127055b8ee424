"""The parts of a journal that its readers use. A journal is a file: a power failure, another version of provision, or
the author of the project may have written it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

import msgspec
from msgspec import Meta

from provision.errors import UsageError
from provision.report.jsonlines import EVENTS

#: Seconds since 1970 until the year 9999, the last of Python's dates. A number that is no number is not in it either.
_At = Annotated[float, Meta(ge=0, le=253_402_300_799)]
_Count = Annotated[int, Meta(ge=0)]


class _Head(TypedDict):
    run: str
    mode: str
    playbook: str
    by: str
    hosts: list[str]
    resumes: NotRequired[str]


class _Event(TypedDict):
    event: str
    host: NotRequired[str]
    at: NotRequired[_At]


class _Wave(_Event):
    play: str
    wave: _Count
    of: _Count
    hosts: list[str]


class _Item(TypedDict):
    summary: str
    diff: list[str]


class _Impact(TypedDict):
    level: str
    subject: str
    reason: NotRequired[str]


class _Plan(_Event):
    items: list[_Item]
    impacts: NotRequired[list[_Impact]]


class _StepBegin(_Event):
    step: str
    title: NotRequired[str]


class _StepDone(_Event):
    step: str


class _Note(_Event):
    text: str


class _Check(_Event):
    suite: str
    check: str
    outcome: str
    message: str


class _Error(TypedDict):
    kind: str
    message: str
    step: NotRequired[str]
    detail: NotRequired[str]
    undone: NotRequired[list[str]]
    undone_titles: NotRequired[list[str]]


class _Done(_Event):
    status: str
    changes: NotRequired[_Count]
    seconds: NotRequired[_At]
    reason: NotRequired[str]
    error: NotRequired[_Error]


class _Stopped(_Event):
    reason: str


#: Event -> its keys that are read; of other events only the common ones.
_KEYS: dict[str, Any] = {
    "wave.begin": _Wave,
    "host.plan": _Plan,
    "step.begin": _StepBegin,
    "step.done": _StepDone,
    "note": _Note,
    "check.done": _Check,
    "host.done": _Done,
    "rollout.stopped": _Stopped,
}


def head(path: Path, name: str) -> dict[str, Any]:
    """The head of the run ``name``. Raises :class:`UsageError`."""
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        msgspec.convert(found, _Head)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, error) from error
    if found["run"] != name:
        raise _damaged(path, ValueError("its run has another name than its directory"))
    return found


def event(path: Path, number: int, found: Any) -> dict[str, Any]:
    """The event in line ``number``. Raises :class:`UsageError`."""
    try:
        name = msgspec.convert(found, _Event)["event"]
        msgspec.convert(found, _KEYS.get(name, _Event))
    except (ValueError, RecursionError) as error:
        raise _damaged(path, error, number) from error
    if name in EVENTS and EVENTS[name].of_host and "host" not in found:
        raise _damaged(path, ValueError(f"{name} has no host"), number)
    return found  # type: ignore[no-any-return]  # converted above


def _damaged(path: Path, error: Exception, number: int = 0) -> UsageError:
    where = f"{path}:{number}" if number else str(path)
    return UsageError(
        f"{where}: the journal is damaged, or another version of provision wrote it: {error}; move the directory"
        f" {path.parent} away, then repeat (provision runs --on-hosts asks the hosts)"
    )
