"""Secrets: values that travel as tokens, and become themselves only in the bytes that a host gets.

In YAML::

    db_password: !secret {env: DB_PASSWORD}
    registry_key: !secret {file: secrets/key.pem}        # beside the YAML file; without the last newline
    api_token: !secret {age: secrets/token.age}          # encrypted with age, binary or armoured
    other: !secret |
      -----BEGIN AGE ENCRYPTED FILE-----
      ...

Everything that reads a spec sees the token, ``«secret:db_password:1a2b3c4d»``: templates, plans, diffs, events,
journals and tracebacks can't show what they do not have. :func:`reveal` is called where a script for a host is made, a
host's file is compared, or a login needs its password; nowhere else (a test holds that).
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import urllib.parse
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from msgspec import Struct

from provision import disclosure
from provision.errors import SpecError, UsageError, Where
from provision.model import Salt

_TOKEN = re.compile("«secret:[A-Za-z0-9_.-]*:[0-9a-f]{8}»")
#: Shorter values are not looked for in what programs print: they would be found everywhere.
_SHORTEST = 4
ARMOUR = "-----BEGIN AGE ENCRYPTED FILE-----"


class Secret:
    """One secret. It has no representation but its token."""

    def __init__(self, name: str, source: str, read: Callable[[], str], where: Where) -> None:
        self._read, self.where = read, where
        number = hashlib.sha256(f"{where}\0{name}\0{source}".encode()).hexdigest()[:8]
        self.token = f"«secret:{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}:{number}»"

    def __repr__(self) -> str:
        return self.token

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return self.token

    def __reduce__(self) -> str:
        raise TypeError("a secret is not written down")

    @cached_property
    def value(self) -> str:
        """Raises :class:`SpecError` where it can't be had."""
        try:
            return self._read()
        except KeyError as error:
            raise SpecError(f"the environment has no {error.args[0]}", where=self.where) from None
        except OSError as error:
            raise SpecError(f"can't be read: {error.strerror}: {error.filename}", where=self.where) from None
        except UnicodeDecodeError:
            raise SpecError("holds bytes that are no text", where=self.where) from None
        except UsageError as error:
            raise SpecError(str(error), where=self.where) from None


#: Variables of our environment that hold one.
_FROM_ENVIRONMENT: set[str] = set()
#: By token. A process-wide register, so that nothing has to carry a value to where it is needed.
_KNOWN: dict[str, Secret] = {}


def declare(name: str, given: object, where: Where) -> str:
    """Register what stands behind ``!secret``; returns the token. Raises :class:`SpecError`."""
    secret = Secret(name, repr(given), _reader(given, where), where)
    _KNOWN.setdefault(secret.token, secret)
    return secret.token


class Derivation(Struct, frozen=True):
    """What makes a secret of another one: ``kind`` and ``about`` tell derivations apart, ``make`` does it."""

    kind: str
    about: str
    make: Callable[[str], str]


def derived(name: str, given: str, how: Derivation) -> str:
    """The token of a secret that is worked out of ``given``'s when it is needed: a hash of a password, say."""
    source = _KNOWN.get(given)
    where = source.where if source is not None else Where(Path(), 1)
    secret = Secret(name, f"{how.kind}\0{how.about}\0{given}", lambda: how.make(reveal(given)), where)
    return _KNOWN.setdefault(secret.token, secret).token


def _reader(given: object, where: Where) -> Callable[[], str]:
    folder = where.file.parent
    if isinstance(given, str) and given.lstrip().startswith(ARMOUR):
        return lambda: decrypted(given.encode())
    if isinstance(given, dict) and len(given) == 1:
        ((kind, value),) = given.items()
        if isinstance(value, str) and kind == "env":
            _FROM_ENVIRONMENT.add(value)
            return lambda: os.environ[value]
        if isinstance(value, str) and kind == "file":
            return lambda: (folder / value).read_text(encoding="utf-8").removesuffix("\n")
        if isinstance(value, str) and kind == "age":
            return lambda: decrypted((folder / value).read_bytes())
    hint = "{env: NAME}, {file: PATH}, {age: PATH}, or text that age has encrypted"
    raise SpecError("!secret takes one source", where=where, hint=hint)


def identities() -> Iterator[Path]:
    """Files that may hold the key to decrypt with: PROVISION_IDENTITY alone where it is set."""
    if named := os.environ.get("PROVISION_IDENTITY"):
        yield Path(named)
        return
    yield Path("~/.config/provision/identity.txt").expanduser()
    yield Path("~/.ssh/id_ed25519").expanduser()


def age_keys(text: bytes) -> list[Any]:
    """The keys of age's own in a file; none in one of ssh's."""
    import pyrage

    begin = b"AGE-SECRET-KEY-"
    return [pyrage.x25519.Identity.from_str(line.decode()) for line in text.splitlines() if line.startswith(begin)]


def decrypted(data: bytes) -> str:
    import pyrage

    keys: list[Any] = []
    for path in identities():
        if not path.is_file():
            continue
        text = path.read_bytes()
        try:
            keys += age_keys(text) or [pyrage.ssh.Identity.from_buffer(text)]
        except pyrage.IdentityError:
            raise UsageError(f"{path} is no key that age can use (one without a passphrase)") from None
    if not keys:
        raise UsageError("there is no key to decrypt with (PROVISION_IDENTITY, or ~/.ssh/id_ed25519)")
    try:
        return str(pyrage.decrypt(data, keys).decode())
    except pyrage.DecryptError as error:
        raise UsageError(f"can't be decrypted: {error}") from None


def environment() -> dict[str, str]:
    """Ours, for a process that we start: without what was given to us as a secret."""
    return {name: value for name, value in os.environ.items() if name not in _FROM_ENVIRONMENT}


def holds(text: str | bytes) -> bool:
    """Whether there is a token in it."""
    return _TOKEN.search(text.decode("utf-8", "replace") if isinstance(text, bytes) else text) is not None


def hidden(text: str) -> bool:
    """Whether it is a token and nothing else."""
    return _TOKEN.fullmatch(text) is not None


def split(text: str) -> Iterator[tuple[str, bool]]:
    """The pieces of a text: plain ones, and tokens (``True``)."""
    position = 0
    for match in _TOKEN.finditer(text):
        if match[0] in _KNOWN:
            yield text[position : match.start()], False
            yield match[0], True
            position = match.end()
    yield text[position:], False


def reveal(text: str) -> str:
    """The text with the values themselves in it."""
    return "".join(_KNOWN[piece].value if token else piece for piece, token in split(text))


def reveal_bytes(content: bytes) -> bytes:
    if not holds(content):
        return content
    return reveal(content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def resolve() -> None:
    """Have every value now: a missing one must show before a host is touched."""
    for secret in list(_KNOWN.values()):
        secret.value  # noqa: B018 - read and kept


def mask(text: str) -> str:
    """What a program on a host has printed, without the values, whichever way it wrote them."""
    for secret in _KNOWN.values():
        value = secret.__dict__.get("value", "")
        if len(value) < _SHORTEST:
            continue
        data = value.encode("utf-8", "surrogateescape")
        for form in (value, base64.b64encode(data).decode(), data.hex(), urllib.parse.quote(value, safe="")):
            text = text.replace(form, secret.token)
    return text


def fingerprint(text: str, salt: Salt) -> str:
    """A keyed hash of the text with the values in it: it tells that a value has changed, and not what it is."""
    return disclosure.fingerprint(reveal(text).encode("utf-8", "surrogateescape"), salt)


def fingerprinted(text: str, salt: Salt) -> str:
    """The text with the keyed hash of its value behind each token."""
    return "".join(f"{piece}#{fingerprint(piece, salt)}" if token else piece for piece, token in split(text))
