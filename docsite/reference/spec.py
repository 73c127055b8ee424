"""Every key of a spec and of a rollout, from the pydantic models that check them: types, defaults, bounds, examples."""

from __future__ import annotations

import types
import typing
from typing import Any

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import AfterValidator, BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from docsite.reference.tables import anchor, code, prose, table
from provision.project import rollout_options
from provision.project.rollout_options import RolloutOptions, Share
from provision.spec import Spec, values
from provision.spec.secrets import TakesSecret
from provision.spec.system import Packages

#: A value of each type that has rules of its own. If a type refuses its value, the page is not made.
EXAMPLES: dict[str, Any] = {
    "AbsolutePath": "/etc/motd",
    "Address": "10.5.0.1",
    "Argv": "nginx -g 'daemon off;'",
    "Bind": "data:/var/lib/app:ro",
    "Calendar": "daily",
    "Capability": "NET_ADMIN",
    "Cidr": "10.5.0.0/16",
    "Content": "max_connections = 100",
    "Digest": f"sha256:{'0123456789abcdef' * 4}",
    "Duration": "1m30s",
    "Fingerprints": "9DC8 5822 9FC7 DD38 854A E2D8 8D81 803C 0EBF CD88",
    "HostName": "registry.example.com",
    "ImageName": "registry.example:5000/team/app:1.2",
    "Label": "com.example.team",
    "Line": "Deployment account",
    "LongerName": "app",
    "MachineName": "web1.example.com",
    "Mode": "0644",
    "ModuleName": "br_netfilter",
    "NoProxy": ".example.com",
    "ObjectName": "backend",
    "Option": "max-size",
    "PackageName": "curl",
    "Packages": ["curl", "jq"],
    "Pem": "registry-ca.pem",
    "Port": "127.0.0.1:8080:80",
    "Portion": "10%",
    "PrivateKey": "client.key",
    "ProjectName": "shop",
    "ProxyUrl": "http://proxy.example.com:3128",
    "RegistryHost": "registry.example:5000",
    "RepositoryName": "backports",
    "Size": "64m",
    "SysctlKey": "net.ipv4.ip_forward",
    "SysctlValue": 1,
    "Text": "info",
    "Tmpfs": "/run:size=64m",
    "UnitName": "docker",
    "Url": "https://mirrors.aliyun.com/docker-ce",
    "UserName": "deploy",
    "Value": "production",
    "Variable": "APP_ENV",
    "Version": "26.1.5",
    "Word": "stable",
}
#: Types with rules of their own for which the page can show no example.
NO_EXAMPLE = {"SecretText": "a value tagged `!secret`"}

_ALIASES = {
    **{name: kind for name, kind in vars(values).items() if typing.get_origin(kind) is typing.Annotated},
    "Packages": Packages,
    "Portion": rollout_options.Portion,
}
_WORDS = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "`true` or `false`",
    types.NoneType: "none",
    Any: "any value",
}

_HEAD = """\
# Every key of the spec

Made from the models that check a spec (`provision schema` prints the same as JSON Schema). The prose that explains the
keys is in [Playbooks and the spec](../spec.md), [Registries, images, containers](../containers.md) and
[Rollouts](../rollout.md). A value may also be a template, which is rendered before it is checked. "Not declared" means
that provision leaves the thing as the host has it.

"""


def page() -> str:
    models: dict[str, type[BaseModel]] = {}
    _collect(Spec, models)
    _collect(RolloutOptions, models)
    parts = [_model(name, model) for name, model in models.items()]
    return _HEAD + "\n".join(parts) + "\n" + _types()


def _collect(model: type[BaseModel], into: dict[str, type[BaseModel]]) -> None:
    into.setdefault(title(model), model)
    for kind in typing.get_type_hints(model, include_extras=True).values():
        for other in _models(kind):
            if title(other) not in into:
                _collect(other, into)


def title(model: type[BaseModel]) -> str:
    """The heading of a model. For ``Spec`` it is the key of a play whose value it is."""
    if model is RolloutOptions:
        return "rollout"
    return "spec" if model is Spec else model.__name__


def _models(kind: Any) -> list[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    return [model for part in typing.get_args(kind) for model in _models(part)]


def _model(name: str, model: type[BaseModel]) -> str:
    hints = typing.get_type_hints(model, include_extras=True)
    rows = [
        (code(key), shown(hints[key], field.metadata), _default(field), field.description or "")
        for key, field in model.model_fields.items()
    ]
    about = prose(model.__doc__ or "")
    head = f"## {name}\n\n" + (f"{about}\n\n" if about else "")
    return head + table(("key", "type", "default", "meaning"), rows)


def shown(kind: Any, metadata: typing.Sequence[Any] = ()) -> str:
    """A type in words, with links to models and to types that have rules of their own."""
    for name, alias in _ALIASES.items():
        if kind == alias:
            return f"[{name}](#{anchor(name)})"
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        # For a type of only one key, the page shows its rule.
        rule = _rule(kind) if any(isinstance(one, AfterValidator) for one in parts[1:]) else ""
        return rule or shown(parts[0], parts[1:])
    if origin is typing.Literal:
        return ", ".join(code(str(one)) for one in parts)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(shown(one, metadata) for one in parts if one is not types.NoneType))
    if origin is list:
        least = next((one.min_length for one in _flat(metadata) if isinstance(one, MinLen)), 0)
        return f"list of {shown(parts[0])}" + (f" ({least} or more)" if least else "")
    if origin is dict:
        return f"mapping: {shown(parts[0])} to {shown(parts[1])}"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return f"[{title(kind)}](#{anchor(title(kind))})"
    return _WORDS[kind] + _bounds(metadata)


def _flat(metadata: typing.Sequence[Any]) -> list[Any]:
    return [one for each in metadata for one in (each.metadata if isinstance(each, FieldInfo) else [each])]


def _bounds(metadata: typing.Sequence[Any]) -> str:
    metadata = _flat(metadata)
    least = next((one.ge for one in metadata if isinstance(one, Ge)), None)
    most = next((one.le for one in metadata if isinstance(one, Le)), None)
    above = next((one.gt for one in metadata if isinstance(one, Gt)), None)
    if above is not None:
        return f", above {above}"
    if most is not None:
        return f", {least} to {most}"
    return f", {least} or more" if least is not None else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined:
        return "not declared"
    if isinstance(value, BaseModel):
        return "its defaults"
    if isinstance(value, bool):
        return code(str(value).lower())
    if isinstance(value, list):
        return code(f"[{', '.join(map(_plain, value))}]")
    return code(_plain(value))


def _plain(value: Any) -> str:
    if isinstance(value, Share):
        return f"{value.amount}{'%' if value.percent else ''}"
    return str(value)


def _types() -> str:
    text = (
        "## Types of values\n\nA value of another form is an error with file, line and key, before a host is touched.\n"
    )
    for name in sorted(set(_ALIASES) - {"Fingerprint"}):  # the page shows it as Fingerprints
        alias = _ALIASES[name]
        rule = _RULES.get(name) or _rule(alias)
        words = [f"{rule[:1].upper()}{rule[1:]}."] if rule else []
        words.append(f"Example: {NO_EXAMPLE.get(name) or code(_example(name, alias))}.")
        if any(isinstance(one, TakesSecret) for one in typing.get_args(alias)):
            words.append("Takes a secret.")
        text += f"\n### {name}\n\n{' '.join(words)}\n"
    return text


def _example(name: str, alias: Any) -> str:
    value = EXAMPLES[name]
    TypeAdapter(alias).validate_python(value)
    return str(value) if not isinstance(value, list) else f"[{', '.join(value)}]"


#: A value that every type with rules refuses: the error message describes the type.
_WRONG = "\x01"


#: Types whose error message names only a part of what they accept.
_RULES = {
    "Packages": "A list of names; or a mapping of names to a version, to `absent`, or to a [Package](#package)",
    "ProxyUrl": "An http:// or https:// URL; a password in it must be a secret",
    "Tmpfs": "A path in the container, and mount options (tmpfs(5)) after a colon",
}


def _rule(alias: Any) -> str:
    """The rule of a type, in the words of its own error message."""
    try:
        TypeAdapter(alias).validate_python(_WRONG)
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        for before in (f"{_WRONG!r} is not ", f"{_WRONG} is not "):
            message = message.removeprefix(before)
        return message.replace(f", not {_WRONG!r}", "").replace(f"{_WRONG!r} ", "")
    return ""
