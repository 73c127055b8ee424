"""Values in the formats of the files that provision makes, so that each program reads back exactly the same bytes.

A secret is encoded when its value is used, because the value is not known before. :func:`written_later` returns the
token of a secret that is the encoded text. A value that a format cannot express is an error. For a secret, this error
is raised when all secrets are resolved, which is before a host is touched.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable

from msgspec import Struct

from provision.errors import UsageError
from provision.secrets import secret


class Format(Struct, frozen=True):
    """``name`` identifies the format. ``encode`` raises :class:`UsageError`; its text follows a key's name."""

    name: str
    encode: Callable[[str], str]


def written_later(given: str, how: Format, key: str) -> str:
    """The token of a text with secrets in it, encoded in a format; ``key`` is the place of the text in the spec."""

    def encoded(value: str) -> str:
        try:
            return how.encode(value)
        except UsageError as error:
            raise UsageError(f"{key} {error}") from None

    return secret.derived(key.rpartition(".")[2], given, secret.Derivation(how.name, key, encoded))


def _text(value: str) -> None:
    if "\0" in value:
        raise UsageError("must hold no NUL")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UsageError("must be UTF-8 text") from None


def _dotenv(value: str) -> str:
    """Between single quotes only the quote, and a backslash before it, are special; a backslash cannot be escaped there
    (compose-go, dotenv/parser.go). Between double quotes a backslash is written in octal: parsers before compose-go
    1.16 read a quote after any backslash as an escaped quote."""
    _text(value)
    if "'" not in value and not value.endswith("\\"):
        return f"'{value}'"
    escaped = value.replace("\\", "\\0134").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def _systemd(value: str) -> str:
    """Between double quotes a backslash escapes these four characters, and a newline stays as it is (systemd.exec(5),
    EnvironmentFile=; systemd's basic/env-file.c)."""
    _text(value)
    return '"' + re.sub(r'(["\\`$])', r"\\\1", value) + '"'


def _yaml(value: str) -> str:
    """YAML 1.1's double-quoted scalar, in ASCII. JSON's escapes are not enough: JSON writes two surrogates for a
    character beyond U+FFFF, and YAML does not allow them."""
    _text(value)
    return '"' + re.sub(r'[^ -~]|["\\]', _yaml_escape, value) + '"'


def _yaml_escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    if found[0] in '"\\':
        return f"\\{found[0]}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _userinfo(value: str) -> str:
    """RFC 3986, 3.2.1: all characters except the unreserved ones as %XX."""
    _text(value)
    return urllib.parse.quote(value, safe="")


#: execve(2): the longest string of an environment, with the NUL at its end (MAX_ARG_STRLEN, 32 pages).
_LONGEST = 32 * 4096 - 1


def _variable(value: str) -> str:
    """A variable of a process's environment: the value itself. An environment can hold any text except those refused
    here. The limit leaves room for a name."""
    _text(value)
    if len(value.encode()) > _LONGEST - 256:
        raise UsageError(f"is longer than a process can have a variable ({_LONGEST - 256} bytes)")
    return value


def _pem(value: str) -> str:
    text = value.lstrip()
    if not text.startswith("-----BEGIN ") or "-----END " not in text:
        raise UsageError("must be PEM text (-----BEGIN ... -----END ...) where it is a secret")
    _text(text)
    return text


#: The .env file of docker compose.
DOTENV = Format("dotenv", _dotenv)
#: A file that a unit of systemd names in EnvironmentFile=.
SYSTEMD = Format("systemd", _systemd)
YAML = Format("yaml", _yaml)
#: A user or a password in a URL.
USERINFO = Format("userinfo", _userinfo)
#: A variable that is passed from one environment to the next, unquoted.
VARIABLE = Format("variable", _variable)
PEM = Format("pem", _pem)
