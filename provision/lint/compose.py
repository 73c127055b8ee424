"""Compose files: whether they are compose files, and whether they need files of the controller, which provision does
not send: the host gets the text and its variables only. docker makes an empty directory for a bind mount that is
missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from provision.errors import Where
from provision.lint.compose_projects import VARIABLE, Project, each, entries, source
from provision.lint.finding import Finding
from provision.lint.reading import texts
from provision.lint.rules import NAMES, finding
from provision.text.yamlfile import Map, Seq, nearest

_TOP, _SERVICE = NAMES["compose"], NAMES["compose service"]
_SHIP = "declare it in files, and name its absolute path on the host"
#: What begins a place that is not on the controller: an absolute path, a variable, a repository.
_ELSEWHERE = ("/", "$", "http://", "https://", "git@", "git://", "ssh://", "oci://", "docker-image://")


def lint(projects: list[Project]) -> Iterator[Finding]:
    for project in projects:
        for message, hint, where in _faults(project.whole):
            line = f" (line {where.line})" if where is not None and project.path is None else ""
            named = "" if project.path is not None and where is not None else f"compose.{project.name}: "
            yield finding("SP410", project.where(where), f"{named}{message}{line}", hint)
        yield from _variables(project)


def _variables(project: Project) -> Iterator[Finding]:
    """Variables without a value: compose takes an empty text for them, or refuses the file."""
    seen: set[str] = set()
    known = project.config.spec.compose[project.name].environment
    for text, where in texts(project.whole, project.declared):
        for dollar, name, sign, _, bare in VARIABLE.findall(text):
            word = name or bare
            if dollar or word in seen or word in known or sign in ("-", ":-", "+", ":+"):
                continue
            seen.add(word)
            refused = "compose refuses the file" if sign else "compose takes an empty text for it"
            message = f"compose.{project.name}: {word} has no value, and {refused}"
            hint = f"compose.{project.name}.environment: {{{word}: ...}}"
            yield finding("SP410", project.where(where), message, hint, "error" if sign else "warning")


_Fault = tuple[str, str, Where | None]


def _faults(whole: Map) -> Iterator[_Fault]:
    unknown = [key for key in whole if key not in _TOP and not key.startswith("x-")]
    for key in unknown:
        yield f"unknown key {key}", nearest(key, _TOP) or "a compose file has " + ", ".join(_TOP), whole.where[key]
    if not unknown and not whole.get("services") and not whole.get("include"):
        yield "a compose file needs services", "", None
    for place in each(whole.get("include"), whole.where.get("include")):
        yield from _paths("include", place, "path")
        yield from _paths("include.env_file", _inner(*place, "env_file"))
    for section in ("configs", "secrets"):
        for name, one, _ in entries(whole.get(section)):
            yield from _paths(f"{section}.{name}.file", (one.get("file"), one.where.get("file")))
    for name, one, here in entries(whole.get("volumes")):
        given = one.get("driver_opts")
        options = given if isinstance(given, Map) else Map()
        device = str(options.get("device") or "/")
        if "bind" in str(options.get("o")).split(",") and not device.startswith(("/", "$")):
            yield f"volumes.{name}: the host does not get {device}, a path of the controller", _SHIP, here
    sections = ("networks", "volumes", "secrets", "configs", "services")
    declared = {section: dict.fromkeys(_texts_in(whole.get(section))) for section in sections}
    for name, one, there in entries(whole.get("services")):
        yield from _service(f"services.{name}", one, there)
        if not whole.get("include"):
            yield from _undefined(f"services.{name}", one, declared)


def _texts_in(value: Any) -> Iterator[str]:
    """The names of a section, also of one that is a list by mistake."""
    yield from (name for name in value if isinstance(name, str)) if isinstance(value, (Map, Seq)) else ()


def _service(key: str, one: Map, here: Where) -> Iterator[_Fault]:
    unknown = [name for name in one if name not in _SERVICE and not name.startswith("x-")]
    for name in unknown:
        yield (
            f"{key}: unknown key {name}",
            nearest(name, _SERVICE) or "a key of compose-spec, or x-...",
            one.where[name],
        )
    if not unknown and not any(one.get(name) for name in ("image", "build", "extends", "provider")):
        yield f"{key} needs image", "", here
    build = one.get("build")
    context = build.get("context", ".") if isinstance(build, Map) else build
    if isinstance(context, str) and not context.startswith(_ELSEWHERE):
        hint = "build it by images: {NAME: {build: ...}}, and name the image here"
        yield f"{key}.build: the host does not get the directory {context}", hint, one.where["build"]
    for number, (volume, where) in enumerate(each(one.get("volumes"), one.where.get("volumes"))):
        place = source(volume)
        if isinstance(volume, Map):
            relative = volume.get("type") == "bind" and not place.startswith(("/", "$"))
        else:
            relative = place.startswith((".", "~"))
        if place and relative:
            yield f"{key}.volumes[{number}]: the host does not get {place}, a path of the controller", _SHIP, where
    for file in each(one.get("env_file"), one.where.get("env_file")):
        yield from _paths(f"{key}.env_file", file, "path", "write its variables in environment")
    for file in each(one.get("label_file"), one.where.get("label_file")):
        yield from _paths(f"{key}.label_file", file, "path")
    if isinstance(extends := one.get("extends"), Map):
        yield from _paths(f"{key}.extends.file", (extends.get("file"), extends.where.get("file")))


def _inner(value: Any, where: Where | None, key: str) -> tuple[Any, Where | None]:
    return (value.get(key), where) if isinstance(value, Map) else (None, where)


def _undefined(key: str, one: Map, declared: dict[str, dict[str, None]]) -> Iterator[_Fault]:
    """Names that the file uses and does not declare: compose refuses the whole project."""
    sources = [
        (source(volume), where)
        for volume, where in each(one.get("volumes"), one.where.get("volumes"))
        if not (isinstance(volume, Map) and volume.get("type") == "bind")
    ]
    volumes = [(name, where) for name, where in sources if name and not name.startswith(("/", ".", "~"))]
    for section, used in (
        ("networks", [*_names(one, "networks")]),
        ("volumes", volumes),
        ("secrets", [*_names(one, "secrets")]),
        ("configs", [*_names(one, "configs")]),
        ("services", [*_needed(one)]),
    ):
        for name, where in used:
            if name not in declared[section] and "$" not in name and (section, name) != ("networks", "default"):
                hint = nearest(name, declared[section]) or f"declare it in {section}"
                yield f"{key} uses {name}, which {section} does not have", hint, where


def _needed(one: Map) -> Iterator[tuple[str, Where | None]]:
    """The services that must exist: all that it depends on, but those with ``required: false``."""
    value = one.get("depends_on")
    for name, where in _names(one, "depends_on"):
        about = value.get(name) if isinstance(value, Map) else None
        if not isinstance(about, Map) or about.get("required") != "false":
            yield name, where


def _names(one: Map, key: str) -> Iterator[tuple[str, Where | None]]:
    """The names in a list of names or of mappings with a source, or the keys of a mapping."""
    value = one.get(key)
    if isinstance(value, Map):
        yield from ((name, value.where.get(name)) for name in value)
    else:
        for item, where in each(value, one.where.get(key)):
            name = item.get("source") if isinstance(item, Map) else item
            if isinstance(name, str):
                yield name, where


def _paths(key: str, place: tuple[Any, Where | None], part: str = "", hint: str = _SHIP) -> Iterator[_Fault]:
    """The paths of a value (text, a list, or a mapping that has them in ``part``) that are on the controller."""
    value, where = place
    for one, here in each(value.get(part), where) if isinstance(value, Map) else [(value, where)]:
        if isinstance(one, str) and one and not one.startswith(_ELSEWHERE):
            yield f"{key}: the host does not get the file {one}", hint, here
