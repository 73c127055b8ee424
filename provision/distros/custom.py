"""A project's own rows of the table: ``distributions.yml`` next to the playbook.

One line declares that a distribution is treated as a known one::

    kylin: {like: rocky, version: 8, support_ends: 2029-12-31}
"""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

from provision import limits
from provision.distros import find, newest, rows
from provision.distros.table import Distribution, number
from provision.errors import SpecError, Where
from provision.text.yamlfile import Map, load, nearest

FILE = "distributions.yml"
#: os-release(5): an ID has lower-case letters, digits, dot, underscore and hyphen; openEuler's has a capital letter.
_ID = re.compile(r"[A-Za-z0-9._-]+")
_KEYS = ("like", "version", "name", "docker", "suite", "support_ends")
_TEXT = re.compile(r"[^\x00-\x1f\x7f]+")
_PATH = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)?")


def read(path: Path) -> tuple[Distribution, ...]:
    """The rows of a project; none when it has no such file. Raises :class:`SpecError`."""
    if not limits.check(path).exists():
        return ()
    data = load(path)
    if not isinstance(data, Map):
        raise SpecError("must be a mapping of os-release's IDs to rows", where=Where(path, 1))
    return tuple(_row(id, given, data.where[id]) for id, given in data.items())


def _row(id: str, given: Any, where: Where) -> Distribution:
    if not isinstance(id, str) or not _ID.fullmatch(id):
        raise SpecError("is not an ID of os-release", where=where, key=str(id))
    if not isinstance(given, Map):
        raise SpecError(
            "must be a mapping with like and version", where=where, key=id, hint=f"{id}: {{like: rocky, version: 9}}"
        )
    for key in given:
        if key not in _KEYS:
            raise SpecError(
                "unknown key", where=given.where[key], key=f"{id}.{key}", hint=nearest(key, _KEYS) or ", ".join(_KEYS)
            )
    like, version = _text(id, given, "like", _ID), _text(id, given, "version", _ID)
    known = [row.id for row in rows()]
    if like not in known:
        hint = nearest(like, known) or f"one of {', '.join(dict.fromkeys(known))}"
        raise SpecError(
            f"{like!r} is not in the table", where=given.where.get("like", where), key=f"{id}.like", hint=hint
        )
    row = find(like, version)
    if row is None:
        raise SpecError(
            f"{version} is not a version of {like} in the table",
            where=given.where["version"],
            key=f"{id}.version",
            hint=f"such as {newest(like).version}",
        )
    suite = _text(id, given, "suite", _ID, "") or row.release_of(version).codename
    if row.family.startswith("apt") and not suite:
        raise SpecError(f"needs suite: the codename of {like} {version} is not known", where=where, key=id)
    return Distribution(
        id=id,
        name=_text(id, given, "name", _TEXT, id),
        family=row.family,
        releases={},
        sources=(FILE,),
        docker=_text(id, given, "docker", _PATH, row.directory(version)),
        suite=suite,
        engine=row.engine,
        needs=row.needs,
        parts=row.parts,
        example=version,
        ends=_day(id, given),
        like=f"{like} {version}",
    )


def _text(id: str, given: Map, key: str, form: re.Pattern[str], default: str | None = None) -> str:
    value = given.get(key, default)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, float):
        raise SpecError(
            "must be in quotes: as a number 22.10 is 22.1", where=given.where[key], key=f"{id}.{key}", hint=f'"{value}"'
        )
    if value == default and default is not None:
        return default
    if not isinstance(value, str) or not form.fullmatch(value):
        raise SpecError(f"needs {key}", where=given.where.get(key, given.here), key=f"{id}.{key}")
    return value


def _day(id: str, given: Map) -> str:
    value = given.get("support_ends", "")
    try:
        return value.isoformat() if isinstance(value, date) else value and date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        raise SpecError(
            f"{value!r} is not a date", where=given.where["support_ends"], key=f"{id}.support_ends", hint="2029-12-31"
        ) from None


def suggestion(id: str, version: str, codename: str, like: str, base: str, platform: str) -> str:
    """The line of ``distributions.yml`` for a host that is not in the table, from its os-release: ID_LIKE, the codename
    of its base, PLATFORM_ID (``platform:el9``). Empty when these values are not sufficient."""
    words = like.split(" ")
    known = [word for word in ("centos", *words) if word in words and any(row.id == word for row in rows())]
    if not known or not _ID.fullmatch(id):
        return ""
    for word in known:
        for row in rows():
            for name, release in row.releases.items():
                if row.id == word and release.codename and release.codename in (base, codename):
                    return _line(id, word, name)
    family = known[0]
    found = re.search(r"[0-9]+", platform.partition(":")[2])
    for guess in (found[0] if found else "", version.partition(".")[0]):
        if guess.isdigit() and find(family, guess) is not None and number(guess) <= number(newest(family).version):
            return _line(id, family, guess)
    return _line(id, family, newest(family).version)


def _line(id: str, like: str, version: str) -> str:
    plain = version if version.isdigit() else f'"{version}"'
    return f"{id}: {{like: {like}, version: {plain}}}"
