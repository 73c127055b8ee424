"""Secrets: values that are passed around as tokens, and are replaced only in the bytes that a host receives.

In YAML::

    db_password: !secret {env: DB_PASSWORD}
    registry_key: !secret {file: secrets/key.pem}        # relative to the YAML file; without the last newline
    api_token: !secret {age: secrets/token.age}          # encrypted with age, binary or armoured
    other: !secret |
      -----BEGIN AGE ENCRYPTED FILE-----
      ...
    ansible_become_password: !vault |                    # Ansible Vault; so is a whole file of variables
      $ANSIBLE_VAULT;1.1;AES256
      ...

Everything that reads a spec sees the token, ``«secret:db_password:1a2b3c4d5e6f7a8b»``: templates, plans, diffs, events,
journals and tracebacks can't show a value that they do not have. :func:`reveal` is called only where a script for a
host is made, a host's file is compared, or a login needs its password (a test checks that).

A token belongs to one process: its number is keyed with random bytes, so a host can't compute it. Text that outlives
the process, or that a host receives, has a reference in a token's place (:func:`stable`). A reference becomes a token
again only among the tokens that one host's own configuration refers to (:func:`recalled`). Text from a host has no
tokens at all (:func:`foreign`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import urllib.parse
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from provision import limits
from provision.errors import SpecError, UsageError, Where
from provision.lines import lines_of
from provision.model import Salt, Withheld
from provision.secrets import disclosure

#: Digits of a token's number, too many to guess within a run.
_DIGITS = 16
_TOKEN = re.compile(f"«secret:[A-Za-z0-9_.-]*:([0-9a-f]{{{_DIGITS}}})»")
_REFERENCE = re.compile(f"«secret-ref:[A-Za-z0-9_.-]*:[0-9a-f]{{{_DIGITS}}}»")
#: The beginning that only a token has. A filter may have changed its letter case.
_BEGIN = re.compile("«(?=secret:)", re.IGNORECASE)
_MARK = re.compile("«secret(-ref)?:", re.IGNORECASE)
_END = re.compile("([0-9a-f]{8,})»", re.IGNORECASE)
_NUMBERS = re.compile(f"[0-9a-fA-F]{{{_DIGITS},}}")
#: A fast first search in a file of many megabytes: in a row of so many digits, each fourth character is a digit.
_FOURTHS = re.compile(f"[0-9a-fA-F]{{{_DIGITS // 4},}}")
#: U+00AB as its two bytes in UTF-8 (PEP 383): it is sent as the same bytes, and begins no token.
_FOREIGN = "\udcc2\udcab"
_FOREIGN_TOKEN = re.compile(f"{_FOREIGN}secret:[^»]*»?", re.IGNORECASE)
#: Generated when the process starts.
_KEY = secrets.token_bytes(32)
#: Shorter values are not searched for in the output of programs: they would be found everywhere.
_SHORTEST = 4
#: Shorter lines of a value with several lines are not searched for either.
_SHORTEST_LINE = 8
#: The same for a part of a base64 text: shorter ones occur by chance.
_SHORTEST_PART = 6
_ARMOUR_LINE = re.compile("-----(BEGIN|END) [A-Z0-9 ]+-----")
ARMOUR = "-----BEGIN AGE ENCRYPTED FILE-----"
#: The most bytes of an age file before its payload: more than 300 recipients.
_HEADER = 64 * 1024


class Secret:
    """One secret. It is represented only by its token, and by its ``reference``, which is the same in every process.
    The reference is made of the file's name, the key and the source, without line and directory. So an edit and a move
    of the file do not change it."""

    def __init__(
        self,
        name: str,
        source: str,
        read: Callable[[], str],
        where: Where,
        made_of: frozenset[str] = frozenset(),
        lazy: bool = False,
        apart: str = "",
        path: Path | None = None,
    ) -> None:
        #: the file that has it
        self.path = path
        #: tokens of the secrets that can be computed from this one
        self.made_of = made_of
        #: not read before a run unless the run's variables use it
        self.lazy = lazy
        # ``apart`` distinguishes the tokens of secrets of the same place and source, but not their references.
        self._read, self.where = read, where
        self._value: str | None = None
        shown = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
        self.number = hmac.new(_KEY, f"{where}\0{name}\0{source}\0{apart}".encode(), "sha256").hexdigest()[:_DIGITS]
        self.token = f"«secret:{shown}:{self.number}»"
        same = f"{where.file.name}\0{name}\0{stable(source)}"
        self.reference = f"«secret-ref:{shown}:{hashlib.sha256(same.encode()).hexdigest()[:_DIGITS]}»"

    def __repr__(self) -> str:
        return self.token

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return self.token

    def __reduce__(self) -> str:
        raise TypeError("a secret cannot be written to a file")

    @property
    def value(self) -> str:
        """The value, read once. Raises :class:`SpecError` where it can't be read."""
        if self._value is None:
            self._value = self._had()
            _READ.append(self.token)
        return self._value

    @property
    def known(self) -> str:
        """The value if it has been read; otherwise an empty text."""
        return self._value or ""

    def _had(self) -> str:
        try:
            return self._read()
        except KeyError as error:
            raise SpecError(f"the environment variable {error.args[0]} is not set", where=self.where) from None
        except OSError as error:
            raise SpecError(f"can't be read: {error.strerror}: {error.filename}", where=self.where) from None
        except UnicodeDecodeError:
            raise SpecError("does not hold UTF-8 text", where=self.where) from None
        except ValueError as error:  # the name has a zero byte or half of a surrogate pair
            raise SpecError(f"can't be read: {error}", where=self.where) from None
        except UsageError as error:
            raise SpecError(str(error), where=self.where) from None


#: Variables of provision's environment that hold a secret.
_FROM_ENVIRONMENT: set[str] = set()
#: Secrets by token. The register belongs to the process, so no object has to carry a value to the place of its use.
_KNOWN: dict[str, Secret] = {}
#: Tokens in the order in which their values were read. :func:`mask` compares its length to see what is new.
_READ: list[str] = []


def declare(name: str, given: object, where: Where) -> str:
    """Register the source of a ``!secret``; returns the token. Raises :class:`SpecError`."""
    secret = Secret(name, repr(given), _reader(given, where), where, path=_path(given, where))
    _KNOWN.setdefault(secret.token, secret)
    return secret.token


#: How Ansible Vault's files and values begin.
VAULT = "$ANSIBLE_VAULT;"
#: Decrypts such a text: (text, place) -> plain text. ``inventory.vault`` knows the passwords.
_OPENER: list[Callable[[str, Where], str]] = []
#: Tokens of lazy secrets that a template, a spec or a login has used.
_USED: set[str] = set()


def open_vaults_with(opener: Callable[[str, Where], str]) -> None:
    """From now on ``opener`` decrypts texts of Ansible Vault."""
    _OPENER[:] = [opener]


def opened(text: str, where: Where) -> str:
    """Decrypt a text of Ansible Vault. Raises :class:`SpecError`."""
    if not _OPENER:
        raise SpecError(
            "encrypted by Ansible Vault, and there is no vault password",
            where=where,
            hint="--vault-password-file FILE, --vault-id ID@FILE or --ask-vault-pass",
        )
    return _OPENER[0](text, where)


def vaulted(name: str, text: str, where: Where) -> str:
    """The token of a value that Ansible Vault has encrypted. It is decrypted when it is used.

    Raises :class:`SpecError` for a value that is not of Ansible Vault.
    """
    text = text.strip()
    if not text.startswith(VAULT):
        raise SpecError(f"a !vault value begins with {VAULT}", where=where, key=name)
    secret = Secret(name, text, lambda: literal(opened(text, where), where, name), where, lazy=True)
    return _KNOWN.setdefault(secret.token, secret).token


def from_vault(name: str, value: str, where: Where) -> str:
    """The token of a value from a file that Ansible Vault has encrypted as a whole. Its reference is made only of the
    place: a reference can be read on hosts, and a hash of a short value discloses the value."""
    secret = Secret(name, "vault", lambda: literal(value, where, name), where, lazy=True, apart=value)
    return _KNOWN.setdefault(secret.token, secret).token


def literal(value: str, where: Where, name: str) -> str:
    """Return the value if it holds no template. Raises :class:`SpecError`: Ansible renders a decrypted value, provision
    does not render secrets."""
    if "{{" in value or "{%" in value:
        hint = "encrypt only the value, and write the template around it in plain text"
        raise SpecError("the decrypted value holds a template", where=where, key=name, hint=hint)
    return value


def use(text: str) -> None:
    """Mark the secrets in a text as used by this run: :func:`resolve` reads them."""
    if _KNOWN and "«" in text:
        _USED.update(piece for piece, token in split(text) if token)


class Derivation(Struct, frozen=True):
    """How a secret is computed from another one: ``kind`` and ``about`` identify the derivation, ``make`` computes it.
    The source can't be computed from a ``one_way`` result (a hash): a host with the result does not have the source."""

    kind: str
    about: str
    make: Callable[[str], str]
    one_way: bool = False


def derived(name: str, given: str, how: Derivation) -> str:
    """The token of a secret that is computed from ``given``'s when it is needed, for example a hash of a password."""
    source = next((_KNOWN[piece] for piece, token in split(given) if token), None)
    where = source.where if source is not None else Where(Path(), 1)
    made_of = frozenset() if how.one_way else frozenset(piece for piece, token in split(given) if token)
    secret = Secret(name, f"{how.kind}\0{how.about}\0{given}", lambda: how.make(reveal(given)), where, made_of)
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
            return lambda: re.sub(r"\r?\n\Z", "", limits.whole(folder / value).decode("utf-8"))
        if isinstance(value, str) and kind == "age":
            return lambda: decrypted(limits.whole(folder / value))
    hint = "{env: NAME}, {file: PATH}, {age: PATH}, or text that age has encrypted"
    raise SpecError("!secret takes one source", where=where, hint=hint)


def _path(given: object, where: Where) -> Path | None:
    """The file of a ``!secret {file: PATH}`` or ``{age: PATH}``."""
    kind, value = next(iter(given.items())) if isinstance(given, dict) else ("", "")
    return where.file.parent / value if kind in ("file", "age") else None


def files() -> Iterator[tuple[Where, Path]]:
    """The files that the declared secrets are read from, with the places of the secrets."""
    yield from ((one.where, one.path) for one in _KNOWN.values() if one.path is not None)


def identities() -> Iterator[Path]:
    """Files that may hold the key for decryption: only PROVISION_IDENTITY where it is set."""
    if named := os.environ.get("PROVISION_IDENTITY"):
        yield Path(named)
        return
    yield Path("~/.config/provision/identity.txt").expanduser()
    yield Path("~/.ssh/id_ed25519").expanduser()


def age_keys(text: bytes) -> list[Any]:
    """The keys of age's own format in a file; none in a file of ssh."""
    import pyrage

    begin = b"AGE-SECRET-KEY-"
    return [
        pyrage.x25519.Identity.from_str(line.strip().decode()) for line in text.split(b"\n") if line.startswith(begin)
    ]


def _header_fits(data: bytes) -> bool:
    """True if the header of an age file (C2SP, age.md: a line for each recipient, until ``---``) is short. The time
    that decryption takes grows faster than its recipients."""
    armour = ARMOUR.encode()
    if (text := data.lstrip()).startswith(armour):
        head = b"".join(text[len(armour) :][: 2 * _HEADER].split())
        try:
            data = base64.b64decode(head[: len(head) // 4 * 4])
        except ValueError:
            return True  # its end is in it, or it is damaged, which age reports
    return b"\n---" in data[:_HEADER] or len(data) < _HEADER


def decrypted(data: bytes) -> str:
    """The text of an age file. Raises :class:`UsageError`, also for more recipients than a file needs."""
    import pyrage

    if not _header_fits(data):
        raise UsageError(f"can't be decrypted: its header has more than {_HEADER // 1024} KiB (too many recipients)")

    keys: list[Any] = []
    for path in identities():
        if not path.is_file():
            continue
        text = path.read_bytes()
        try:
            keys += age_keys(text) or [pyrage.ssh.Identity.from_buffer(text)]
        except pyrage.IdentityError:
            raise UsageError(f"{path} is not a key that age can use (without a passphrase)") from None
    if not keys:
        raise UsageError("no key to decrypt with (set PROVISION_IDENTITY, or create ~/.ssh/id_ed25519)")
    try:
        return str(pyrage.decrypt(data, keys).decode())
    except pyrage.DecryptError as error:
        raise UsageError(f"can't be decrypted: {error}") from None


def environment() -> dict[str, str]:
    """provision's environment for a process that it starts, without the variables that hold a secret."""
    return {name: value for name, value in os.environ.items() if name not in _FROM_ENVIRONMENT}


def holds(text: str | bytes) -> bool:
    """True if a text has a token in it."""
    return _TOKEN.search(text.decode("utf-8", "replace") if isinstance(text, bytes) else text) is not None


def hidden(text: str) -> bool:
    """True if a text is exactly one token."""
    return _TOKEN.fullmatch(text) is not None


def split(text: str) -> Iterator[tuple[str, bool]]:
    """Split a text into plain pieces, and tokens (``True``)."""
    position = 0
    for match in _TOKEN.finditer(text):
        if match[0] in _KNOWN:
            yield text[position : match.start()], False
            yield match[0], True
            position = match.end()
    yield text[position:], False


def remnant(text: str) -> str:
    """The remains of a token in a text without whole tokens: its beginning in any letter case, its end, or its number.
    Empty if there are none. Plain guillemets and text from a host do not count."""
    if _FOREIGN in text:
        text = _FOREIGN_TOKEN.sub(" ", text)
    if "«" in text and (begin := _BEGIN.search(text)) is not None:
        return text[begin.start() : begin.start() + 40]
    if not (numbers := _numbers()):
        return ""
    if "»" in text:
        for end in _END.finditer(text):
            if any(number.endswith(end[1].lower()) for number in numbers):
                return end[0]
    for near in _FOURTHS.finditer(text[3::4]):
        for found in _NUMBERS.finditer(text[near.start() * 4 : near.end() * 4 + 3]):
            digits = found[0].lower()
            if any(digits[at : at + _DIGITS] in numbers for at in range(len(digits) - _DIGITS + 1)):
                return found[0][:40]
    return ""


#: The register, and the numbers of the tokens in it.
_NUMBERED: tuple[dict[str, Secret], frozenset[str]] = ({}, frozenset())


def _numbers() -> frozenset[str]:
    global _NUMBERED
    known, found = _NUMBERED
    if known is not _KNOWN or len(found) < len(_KNOWN):
        found = frozenset(secret.number for secret in list(_KNOWN.values()))
        _NUMBERED = (_KNOWN, found)
    return found


def marked(text: str) -> bool:
    """True if a text of an operator holds what only provision writes: the beginning of a token."""
    return "«" in text and _MARK.search(text) is not None


def whole(text: str, where: Where | None = None, key: str = "") -> str:
    """Return the text if it has no remains of tokens other than whole tokens. Raises :class:`SpecError`."""
    for piece, token in split(text):
        if not token and (left := remnant(piece)):
            hint = "use the variable itself: a filter or a slice has changed a secret, or its token was pasted"
            raise SpecError(
                f"{left!r} is not a secret of this run, or is only a part of one", where=where, key=key, hint=hint
            )
    return text


def foreign(text: str) -> str:
    """Text from a host, in which nothing is a token; sent to a host again, it is the same bytes."""
    return _BEGIN.sub(_FOREIGN, text) if "«" in text else text


def stable(text: str) -> str:
    """The text with references in the place of tokens: the same in another process, and of no use to a host. Secrets of
    the same place, name and source have the same reference."""
    return _TOKEN.sub(lambda match: _KNOWN[match[0]].reference if match[0] in _KNOWN else match[0], text)


def stable_bytes(content: bytes) -> bytes:
    return stable(content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def recalled(text: str, referred: Collection[str]) -> str:
    """The text with tokens in the place of references, only of those in ``referred``.

    Raises ``LookupError`` with the name of any other secret.
    """
    known = {_KNOWN[token].reference: token for token in sorted(referred) if token in _KNOWN}

    def token(match: re.Match[str]) -> str:
        if match[0] not in known:
            raise LookupError(match[0].split(":")[1])
        return known[match[0]]

    return _REFERENCE.sub(token, text)


def each(thing: Any, change: Callable[[str], str]) -> Any:
    """Apply ``change`` to every text in a structure of structs, maps, lists and texts. A description of a withheld
    value stays ``Withheld``: it never equals text that was read from a file."""
    if isinstance(thing, Withheld):
        return Withheld(change(thing))
    if isinstance(thing, str):
        return change(thing)
    if isinstance(thing, Mapping):
        return {each(key, change): each(value, change) for key, value in thing.items()}
    if isinstance(thing, (list, tuple)):
        make = getattr(type(thing), "_make", type(thing))  # a NamedTuple takes its fields one by one
        return make(each(one, change) for one in thing)
    if isinstance(thing, Struct):
        fields = {name: getattr(thing, name) for name in thing.__struct_fields__}
        return type(thing)(**{name: each(value, change) for name, value in fields.items()})
    return thing


def referred(*things: object) -> frozenset[str]:
    """The tokens in structs, models, maps, lists, texts and bytes, and those that can be computed from them. A host
    that receives these objects has these secrets."""
    found: set[str] = set()
    if _KNOWN:
        _collect(things, found)
    left = list(found)
    while left:
        more = _KNOWN[left.pop()].made_of - found
        found |= more
        left += more
    return frozenset(found)


def _collect(thing: object, found: set[str]) -> None:
    if isinstance(thing, bytes):
        thing = thing.decode("utf-8", "replace") if b"\xc2\xabsecret:" in thing else ""
    if isinstance(thing, str):
        found.update(piece for piece, token in split(thing) if token)
    elif isinstance(thing, Mapping):
        for key, value in thing.items():
            _collect(key, found)
            _collect(value, found)
    elif isinstance(thing, (list, tuple, set, frozenset)):
        for one in thing:
            _collect(one, found)
    elif isinstance(thing, Struct):
        for name in thing.__struct_fields__:
            _collect(getattr(thing, name), found)
    elif isinstance(fields := getattr(thing, "__dict__", None), dict) and hasattr(type(thing), "model_fields"):
        _collect(fields, found)


def permitted(token: str, allowed: Collection[str]) -> bool:
    """True if a secret is one of ``allowed``, or can be computed from those."""
    secret = _KNOWN[token]
    return token in allowed or (bool(secret.made_of) and all(permitted(one, allowed) for one in secret.made_of))


def reveal(text: str) -> str:
    """The text with the values in it. Raises :class:`SpecError` for anything but whole tokens of this run."""
    return "".join(_KNOWN[piece].value if token else piece for piece, token in split(whole(text)))


def reveal_bytes(content: bytes) -> bytes:
    if b"\xc2\xab" not in content:
        return content
    return reveal(content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def resolve() -> None:
    """Read every value now, because a missing one must be reported before any connection. Skip unused lazy secrets."""
    for secret in list(_KNOWN.values()):
        if not secret.lazy or secret.token in _USED:
            secret.value  # noqa: B018 - read and kept


def mask(text: str) -> str:
    """Replace the values in the output of a program on a host, in every form in which a program may write them."""
    spans: list[tuple[int, int, str]] = []
    for form, token in _masks():
        at = text.find(form)
        while at >= 0:
            spans.append((at, at + len(form), token))
            at = text.find(form, at + 1)
    if not spans:
        return text
    # Overlapping forms are replaced together, by the name of the longest one at the beginning.
    pieces, end, word = [], 0, ""
    for start, stop, token in sorted(spans, key=lambda span: (span[0], -span[1])):
        if start >= end:
            pieces += [word, text[end:start]]
            word = token
        end = max(end, stop)
    return "".join([*pieces, word, text[end:]])


def spellings(tokens: Iterable[str]) -> tuple[str, ...]:
    """All forms in which a program may print these secrets, the longest first: the host itself masks them."""
    found = {form for token in tokens for form in spelled(_KNOWN[token].value)}
    return tuple(sorted(found, key=lambda form: (-len(form), form)))


#: The register, the number of values that had been read, and (form, token) of all of them, the longest first.
_MASKS: tuple[dict[str, Secret], int, tuple[tuple[str, str], ...]] = ({}, 0, ())


def _masks() -> tuple[tuple[str, str], ...]:
    global _MASKS
    known, count, found = _MASKS
    if known is not _KNOWN or count != len(_READ):
        known, count = _KNOWN, len(_READ)
        forms: dict[str, str] = {}
        for secret in list(known.values()):
            for form in spelled(secret.known):
                forms.setdefault(form, secret.token)
        found = tuple(sorted(forms.items(), key=lambda pair: (-len(pair[0]), pair[0])))
        _MASKS = (known, count, found)
    return found


def spelled(value: str) -> set[str]:
    """The forms in which a program may print a value. The value and each of its lines occur unchanged, as JSON (also
    Go's, which docker uses), as in a Python traceback, and between single quotes of a shell. The value also occurs in
    base64 (RFC 4648, 4 and 5; also with the newline that ``echo`` adds, and as a part of a longer text), in hex, and in
    a URL (RFC 3986)."""
    if len(value) < _SHORTEST:
        return set()
    found = {value, *_urls(value)}
    lines = [line.strip() for line in lines_of(value)] if "\n" in value else []
    for text in (value, *(line for line in lines if len(line) >= _SHORTEST_LINE and not _ARMOUR_LINE.fullmatch(line))):
        plain = json.dumps(text, ensure_ascii=False)[1:-1]
        go = plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
        found |= {text, plain, go, json.dumps(text)[1:-1], text.replace("'", "'\\''"), repr(text)[1:-1]}
        # Python escapes an apostrophe in a text that has both kinds of quotes.
        found.add(repr(f"{text}'\"")[1:-4])
    for data in (value.encode("utf-8", "surrogateescape"), f"{value}\n".encode("utf-8", "surrogateescape")):
        for encoded in (base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()):
            found |= {encoded, encoded.rstrip("=")}
        found |= {data.hex(), data.hex().upper()}
    found |= {form for form in _within_base64(value) if len(form) >= _SHORTEST_PART}
    return {form for form in found if len(form.strip()) >= _SHORTEST}


def _within_base64(value: str) -> Iterator[str]:
    """The characters of a value that are the same in the base64 of every longer text with it: three bytes are four
    characters, so there are three places where it can begin."""
    data = value.encode("utf-8", "surrogateescape")
    for before in range(3):
        whole = base64.b64encode(bytes(before) + data).decode()
        part = whole[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        yield from (part, part.translate(str.maketrans("+/", "-_")))


def _urls(value: str) -> Iterator[str]:
    """The forms of a value in a URL: a slash may stay, a blank may be a plus, digits may be lower case."""
    data = value.encode("utf-8", "surrogateescape")
    for text in (
        urllib.parse.quote(data, safe=""),
        urllib.parse.quote(data, safe="/"),
        urllib.parse.quote_plus(data),
    ):
        yield from (text, re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), text))


def fingerprint(text: str, salt: Salt) -> str:
    """A keyed hash of the text with the values in it: it shows that a value has changed, but not the value."""
    return disclosure.fingerprint(reveal(text).encode("utf-8", "surrogateescape"), salt)


def fingerprinted(text: str, salt: Salt) -> str:
    """The text with the keyed hash of its value behind each token."""
    return "".join(f"{piece}#{fingerprint(piece, salt)}" if token else piece for piece, token in split(text))
