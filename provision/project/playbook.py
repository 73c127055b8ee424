"""A playbook: a list of plays, each of which gives a spec to a pattern of hosts."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from provision import limits
from provision.engine.keys import Key, keys
from provision.errors import SpecError, Where
from provision.project.rollout_options import RolloutOptions
from provision.secrets.secret import holds
from provision.spec import Spec
from provision.spec.validate import validate
from provision.text.yaml_hints import wide
from provision.text.yamlfile import Map, Reader, Seq, check_names, closest, load, nearest

_KEYS = ("name", "hosts", "spec", "vars", "verify", "rollout")
#: Keys of plays that only Ansible has (ansible.playbook.play.Play).
_ANSIBLE = frozenset(
    (
        *("tasks", "pre_tasks", "post_tasks", "handlers", "roles", "become", "become_user", "become_method"),
        *("gather_facts", "vars_files", "vars_prompt", "import_playbook", "ansible.builtin.import_playbook"),
        *("remote_user", "connection", "collections", "strategy", "environment", "serial"),
    )
)
_FROM_ANSIBLE = "docs/start/from-ansible.md shows how to write it as a spec"


class Play(Struct, frozen=True):
    """``slug`` is the name in characters that a file name may have: manifests and drop-ins on the hosts have it in
    their names. ``verify`` are the user's own testinfra tests (files and directories). ``rollout`` says how the hosts
    are processed."""

    name: str
    slug: str
    hosts: str
    spec: Map
    vars: Map
    verify: tuple[Path, ...]
    where: Where
    hosts_where: Where
    rollout: RolloutOptions | None = None


def read_playbook(path: Path) -> tuple[list[Play], list[SpecError]]:
    """The plays of ``path``, and the faults. A play with faults is in the list without what is wrong, unless its name,
    hosts or spec are. Raises :class:`SpecError` for a file that is not a playbook."""
    if not limits.check(path).exists():
        hint = "give one as the argument, or write one with `provision init`"
        if path.suffix not in (".yml", ".yaml") and path.name == str(path):
            hint = f"hosts are selected by -l {path}; {hint}"
        raise SpecError(f"no such playbook: {path}", hint=hint)
    data = load(path, reader=Reader())
    if not isinstance(data, Seq):
        raise SpecError("a playbook is a list of plays", where=Where(path, 1), hint='each begins with "- name:"')
    faults: list[SpecError] = []
    plays: list[Play] = []
    by_slug: dict[str, Play] = {}
    for index, item in enumerate(data):
        play = _play(item, data.where[index], f"[{index}]", path.parent, faults)
        if play is None:
            continue
        first = by_slug.setdefault(play.slug, play)
        if first is play:
            plays.append(play)
            continue
        faults.append(
            SpecError(
                f"two plays of one name ({first.name!r} on line {first.where.line})",
                where=play.where,
                key="name",
                hint="a host records what a play made under the play's name",
            )
        )
    return plays, faults


def _play(item: Any, where: Where, key: str, folder: Path, faults: list[SpecError]) -> Play | None:
    if not isinstance(item, Map):
        faults.append(SpecError("a play is a mapping", where=where, key=key))
        return None
    try:
        check_names(item, key)
        if isinstance(item.get("vars"), Map):
            check_names(item["vars"], f"{key}.vars")
    except SpecError as error:
        faults.append(error)
        return None
    if foreign := [part for part in item if part in _ANSIBLE]:
        message = f"this is a playbook of Ansible: provision has no {foreign[0]}"
        faults.append(SpecError(message, where=item.where[foreign[0]], key=f"{key}.{foreign[0]}", hint=_FROM_ANSIBLE))
        return None
    meant = {closest(part, _KEYS) for part in item if part not in _KEYS}
    for part in item:
        if part not in _KEYS:
            hint = nearest(part, _KEYS) or "a play has " + ", ".join(_KEYS)
            faults.append(SpecError("unknown key", where=item.where[part], key=f"{key}.{part}", hint=hint))
    for part in ("name", "hosts", "spec"):
        if item.get(part) is None and part not in meant:
            faults.append(SpecError(f"a play needs {part}", where=where, key=key))
    for part in ("name", "hosts", "verify"):
        if holds(f"{item.get(part)}"):
            message = "does not accept a secret: plans and logs would show it"
            faults.append(SpecError(message, where=item.where[part], key=f"{key}.{part}"))
    name, hosts = item.get("name"), item.get("hosts")
    if isinstance(hosts, Seq) and all(isinstance(part, str) for part in hosts):
        hosts = ",".join(hosts)
    for part, value in (("name", name), ("hosts", hosts)):
        if value is not None and not (isinstance(value, str) and value.strip()):
            faults.append(SpecError("must be text", where=item.where[part], key=f"{key}.{part}"))
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") if isinstance(name, str) else ""
    if isinstance(name, str) and name.strip() and not slug:
        message = "needs a letter a-z or a digit: its record on the hosts is named by these"
        faults.append(SpecError(message, where=item.where["name"], key=f"{key}.name"))
    for part in ("spec", "vars", "rollout"):
        if not isinstance(item.get(part, Map()), Map) and not (part == "spec" and item[part] is None):
            faults.append(
                SpecError("must be a mapping", where=item.where[part], key=f"{key}.{part}", hint=wide(item[part]))
            )
    spec, variables = item.get("spec"), item.get("vars") or Map()
    if not (slug and isinstance(name, str) and isinstance(hosts, str) and isinstance(spec, Map)):
        return None
    if not isinstance(variables, Map):
        return None
    tests: tuple[Path, ...] = ()
    rollout_options = None
    try:
        tests = _tests(item, key, folder)
    except SpecError as error:
        faults.append(error)
    try:
        if isinstance(item.get("rollout"), Map):
            rollout_options = validate(RolloutOptions, item["rollout"], f"{key}.rollout")
    except SpecError as error:
        faults.append(error)
    return Play(name, slug, hosts, spec, variables, tests, where, item.where["hosts"], rollout_options)


def _tests(item: Map, key: str, folder: Path) -> tuple[Path, ...]:
    """The user's own tests: one path or a list of paths, relative to the playbook's directory."""
    given = item.get("verify")
    if given is None:
        return ()
    words = given if isinstance(given, Seq) else [given]
    found = []
    for word in words:
        if not isinstance(word, str) or not word.strip():
            raise SpecError("must be a path or a list of paths", where=item.where["verify"], key=f"{key}.verify")
        path = (folder / word).resolve()
        if not limits.check(path).exists():
            raise SpecError(
                f"no such tests: {word}",
                where=item.where["verify"],
                key=f"{key}.verify",
                hint=f"a file or directory next to {folder or '.'}/",
            )
        found.append(path)
    return tuple(found)


class _Schema(Struct):
    playbook: dict[str, Any]
    template: dict[str, Any]
    types: dict[str, dict[str, Any]]


@cache
def _schema() -> _Schema:
    return msgspec.yaml.decode(Path(__file__).with_name("schema.yml").read_bytes(), type=_Schema)


def playbook_schema() -> dict[str, Any]:
    """JSON Schema 2020-12. Where a spec needs a number, a list or a mapping, a template is allowed too."""
    spec = Spec.model_json_schema()
    definitions = {name: _templated(model) for name, model in spec.pop("$defs").items()}
    definitions["Spec"] = _templated(spec)
    daemon = definitions["Engine"]["properties"]["daemon"]
    daemon["anyOf"] = [_daemon() if one.get("type") == "object" else one for one in daemon["anyOf"]]
    rollout_options = RolloutOptions.model_json_schema()
    definitions |= rollout_options.pop("$defs")
    definitions["RolloutOptions"] = rollout_options
    return {**_schema().playbook, "$defs": definitions}


def _daemon() -> dict[str, Any]:
    """daemon.json, with the keys of every engine that provision knows."""
    properties = {name: {"anyOf": [_typed(key), _schema().template, {"type": "null"}]} for name, key in keys().items()}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _typed(key: Key) -> dict[str, Any]:
    if isinstance(key.type, tuple):
        return {"enum": ["", *key.type]}
    return _schema().types.get(key.type, {"type": "string"})


def _templated(schema: dict[str, Any]) -> dict[str, Any]:
    properties = {name: _or_template(value) for name, value in schema.get("properties", {}).items()}
    return {**schema, "properties": properties}


def _or_template(schema: dict[str, Any]) -> dict[str, Any]:
    if schema.get("type") == "string" and "enum" not in schema:
        return schema
    about: dict[str, Any] = {key: schema[key] for key in ("description", "default", "title") if key in schema}
    rest = {key: value for key, value in schema.items() if key not in about}
    options = rest.pop("anyOf") if set(rest) == {"anyOf"} else [rest]
    return {**about, "anyOf": [*options, _schema().template]}
