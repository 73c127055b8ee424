"""Secrets in templates: which values hold one, and the refusal of operations on a token's characters."""

from __future__ import annotations

from collections.abc import Callable

from provision.secrets import secret
from provision.text.sandbox.bounds import Refused, measured

#: The filters that work on a secret's value.
WORKING = ("b64encode", "quote", "to_json", "tojson", "urlencode", "to_nice_json")


def _veiled(value: object) -> bool:
    """Whether it is a text with a secret in it. A list of such texts does not count."""
    return isinstance(value, str) and secret.holds(value)


def _names(text: str) -> str:
    """The names of the secrets in a text."""
    return ", ".join(dict.fromkeys(piece.split(":")[1] for piece, token in secret.split(text) if token)) or "unknown"


def blind(what: str, *values: object) -> None:
    """Refuse ``what`` where a value has a secret anywhere in it."""
    for value in values:
        if text := measured(value):
            raise _refusal(what, text)


def through(what: str, value: object) -> None:
    """Refuse ``what`` on a text with a secret; iteration over a list of such texts is allowed."""
    if _veiled(value):
        raise _refusal(what, str(value))


def _refusal(what: str, text: str) -> Refused:
    hint = f"{', '.join(WORKING)} work on its value; text, ~ and + can use it unchanged"
    return Refused(f"{what} cannot be applied to a secret ({_names(text)}): a template has only its token", hint)


def unknown(text: str) -> bool:
    """Whether ``text`` contains the beginning of a token that belongs to no secret of this process."""
    return secret.marked(text) and any(secret.marked(piece) for piece, token in secret.split(text) if not token)


def derived(kind: str, text: str, make: Callable[[str], str]) -> str:
    """The secret that an encoder makes of a text with secrets in it."""
    if unknown(text):
        raise Refused("the token of an unknown secret", "declare the secret: !secret {env: NAME}")
    name = ".".join((*_names(text).split(", "), kind))
    return secret.derived(name, text, secret.Derivation(kind, "", make))
