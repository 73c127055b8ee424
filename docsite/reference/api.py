"""The Python API: what a fabfile or a program of an operator's may import, from signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from typing import Any

import provision.errors
import provision.load
import provision.tasks
import provision.transport.ssh
from docsite.reference.tables import prose

#: The entries of the page, in this order. Names that are not on the page may change in any version.
API: tuple[tuple[Any, str], ...] = (
    (provision.load, "load"),
    (provision.load, "Loaded"),
    (provision.load, "Logins"),
    (provision.tasks, "look"),
    (provision.tasks, "fix"),
    (provision.tasks, "apply"),
    (provision.tasks, "Changing"),
    (provision.transport.ssh, "HostError"),
    (provision.errors, "ProvisionError"),
    (provision.errors, "UsageError"),
    (provision.errors, "SpecError"),
)

_HEAD = """\
# Python API

provision's tasks are [fabric](https://www.fabfile.org) tasks: a fabfile can use them on hosts of its own. A look is one
exec, a fix one transaction on the host.

```python
from fabric import task
from provision.load import load
from provision.tasks import apply


@task
def docker(c):
    apply(c, *load("inventory", "playbooks/site.yml").for_host(c.original_host))
```

"""


def page() -> str:
    return _HEAD + "\n".join(_entry(module, name) for module, name in API)


def _entry(module: Any, name: str) -> str:
    thing = getattr(module, name)
    text = f"## {module.__name__}.{name}\n\n```python\n{_signature(name, thing)}\n```\n"
    if doc := _doc(thing):
        text += f"\n{prose(doc)}\n"
    if inspect.isclass(thing):
        for method, function in vars(thing).items():
            if inspect.isfunction(function) and not method.startswith("_"):
                text += f"\n```python\n{_signature(f'{name}.{method}', function)}\n```\n"
                if doc := _doc(function):
                    text += f"\n{prose(doc)}\n"
    return text


def _doc(thing: Any) -> str:
    """The thing's own docstring, not that of a base class."""
    return inspect.cleandoc(vars(thing).get("__doc__") or getattr(_function(thing), "__doc__", "") or "")


def _function(thing: Any) -> Any:
    """The function of a fabric task; ``None`` for a class; all other things unchanged."""
    return None if inspect.isclass(thing) else getattr(thing, "body", thing)


def _signature(name: str, thing: Any) -> str:
    if inspect.isclass(thing) and issubclass(thing, BaseException) and "__init__" not in vars(thing):
        return f"class {name}({thing.__mro__[1].__name__})"
    signature = inspect.signature(_function(thing) or thing)
    parts, star = [], False
    for one in signature.parameters.values():
        if one.kind is one.KEYWORD_ONLY and not star and not inspect.isclass(thing):
            parts.append("*")
            star = True
        if one.name != "self":
            parts.append(_parameter(one))
    inner = ", ".join(parts)
    if len(inner) > 80:
        inner = "\n" + "".join(f"    {part},\n" for part in parts)
    if inspect.isclass(thing):
        return f"class {name}({inner})"
    return f"def {name}({inner}) -> {_type(signature.return_annotation)}"


def _parameter(parameter: inspect.Parameter) -> str:
    stars = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
    text = f"{stars}{parameter.name}"
    if parameter.annotation is not parameter.empty:
        text += f": {_type(parameter.annotation)}"
    default = parameter.default
    if default is parameter.empty:
        return text
    if default is None or isinstance(default, (str, int, float)):
        return f"{text} = {default!r}"
    return f"{text} = {getattr(default, '__name__', f'{type(default).__name__}()')}"


def _type(annotation: Any) -> str:
    """A type as in the source, without the names of modules."""
    text = (
        annotation.__name__ if isinstance(annotation, type) and not hasattr(annotation, "__args__") else str(annotation)
    )
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Z])", "", text)
