"""Compose files: whether they are compose files, and whether they need files of the controller, which provision does
not send: the host gets the text and its variables only. docker makes an empty directory for a bind mount that is
missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from provision.errors import SpecError, Where
from provision.lint.finding import Finding
from provision.lint.rules import finding
from provision.project import compose_file
from provision.project.host_config import Context, HostConfig
from provision.text.yamlfile import Map, Seq, locate, nearest, untyped

#: The top keys of a compose file (compose-spec, 00-overview.md ff.), besides extensions (``x-...``).
_TOP = ("name", "services", "networks", "volumes", "configs", "secrets", "include", "models", "version")
_SHIP = "declare it in files, and name its absolute path on the host"
#: What begins a place that is not on the controller: an absolute path, a variable, a repository.
_ELSEWHERE = ("/", "$", "http://", "https://", "git@", "git://", "ssh://", "oci://", "docker-image://")


def lint(configs: list[HostConfig], context: Context) -> Iterator[Finding]:
    for config in configs:
        for name, one in config.spec.compose.items():
            if not one.absent:
                yield from _project(config, context, name)


def _project(config: HostConfig, context: Context, name: str) -> Iterator[Finding]:
    one = config.spec.compose[name]
    key = next(source for source in ("content", "template", "src") if getattr(one, source) is not None)
    declared = locate(config.source, ("compose", name, key))
    path = context.find(one.src) if one.src is not None else None
    if declared is None:
        return
    try:
        whole = untyped(path or Path(f"compose.{name}"), compose_file.text(config, context, name).decode())
    except (SpecError, UnicodeDecodeError) as error:
        reason = f"{error.message} (line {error.where.line})" if isinstance(error, SpecError) and error.where else error
        yield finding("SP410", declared, f"compose.{name} is not a compose file: {reason}")
        return
    for message, hint, where in _faults(whole):
        # A file has its own lines; a text in the spec or a template has its line in the message.
        if path is not None and where is not None:
            yield finding("SP410", Where(path, where.line), message, hint)
        else:
            line = f" (line {where.line})" if where is not None else ""
            yield finding("SP410", declared, f"compose.{name}: {message}{line}", hint)


_Fault = tuple[str, str, Where | None]


def _faults(whole: Any) -> Iterator[_Fault]:
    if not isinstance(whole, Map):
        yield "a compose file is a mapping with services", "", None
        return
    unknown = [key for key in whole if key not in _TOP and not key.startswith("x-")]
    for key in unknown:
        yield f"unknown key {key}", nearest(key, _TOP) or "a compose file has " + ", ".join(_TOP), whole.where[key]
    if not unknown and not whole.get("services") and not whole.get("include"):
        yield "a compose file needs services", "", None
    for place in _each(whole.get("include"), whole.where.get("include")):
        yield from _paths("include", place, "path")
    for section in ("configs", "secrets"):
        for name, one, _ in _entries(whole.get(section)):
            yield from _paths(f"{section}.{name}.file", (one.get("file"), one.where.get("file")))
    for name, one, _ in _entries(whole.get("services")):
        yield from _service(f"services.{name}", one)


def _service(key: str, one: Map) -> Iterator[_Fault]:
    build = one.get("build")
    context = build.get("context", ".") if isinstance(build, Map) else build
    if isinstance(context, str) and not context.startswith(_ELSEWHERE):
        hint = "build it by images: {NAME: {build: ...}}, and name the image here"
        yield f"{key}.build: the host does not get the directory {context}", hint, one.where["build"]
    for number, (volume, where) in enumerate(_each(one.get("volumes"), one.where.get("volumes"))):
        if isinstance(volume, Map):
            source = volume.get("source", volume.get("src")) if volume.get("type") == "bind" else None
            bind = isinstance(source, str) and not source.startswith(("/", "$"))
        else:
            source = str(volume).split(":", 1)[0]
            bind = ":" in str(volume) and source.startswith((".", "~"))
        if bind:
            yield f"{key}.volumes[{number}]: the host does not get {source}, a path of the controller", _SHIP, where
    for place in _each(one.get("env_file"), one.where.get("env_file")):
        yield from _paths(f"{key}.env_file", place, "path", "write its variables in environment")
    for place in _each(one.get("label_file"), one.where.get("label_file")):
        yield from _paths(f"{key}.label_file", place, "path")
    if isinstance(extends := one.get("extends"), Map):
        yield from _paths(f"{key}.extends.file", (extends.get("file"), extends.where.get("file")))


def _paths(key: str, place: tuple[Any, Where | None], part: str = "", hint: str = _SHIP) -> Iterator[_Fault]:
    """The paths of a value (text, a list, or a mapping that has them in ``part``) that are on the controller."""
    value, where = place
    for one, here in _each(value.get(part), where) if isinstance(value, Map) else [(value, where)]:
        if isinstance(one, str) and one and not one.startswith(_ELSEWHERE):
            yield f"{key}: the host does not get the file {one}", hint, here


def _each(value: Any, where: Where | None) -> Iterator[tuple[Any, Where | None]]:
    """The items of a list, or the single value."""
    if isinstance(value, Seq):
        yield from zip(value, value.where, strict=True)
    elif value is not None:
        yield value, where


def _entries(section: Any) -> Iterator[tuple[str, Map, Where]]:
    if isinstance(section, Map):
        for name, one in section.items():
            if isinstance(one, Map):
                yield name, one, section.where[name]
