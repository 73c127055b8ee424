"""KnownHostsCommand of ssh_config(5): a program that prints lines of known_hosts for a host (sshconnect.c,
load_hostkeys_command)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from provision.errors import SpecError
from provision.inventory import bounded
from provision.lines import lines_of
from provision.transport import known_hosts
from provision.transport.failure import HostError
from provision.transport.known_hosts import KnownHosts, fingerprint
from provision.transport.ssh_config import expand

#: Seconds for one run of the program, less where the login ends before; ssh itself sets no limit.
_TIMEOUT = 60.0
#: The longest output of the program, in bytes.
_MOST = 16 * 1024 * 1024


class Command(Struct, frozen=True):
    """``words`` is the command line with tokens. ``tokens`` are those of the host; each run adds its own."""

    words: tuple[str, ...]
    tokens: Mapping[str, str]

    @classmethod
    def of(cls, text: str, tokens: Mapping[str, str]) -> Command:
        """Raises :class:`SpecError` for a command that ssh would not run."""
        try:
            found = cls(tuple(split(text)), tokens)
        except ValueError as error:
            raise SpecError(f"KnownHostsCommand {text}: {error}", key="ssh_config") from error
        if not found.words or not Path(found.words[0]).is_absolute():
            raise SpecError(f"KnownHostsCommand {text}: the program needs an absolute path", key="ssh_config")
        found._expanded("", None)
        return found

    def lines(self, name: str, key: tuple[bytes, bytes] | None, left: float) -> KnownHosts:
        """The lines that the program prints about the host ``name``. ``key`` is what the host shows: the certificate or
        key, and the key itself. Without ``key`` the program is asked which kinds of key are known. ``left`` is the time
        until the end of the login, in seconds.

        Raises :class:`HostError` of kind ``host_key`` where the program fails: ssh ends then.
        """
        limit = max(0.1, min(_TIMEOUT, left))
        try:
            done = bounded.run(self._expanded(name, key), limit, _MOST)
        except bounded.Beyond as error:
            raise self._failed(name, str(error)) from error
        except OSError as error:
            raise self._failed(name, f"can't be started: {error.strerror}") from error
        if done.status != 0:
            said = lines_of(done.stderr.decode("utf-8", "replace").strip())
            raise self._failed(name, f"ended with {done.status}" + (f": {said[-1]}" if said else ""))
        return known_hosts.parsed(Path("KnownHostsCommand"), done.stdout.decode("utf-8", "replace"))

    def _failed(self, name: str, why: str) -> HostError:
        return HostError("host_key", f"the key of {name} can't be checked: KnownHostsCommand {self.words[0]} {why}")

    def _expanded(self, name: str, key: tuple[bytes, bytes] | None) -> list[str]:
        own = {"H": name, "I": "ORDER", "f": "NONE", "K": "NONE", "t": "NONE"}
        if key is not None:
            whole, plain = key
            kind = whole[4 : 4 + int.from_bytes(whole[:4], "big")].decode("ascii", "replace")
            encoded = base64.b64encode(whole).decode()
            own |= {"I": "HOSTNAME", "f": fingerprint(plain), "K": encoded, "t": kind}
        # ssh expands the arguments, and not the name of the program.
        return [self.words[0], *(expand(word, {**self.tokens, **own}) for word in self.words[1:])]


def split(text: str) -> list[str]:
    r"""Split a command line into words as OpenSSH does (misc.c, argv_split). A shell has other rules: here only \\, \",
    \' and, outside of quotes, a backslash before a space are escapes; every other backslash is kept. Raises
    :class:`ValueError` for a quote that is not closed."""
    words: list[str] = []
    inside, quote, escaped = False, "", False
    for character, following in zip(text, f"{text[1:]}\0", strict=True):
        if not inside:
            if character in " \t":
                continue
            words.append("")
            inside = True
        if escaped:
            escaped = False
        elif character == "\\" and following in ("\\\"'" if quote else "\\\"' "):
            escaped = True
            continue
        elif quote and character == quote:
            quote = ""
            continue
        elif not quote and character in "\"'":
            quote = character
            continue
        elif not quote and character in " \t":
            inside = False
            continue
        words[-1] += character
    if quote:
        raise ValueError(f"the quote {quote} is not closed")
    return words
