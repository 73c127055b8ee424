"""Ansible Vault: where passwords come from, and how a text is decrypted with one.

The format is 1.1 and 1.2 with AES256 (``ansible.parsing.vault``). PBKDF2-HMAC-SHA256 with 10,000 rounds derives two
keys and a counter from the password. The HMAC-SHA256 of the ciphertext is verified in constant time before AES-CTR
decrypts.

A password is read when the first value needs it: from a file, from the output of an executable file, or from the
terminal. It is never an argument of another program, nor in its environment.
"""

from __future__ import annotations

import binascii
import os
import sys
import threading
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from msgspec import Struct

from provision import limits
from provision.errors import SpecError, UsageError, Where
from provision.inventory import config
from provision.inventory.config import Config
from provision.inventory.program import typed
from provision.secrets import secret

DEFAULT = "default"
_PROMPTS = ("prompt", "prompt_ask_vault_pass")
_ROUNDS, _KEY, _BLOCK = 10_000, 32, 16


class Source(Struct, frozen=True):
    """A password: its vault id, and the file or the prompt that it comes from."""

    id: str
    place: str

    @property
    def asked(self) -> bool:
        return self.place in _PROMPTS

    @property
    def word(self) -> str:
        """The source in the form of ``--vault-id``, for any working directory."""
        return f"{self.id}@{self.place if self.asked else Path(self.place).expanduser().absolute()}"


def sources(
    settings: Config, ids: Sequence[str] = (), files: Sequence[str] = (), ask: bool = False
) -> tuple[Source, ...]:
    """Where passwords come from, in Ansible's order: configured ids, ``--vault-id``, password files, the prompt."""
    default = (settings.get("ANSIBLE_VAULT_IDENTITY", ("defaults", "vault_identity")) or (DEFAULT, Path()))[0]
    # Each word of a configured list is an id and a path, which follows the first @.
    found = [
        _source(word, default)
        for word in settings.words("ANSIBLE_VAULT_IDENTITY_LIST", ("defaults", "vault_identity_list"))
    ]
    if found and settings.path is not None and "ANSIBLE_VAULT_IDENTITY_LIST" not in os.environ:
        found = [
            one if one.asked else Source(one.id, str(settings.path.parent / Path(one.place).expanduser()))
            for one in found
        ]
    found += [_source(word, default) for word in ids]
    found += [Source(default, file) for file in files]
    if named := settings.path_of("ANSIBLE_VAULT_PASSWORD_FILE", ("defaults", "vault_password_file")):
        found.append(Source(default, named))
    if ask or (not found and settings.flag("ANSIBLE_ASK_VAULT_PASS", ("defaults", "ask_vault_pass"))):
        found.append(Source(default, _PROMPTS[1]))
    return tuple(found)


def of_words(words: Sequence[str]) -> tuple[Source, ...]:
    """The sources of ids with files, in the form of :attr:`Source.word`."""
    return tuple(_source(word, DEFAULT) for word in words)


def _source(word: str, default: str) -> Source:
    id, at, place = word.partition("@")
    found = Source(id or default, place) if at else Source(default, word)
    if not found.place:
        raise UsageError(f"--vault-id takes ID@FILE or ID@prompt, not {word!r}")
    return found


class Vault:
    """Decrypts with the passwords of ``places``; ``programs``: executable password files are run."""

    def __init__(
        self,
        places: Sequence[Source],
        *,
        programs: bool = True,
        strict_ids: bool = False,
        ask: Callable[[str], str] | None = None,
    ) -> None:
        self.places, self._programs, self._strict_ids = tuple(places), programs, strict_ids
        self._ask = ask or _asked
        self._passwords: dict[Source, bytes] = {}
        self._lock = threading.RLock()

    def open(self, text: str, where: Where) -> str:
        """The plain text. Raises :class:`SpecError`, which holds neither password nor plain text."""
        id, salt, check, cipher = _taken_apart(text, where)
        if not self.places:
            raise SpecError(
                "encrypted by Ansible Vault, and there is no vault password",
                where=where,
                hint="--vault-password-file FILE, --vault-id ID@FILE or --ask-vault-pass",
            )
        named = [place for place in self.places if place.id == id]
        others = [] if self._strict_ids else [place for place in self.places if place.id != id]
        for place in (*named, *others):
            if (data := _decrypted(self._password(place), salt, check, cipher)) is not None:
                try:
                    return data.decode("utf-8")
                except UnicodeDecodeError:
                    raise SpecError("the decrypted value is not UTF-8 text", where=where) from None
        tried = ", ".join(dict.fromkeys(place.id for place in (*named, *others))) or "none"
        raise SpecError(f"no vault password decrypts this value (vault id {id}; tried: {tried})", where=where)

    def _password(self, place: Source) -> bytes:
        with self._lock:
            if place not in self._passwords:
                password = self._ask(_question(place)).encode() if place.asked else self._of_file(place)
                if not password:
                    raise UsageError(f"the vault password of {place.id} is empty")
                self._passwords[place] = password
            return self._passwords[place]

    def _of_file(self, place: Source) -> bytes:
        path = Path(place.place).expanduser().absolute()
        if not path.is_file() and not path.exists():
            raise UsageError(f"no vault password file {path}")
        if path.is_dir():
            raise UsageError(f"the vault password file {path} is a directory")
        if path.is_file() and os.access(path, os.X_OK):
            if not self._programs:
                raise UsageError(
                    f"{path} is a program that gives a vault password, and is not run (`provision lint --trusted` does)"
                )
            # A name that ends in -client takes the vault id (ansible.parsing.vault.script_is_client).
            words = ["--vault-id", place.id] if path.stem.endswith("-client") else []
            return typed([str(path), *words], "vault password").strip(b"\r\n")
        # Nothing shows it. A file elsewhere is usual.
        data = limits.read(path, named=True).strip()
        if data.startswith(secret.VAULT.encode()):
            others = Vault(self.places[: self.places.index(place)], programs=self._programs, ask=self._ask)
            return others.open(data.decode("ascii", "replace"), Where(path, 1)).encode().strip(b"\r\n")
        return data.strip(b"\r\n")


def of_settings() -> Vault:
    """A vault with the passwords that the environment and ``ansible.cfg`` name."""
    return Vault(sources(config.read()))


def _question(place: Source) -> str:
    return "Vault password: " if place.place == _PROMPTS[1] else f"Vault password ({place.id}): "


def _asked(question: str) -> str:
    import getpass
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(question)
    except EOFError:
        typed = ""
    except getpass.GetPassWarning:
        # There is no terminal: the first line of standard input is the password.
        typed = sys.stdin.readline()
    if not typed:
        raise UsageError("the vault password was not given")
    return typed.removesuffix("\n")


def _taken_apart(text: str, where: Where) -> tuple[str, bytes, str, bytes]:
    """Split an envelope into vault id, salt, HMAC and ciphertext."""
    head, _, body = text.strip().partition("\n")
    parts = [part.strip() for part in head.split(";")]
    if len(parts) < 3 or parts[1] not in ("1.1", "1.2") or parts[2] != "AES256":
        kind = ";".join(parts[1:3])
        raise SpecError(
            f"Ansible Vault of an unknown format: {kind}", where=where, hint="1.1 and 1.2 with AES256 are known"
        )
    try:
        inner = binascii.unhexlify("".join(body.split()))
        salt, check, cipher = inner.split(b"\n", 2)
        return (
            parts[3] if len(parts) > 3 else DEFAULT,
            binascii.unhexlify(salt),
            check.decode("ascii"),
            binascii.unhexlify(cipher),
        )
    except (binascii.Error, ValueError):
        raise SpecError(
            "a damaged text of Ansible Vault", where=where, hint="its lines are hexadecimal digits"
        ) from None


@cache
def _keys(password: bytes, salt: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

    return PBKDF2HMAC(hashes.SHA256(), 2 * _KEY + _BLOCK, salt, _ROUNDS).derive(password)


def _decrypted(password: bytes, salt: bytes, check: str, cipher: bytes) -> bytes | None:
    """The plain text; ``None`` where it was encrypted with another password."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, hmac, padding
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    made = _keys(password, salt)
    keyed = hmac.HMAC(made[_KEY : 2 * _KEY], hashes.SHA256())
    keyed.update(cipher)
    try:
        keyed.verify(binascii.unhexlify(check))  # in constant time
    except (InvalidSignature, binascii.Error, ValueError):
        return None
    decryptor = Cipher(algorithms.AES(made[:_KEY]), modes.CTR(made[2 * _KEY :])).decryptor()
    unpadder = padding.PKCS7(8 * _BLOCK).unpadder()
    try:
        return unpadder.update(decryptor.update(cipher) + decryptor.finalize()) + unpadder.finalize()
    except ValueError:
        return None
