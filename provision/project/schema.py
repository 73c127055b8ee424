"""The JSON Schema of a playbook, from the same models that check it."""

from __future__ import annotations

from typing import Any

from provision.engine.keys import Key, keys
from provision.project.rollout_options import RolloutOptions
from provision.spec import Spec

_TEMPLATE = {"type": "string", "pattern": r"\{\{|\{%", "description": "a jinja2 template"}
#: A type of the table of daemon.json's keys -> its JSON Schema; every other type is text.
_TYPES: dict[str, dict[str, Any]] = {
    "bool": {"type": "boolean"},
    "int": {"type": "integer"},
    **{name: {"type": "array", "items": {"type": "string"}} for name in ("texts", "addresses", "urls")},
    "objects": {"type": "array", "items": {"type": "object"}},
    "object": {"type": "object"},
    "table": {"type": "object", "additionalProperties": {"type": "string"}},
    "switches": {"type": "object", "additionalProperties": {"anyOf": [{"type": "boolean"}, _TEMPLATE]}},
}


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
    play = {
        "type": "object",
        "required": ["name", "hosts", "spec"],
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string", "description": "The play's name; a host records what the play made under it."},
            "hosts": {
                "description": "Ansible's host pattern.",
                "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
            },
            "vars": {"type": "object"},
            "spec": {"$ref": "#/$defs/Spec"},
            "rollout": {"$ref": "#/$defs/RolloutOptions"},
            "verify": {
                "description": "The user's own testinfra tests: files or directories next to the playbook.",
                "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
            },
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "provision playbook",
        "type": "array",
        "items": play,
        "$defs": definitions,
    }


def _daemon() -> dict[str, Any]:
    """daemon.json, with the keys of every engine that provision knows."""
    properties = {name: {"anyOf": [_typed(key), _TEMPLATE, {"type": "null"}]} for name, key in keys().items()}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _typed(key: Key) -> dict[str, Any]:
    if isinstance(key.type, tuple):
        return {"enum": ["", *key.type]}
    return _TYPES.get(key.type, {"type": "string"})


def _templated(schema: dict[str, Any]) -> dict[str, Any]:
    properties = {name: _or_template(value) for name, value in schema.get("properties", {}).items()}
    return {**schema, "properties": properties}


def _or_template(schema: dict[str, Any]) -> dict[str, Any]:
    if schema.get("type") == "string" and "enum" not in schema:
        return schema
    about: dict[str, Any] = {key: schema[key] for key in ("description", "default", "title") if key in schema}
    rest = {key: value for key, value in schema.items() if key not in about}
    options = rest.pop("anyOf") if set(rest) == {"anyOf"} else [rest]
    return {**about, "anyOf": [*options, _TEMPLATE]}
