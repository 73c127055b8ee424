"""The events of ``--json``, from their catalogue."""

from __future__ import annotations

from docsite.reference.tables import code, table
from provision.report.jsonlines import EVENTS

_HEAD = """\
# JSON events

`plan`, `apply`, `verify`, `rollback` and other commands write one JSON object a line with `--json`. Each has `event`
and `at` (seconds since 1970); an event about a host has `host`. Further keys may be added in any version: a program
must ignore those that it does not know. Texts are made fit to be shown ([Commands](../commands.md#json-lines)).

A failed host's `error` has `kind` ([error kinds](errors.md#error-kinds)) and `message`; `step` and `detail` where there
are any; `done` and `undone` (lists of steps) where steps were made. `title`, `done_titles` and `undone_titles` say what
these steps do, for people.
"""


def page() -> str:
    parts = [_HEAD]
    for name, kind in EVENTS.items():
        about = "About a host. " if kind.of_host else ""
        text = f"## {name}\n\n{about}{kind.about}\n"
        if kind.keys:
            text += "\n" + table(("key", "meaning"), [(code(key), meaning) for key, meaning in kind.keys.items()])
        parts.append(text)
    return "\n".join(parts)
