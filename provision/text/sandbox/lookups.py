"""``lookup('env', NAME)`` and ``lookup('file', PATH)``, as in Ansible. Any other lookup is refused by its name.

Two kinds of values are secrets, so the template gets a token: a variable of the environment whose name says that it is
secret, and a file with a private key or of Ansible Vault. A project that is only linted reads neither the environment
nor a file outside of it, because the output shows the results of its templates.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import jinja2
import jinja2.runtime

from provision import limits
from provision.errors import SpecError, Where
from provision.secrets import secret
from provision.text.sandbox.bounds import Refused, blind, step

_STEPS = 1000
#: The name of a secret, unless it names a place or a person.
_SECRET_NAME = re.compile(
    r"(?!.*_(?:PATH|FILE|DIR|FOLDER|USER|NAME|ID|HOST|PORT)$).*(?:PASS|PWD$|SECRET|TOKEN|KEY|CREDENTIAL|PRIVATE|AUTH)",
    re.IGNORECASE,
)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_HINT = "env and file are there; a secret is declared by !secret {env: NAME} or !secret {file: PATH}"
_TRUST = "`provision lint --trusted` does"


@jinja2.pass_context
def lookup(context: jinja2.runtime.Context, name: str, *terms: Any, **options: Any) -> Any:
    """The value of each term, joined by commas. A secret variable that the environment does not have is undefined, so
    that ``default`` can replace it. Raises :class:`Refused`."""
    step(_STEPS)
    blind("lookup", name, *terms, *options.values())
    kind = str(name).removeprefix("ansible.builtin.")
    if kind not in ("env", "file"):
        raise Refused(f"the lookup {name!r} is not supported", _HINT)
    known = ("default",) if kind == "env" else ("rstrip", "lstrip")
    if unknown := [option for option in options if option not in known]:
        raise Refused(f"lookup('{kind}') takes no {unknown[0]}", f"it takes {', '.join(known)}")
    if not terms:
        raise Refused(f"lookup('{kind}') needs a name")
    scope = context.parent.get("__scope__")
    raw = scope.raw if scope is not None else {}
    if kind == "file":
        return ",".join(_file(str(term), raw, options) for term in terms)
    for term in map(str, terms):
        if term not in os.environ and _SECRET_NAME.match(term) and "default" not in options and not limits.confined():
            return context.environment.undefined(hint=f"the environment variable {term} is not set")
    return ",".join(_env(str(term), options) for term in terms)


def _env(name: str, options: dict[str, Any]) -> str:
    if limits.confined():
        raise Refused(f"lookup('env', '{name}'): the environment is not read for a project that is not trusted", _TRUST)
    if name not in os.environ:
        return str(options.get("default", ""))
    if _SECRET_NAME.match(name):
        return secret.declare(name, {"env": name}, Where(Path("environment"), 1))
    return os.environ[name]


def _file(name: str, raw: Any, options: dict[str, Any]) -> str:
    places = [Path(str(raw[key])) for key in ("playbook_dir", "inventory_dir") if key in raw]
    path = _found(Path(name).expanduser(), places)
    if path is None:
        if limits.confined() and not any(limits.inside(place / name) for place in places):
            raise Refused(
                f"lookup('file', '{name}'): a project that is not trusted may read only its own files", _TRUST
            )
        raise Refused(
            f"lookup('file', '{name}'): no such file", f"looked in {', '.join(map(str, places)) or 'no folder'}"
        )
    if limits.confined() and not any(path.resolve().is_relative_to(place.resolve()) for place in places):
        raise Refused(f"lookup('file', '{name}'): a project that is not trusted may read only its own files", _TRUST)
    try:
        text = limits.text(path)
        if text.startswith(secret.VAULT):
            return secret.vaulted(path.name, text, Where(path, 1))
    except SpecError as error:
        raise Refused(f"lookup('file', '{name}'): {error.message}", error.hint) from error
    if _PRIVATE_KEY.search(text):
        return secret.declare(path.name, {"file": str(path.resolve())}, Where(path, 1))
    text = text.rstrip() if options.get("rstrip", True) else text
    return text.lstrip() if options.get("lstrip", False) else text


def _found(path: Path, places: list[Path]) -> Path | None:
    """Searches as Ansible does: in ``files/`` next to the playbook, next to the playbook, next to the inventory."""
    if path.is_absolute():
        return path if path.is_file() else None
    tried = [folder / path for place in places for folder in (place / "files", place)]
    return next((one for one in tried if one.is_file()), None)
