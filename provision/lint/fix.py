"""Correct a daemon.json where there is one right answer; the rest of the file stays as it is, byte for byte.

Syntax is corrected only when the whole file becomes JSON with the content that the linter read. Values get the type of
their key, and renamed keys get their new name.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from provision.engine.keys import Version, keys
from provision.lint import loose_json, shapes
from provision.lint.daemon_file import plain_key
from provision.lint.loose_json import Edit, Parsed
from provision.text.yamlfile import Map

_MARK = "\ufeff"


def mended(text: str, engine: Version) -> tuple[str, int]:
    """The text with every certain correction, and the number of corrections. A second correction changes nothing."""
    mark = _MARK if text.startswith(_MARK) else ""
    body, count = text.removeprefix(_MARK), 0
    for step in (_syntax, _types, _names):
        edits = list(step(loose_json.parse(Path(), body), body, engine))
        body, count = _applied(body, edits), count + len(edits)
    return mark + body, count


def write(path: Path, text: str) -> None:
    """Replace a file completely or not at all. A link stays a link, and mode and owner stay the same.

    Raises :class:`OSError` when the directory can't be written.
    """
    target = path.resolve()
    state = target.stat()
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    part = Path(name)
    try:
        with open(descriptor, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        with suppress(PermissionError):  # the file of another user, in a directory that this user may write
            os.chown(part, state.st_uid, state.st_gid)
        part.chmod(state.st_mode & 0o7777)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _applied(text: str, edits: list[Edit]) -> str:
    for edit in sorted(edits, key=lambda one: (one.begin, one.end), reverse=True):
        text = text[: edit.begin] + edit.text + text[edit.end :]
    return text


def _syntax(parsed: Parsed, text: str, engine: Version) -> list[Edit]:
    faults = [fault for fault in parsed.faults if fault.kind != "mark"]
    if not all(fault.edits for fault in faults):
        return []
    edits = [edit for fault in faults for edit in fault.edits]
    try:
        same = json.loads(_applied(text, edits)) == parsed.value
    except ValueError:
        return []
    return edits if same else []


def _types(parsed: Parsed, text: str, engine: Version) -> Iterator[Edit]:
    if parsed.faults or parsed.twice or not isinstance(parsed.value, Map):
        return
    for name, value in parsed.value.items():
        key = keys().get(name)
        if key is None or not key.known_to(engine):
            continue
        for misfit in shapes.misfits(key, value, engine):
            if misfit.right:
                begin, end = parsed.spans[(name, *misfit.path)].value
                yield Edit(begin, end, f"[{text[begin:end]}]" if misfit.right[0] == "[" else misfit.right)


def _names(parsed: Parsed, text: str, engine: Version) -> Iterator[Edit]:
    if parsed.faults or parsed.twice or not isinstance(parsed.value, Map):
        return
    taken = set(parsed.value)
    for name, value in parsed.value.items():
        new = _new_name(name, engine)
        if new is not None and new not in taken and shapes.fits(keys()[new], value, engine):
            taken.add(new)
            yield Edit(*parsed.spans[(name,)].key, json.dumps(new))


def _new_name(name: str, engine: Version) -> str | None:
    """The name of a key in this engine; ``None`` when the key has that name already, or when the name is not
    certain."""
    key = keys().get(name)
    if key is None:
        plain = plain_key(name)
        return plain if plain in keys() and keys()[plain].known_to(engine) else None
    renamed = key.instead in keys() and keys()[key.instead].known_to(engine)
    old = (key.deprecated is not None and engine >= key.deprecated) or not key.known_to(engine)
    return key.instead if renamed and old else None
