"""The effect of a daemon.json on a given version of dockerd: values that it refuses, fails with, ignores, or accepts
with a drawback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from provision.engine.keys import NEWEST, Version, keys
from provision.errors import Where
from provision.lint import loose_json, shapes
from provision.lint.checks import CHECKS
from provision.lint.finding import Finding, Level
from provision.lint.reading import Target
from provision.lint.rules import finding
from provision.lint.values import values
from provision.text.yamlfile import Map, closest, locate, nearest


class _Flag(Struct, frozen=True):
    """``key`` is the name in daemon.json, or ``""``; ``since`` the first engine that has the flag."""

    key: str = ""
    since: Version = (0, 0)


#: Flags of dockerd's command line whose key in daemon.json has another name, or that have no key. dockerd looks up an
#: unknown key among its flags, so it accepts these names. It decodes the file by keys, so it ignores them (moby,
#: daemon/config/config.go, findConfigurationConflicts).
_FLAGS = {
    **{row.flag: _Flag(row.name, row.flag_since or row.since or (0, 0)) for row in keys().values() if row.flag},
    **dict.fromkeys(("config-file", "help", "restart", "version"), _Flag()),
    "validate": _Flag("", (23, 0)),
}


def lint_text(path: Path, text: str, engine: Version = NEWEST, *, packaged: bool = False) -> list[Finding]:
    """All faults of a daemon.json, broken files too, in the order of lines.

    ``packaged``: the packaged unit is known to start dockerd.
    """
    parsed = loose_json.parse(path, text)
    found = [
        finding(
            "DJ001", fault.where, f"column {fault.column}: {fault.message}", fault.hint, _fault_level(fault, engine)
        )
        for fault in parsed.faults
    ]
    for key, where, first in parsed.twice:
        message = f"{key} appears twice, first on line {first.line}; dockerd uses this one"
        found.append(finding("DJ002", where, message, level="warning"))
    if isinstance(parsed.value, Map):
        found += lint(parsed.value, Target(engine, packaged))
    elif not parsed.faults:
        # Go decodes null into every type.
        level: Level = "warning" if parsed.value is None else "error"
        found.append(finding("DJ003", Where(path, 1), "is not a JSON object", "{ and } around the keys", level))
    return sorted(found, key=lambda one: one.where.line)


def _fault_level(fault: loose_json.Fault, engine: Version) -> Level:
    """Engines before 23 stopped reading at the closing brace. Later engines accept an empty file as an empty object,
    and skip a byte order mark."""
    harmless = fault.kind == "rest" if engine < (23, 0) else fault.kind in ("empty", "mark")
    return "warning" if harmless else "error"


def lint(daemon: Map, target: Target) -> Iterator[Finding]:
    """The same for a daemon.json that is already parsed, from a spec for example."""
    sound = Map(here=daemon.here)
    for name, value in daemon.items():
        faults = list(_key(daemon, name, value, target.engine))
        yield from faults
        key = keys().get(name)
        if key is None or not key.known_to(target.engine) or any(fault.level == "error" for fault in faults):
            continue
        sound[name] = shapes.decoded(shapes.of(key), value) if key.read_by(target.engine) else None
        sound.where[name] = daemon.where[name]
    meant = _meant(daemon, sound, target.engine)
    for check in (values, *CHECKS):
        yield from check(meant, target)


def _meant(daemon: Map, sound: Map, engine: Version) -> Map:
    """The daemon.json with corrected names and texts. A misspelt key (gragh) gets the intended name, so that its value
    is still checked. A log option without quotes becomes the text that it should be."""
    options = daemon.get("log-opts")
    if "log-opts" not in sound and isinstance(options, Map):
        quoted = Map(
            (name, value if isinstance(value, str) else shapes.written(value)) for name, value in options.items()
        )
        quoted.where = options.where
        sound["log-opts"], sound.where["log-opts"] = quoted, daemon.where["log-opts"]
    for name, value in daemon.items():
        word = _meaning(name) if name not in keys() and name not in _FLAGS else None
        if word is not None and word not in daemon and shapes.fits(keys()[word], value, engine):
            sound[word] = shapes.decoded(shapes.of(keys()[word]), value)
            sound.where[word] = daemon.where[name]
    return sound


def _meaning(name: str) -> str | None:
    """The present key for a misspelt one; for a removed key its successor."""
    word = closest(name, keys())
    return keys()[word].instead if word is not None and keys()[word].instead in keys() else word


def _key(daemon: Map, name: str, value: Any, engine: Version) -> Iterator[Finding]:
    key, where = keys().get(name), daemon.where[name]
    if key is None:
        yield from _unknown(name, value, where, engine)
        return
    instead = f"use {key.instead}" if key.instead else ""
    flat = key.flat and (key.since is None or engine >= key.since)
    passes = isinstance(value, Map) and all(_passes(inner, engine) for inner in value)
    if not key.known_to(engine) and passes and not flat:
        # Such an object is flattened like that of an unknown key, so dockerd sees no unknown key.
        yield finding("DJ105", where, f"{name} has no effect in {_shown(engine)}", instead)
        return
    if key.until is not None and engine >= key.until and not (key.known_to(engine) and value in (None, "")):
        yield finding("DJ102", where, f"{name} was removed in {_shown(key.until)}", instead)
    elif key.since is not None and engine < key.since:
        message = f"{name} came with {_shown(key.since)}, and the engine is {_shown(engine)}"
        yield finding("DJ104", where, message)
    elif not key.read_by(engine):
        yield finding("DJ105", where, f"{name} has no effect")
    elif key.deprecated is not None and engine >= key.deprecated:
        yield finding("DJ103", where, f"{name} is deprecated", instead)
    if not key.known_to(engine):
        return
    for misfit in shapes.misfits(key, value, engine) if key.read_by(engine) else ():
        if not (misfit.ignored and name == "proxies"):  # dockerd refuses its fields below
            yield _misfit(daemon, name, misfit)
    if name == "proxies" and value is None:
        yield finding("DJ101", where, "proxies must be an object, not null")
    if name == "proxies" or not key.read_by(engine):
        yield from _flattened(name, value, engine)


def _misfit(daemon: Map, name: str, misfit: shapes.Misfit) -> Finding:
    place = locate(daemon, (name, *misfit.path)) or daemon.where[name]
    called = name + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in misfit.path)
    if misfit.ignored:
        hint = nearest(str(misfit.path[-1]), misfit.wanted.split(", ")) or f"known: {misfit.wanted}"
        return finding("DJ111", place, f"{called} is not known, and dockerd ignores it", hint)
    if misfit.unknown:
        return finding("DJ110", place, f"{called} is not known", f"known: {misfit.wanted}")
    if misfit.right:
        return finding("DJ110", place, f"{called} must be {misfit.wanted}: {misfit.right}")
    return finding("DJ110", place, f"{called} must be {misfit.wanted}, not {shapes.written(misfit.value)}")


def _flattened(name: str, value: Any, engine: Version) -> Iterator[Finding]:
    """moby treats the members of an object as keys of their own, unless the object is one of a few (flatOptions)."""
    for inner in value if isinstance(value, Map) else ():
        if not _passes(inner, engine):
            hint = nearest(inner, _PROXIES) or ", ".join(_PROXIES) if name == "proxies" else nearest(inner, keys())
            yield finding("DJ101", value.where[inner], f"unknown key {name}.{inner}", hint)


def _unknown(name: str, value: Any, where: Where, engine: Version) -> Iterator[Finding]:
    if name in _PROXIES and engine >= (23, 0):
        yield finding("DJ105", where, f"{name} has no effect here", f'write "proxies": {{"{name}": …}}')
        yield from _flattened(name, value, engine)
        return
    if isinstance(value, Map):
        # moby flattens objects before it looks for unknown keys, and decodes without flattening.
        unknown = [inner for inner in value if not _passes(inner, engine)]
        if not unknown:
            yield finding("DJ105", where, f"{name} is not a key, and its content has no effect", "remove the braces")
            return
        if any(_passes(inner, engine) for inner in value):
            for inner in unknown:
                yield finding("DJ101", value.where[inner], f"unknown key {inner} in {name}", nearest(inner, keys()))
            return
    flag = _FLAGS.get(name)
    if flag is not None and flag.since <= engine and not isinstance(value, Map):
        hint = f"the key is {flag.key}" if flag.key else "remove it"
        yield finding("DJ105", where, f"{name} is a command line flag: in the file it has no effect", hint)
        return
    if flag is not None and flag.key:
        yield finding("DJ101", where, f"unknown key {name}", f"the key is {flag.key}")
        return
    hint = nearest(name, keys())
    meant = _meaning(name)
    if meant is not None and meant != closest(name, keys()):
        hint = f'{hint.rstrip("?")}, now "{meant}"?'
    plain = plain_key(name)
    yield finding("DJ101", where, f"unknown key {name}", f'write "{plain}"' if plain in keys() else hint or "")


_PROXIES = ("http-proxy", "https-proxy", "no-proxy")


def _passes(name: str, engine: Version) -> bool:
    """True if moby knows a name that it treats as a key of its own, although it is inside an object."""
    if name in _PROXIES:
        return engine >= (23, 0)
    flag = _FLAGS.get(name)
    if flag is not None:
        return flag.since <= engine
    return name in keys() and keys()[name].known_to(engine) and name != "proxies"


def plain_key(name: str) -> str:
    """A key in dockerd's spelling: lower case, hyphens, no blanks around it."""
    return name.strip(" ").lower().replace("_", "-")


def _shown(version: Version) -> str:
    return ".".join(map(str, version))
