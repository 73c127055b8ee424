"""``provision_transport: openssh``: one ``ssh`` process for each exec, with the script on its standard input.

ssh runs one fixed command on the host: a shell that reports its start and then reads a line with the command to run.
So provision detects a failed login when it opens a connection. As with the other transport, a host in the desired state
needs one login and one exec.
"""

from __future__ import annotations

import contextlib
import math
import re
import secrets
import shlex
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from msgspec import Struct

from provision.lines import lines_of
from provision.model import Login
from provision.remote.protocol import NOISE
from provision.transport.bound import Bound
from provision.transport.channel import FAILED, ProcessChannel, logged
from provision.transport.failure import CutOff, Dropped, HostError, not_begun
from provision.transport.line import Line
from provision.transport.proxy_command import ProxyCommand
from provision.transport.target import Target, question

#: ssh's message in its log -> the failure of the host. The first match counts. The log has no text of the host: ssh
#: writes a host's banner to standard error.
_SAYS = (
    (
        r"Host key verification failed|IDENTIFICATION HAS CHANGED|REVOKED HOST KEY|host key is known|Host key .*revoke",
        "host_key",
    ),
    (r"KnownHostsCommand failed", "host_key"),
    (r"Permission denied|Too many authentication failures|No supported authentication|sign_and_send_pubkey", "auth"),
    # Before the key exchange, for example by sshd's MaxStartups: the host has not checked a login.
    (r"(kex|ssh)_exchange_identification|banner exchange|banner line", "dropped"),
    (r"Connection (closed|reset) by|Connection to .* port .*: |[Bb]roken pipe", "cut off"),
)
#: In the log of ssh with LogLevel VERBOSE, when a login has succeeded.
_LOGGED_IN = "Authenticated to "
#: Part of ssh's message where a ProxyCommand is the connection.
_PROXIED = "UNKNOWN port 65535"
#: The longest time in seconds until an open login is checked again.
_CHECK = 0.5


class Asked(Struct, frozen=True):
    """``fresh`` does not share a connection that ssh keeps open (ControlMaster). ``hops`` are the jump hosts, the one
    next to the host first. Hold ``pace`` during a login."""

    connect_timeout: float
    accept_new: bool
    fresh: bool
    hops: tuple[tuple[Login, Target], ...] = ()
    pace: Callable[[], AbstractContextManager[object]] = nullcontext


class Process(Line):
    """A connection that runs each exec in an ``ssh`` process. The first process is logged in already."""

    def __init__(self, login: Login, one: Target, asked: Asked, bound: Bound) -> None:
        """Log in. Raises :class:`HostError`: ``unreachable``, ``host_key``, ``auth``, ``timeout``, ``protocol``."""
        super().__init__(one.address, one.user, one.port, {})
        if login.password is not None:
            message = "provision_transport: openssh does not support ansible_password; use a key or an agent"
            raise HostError("auth", message)
        ssh = shutil.which("ssh")
        if ssh is None:
            raise HostError("unreachable", "provision_transport: openssh needs an ssh program on this machine")
        self._ssh, self._login, self._one, self._asked, self._bound = ssh, login, one, asked, bound
        self._folder = Path(tempfile.mkdtemp(prefix="provision-ssh-"))
        self._waiting: ProcessChannel | None = None
        self._channels: list[ProcessChannel] = []
        self._lock = threading.Lock()
        self._closed = False
        try:
            self._waiting = self._started(bound)
        except BaseException:
            with contextlib.suppress(OSError):
                self.close()
            raise

    @property
    def is_connected(self) -> bool:
        return not self._closed

    def create_session(self) -> ProcessChannel:
        with self._lock:
            waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.closed:
            return waiting
        with self._asked.pace():
            return self._started(self._bound.again())

    def tunnel(self, address: str, port: int) -> ProxyCommand:
        """A connection that the host opens (ssh(1), ``-W``)."""
        where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        return ProxyCommand(shlex.join([*self._argv("tunnel"), "-W", where, *self._place]))

    def close(self) -> None:
        self._closed = True
        for channel in self._channels:
            channel.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def cut(self) -> None:
        """End the connection from another thread."""
        self._closed = True
        for channel in self._channels:
            channel.kill()

    @property
    def _place(self) -> list[str]:
        return ["--", self._login.address]

    def _started(self, bound: Bound) -> ProcessChannel:
        mark = secrets.token_hex(16)
        command = f"exec /bin/sh -c 'echo {mark}; IFS= read -r line && eval \"$line\"'"
        argv = self._argv(mark)
        try:
            channel = ProcessChannel([*argv, *self._place, command], self._log(mark))
        except OSError as error:
            raise HostError("unreachable", f"{self._ssh} can't be started: {error.strerror}") from error
        self._channels.append(channel)
        if self._closed:
            channel.kill()
        said, there = bytearray(), f"{mark}\n".encode()
        logged_in = False
        while there not in said and len(said) < NOISE:
            channel.in_buffer.set_event(ready := threading.Event())
            if channel.recv_ready():
                said += channel.recv(65_536)
            elif channel.closed:
                break
            elif not bound.passed:
                ready.wait(min(_CHECK, bound.left))
            elif not logged_in and _LOGGED_IN in _text(self._log(mark)):
                # The start of the shell has a time limit of its own.
                logged_in = True
                bound.renew(2 * bound.seconds)
            else:
                break
        if there not in said:
            raise self._refused(channel, mark, said, bound)
        return channel

    def _refused(self, channel: ProcessChannel, mark: str, said: bytearray, bound: Bound) -> HostError:
        name, text = self._one.name, _text(self._log(mark))
        if not channel.wait(0.0):
            channel.kill()
            if time.monotonic() >= bound.deadline:
                return HostError("timeout", f"{name}: the login did not finish before the host's deadline")
            if len(said) >= NOISE:
                return HostError("protocol", f"{name}: the login shell ran no script and did not exit")
            within = f"within {bound.seconds:g} s (--connect-timeout)"
            if _LOGGED_IN in text:
                return HostError("timeout", f"{name}: the login succeeded, and {_waits(bytes(said))}")
            return HostError("unreachable", f"{self._slow(mark)} did not finish a login {within}")
        err = b""
        while channel.recv_stderr_ready():
            err += channel.recv_stderr(4096)
        if not channel.failed and channel.exit_status != FAILED:
            return not_begun(self._login, channel.exit_status, bytes(said), err)
        return self._failure(mark, err.decode("utf-8", "replace"))

    def _slow(self, mark: str) -> str:
        """Which login is under way: the first jump host that has not reported one, or the host."""
        for number, (_, one) in reversed([*enumerate(self._asked.hops, 1)]):
            if _LOGGED_IN not in _text(self._log(mark, number)):
                return f"jump host {one.name}"
        return self._one.name

    def _failure(self, mark: str, err: str) -> HostError:
        """Return the error of the login that failed: the host's, or the one of a jump host before it."""
        own = logged(self._log(mark))
        kind = _kind(own)
        if kind in ("host_key", "auth"):
            return _error(kind, self._one, own, "")
        # The jump host that ssh reaches first is the last one of the list.
        for number, (_, one) in reversed([*enumerate(self._asked.hops, 1)]):
            if said := logged(self._log(mark, number)):
                return _error(_kind(said), one, said, "jump host ")
        if not self._asked.hops and _PROXIED in own:
            # Another attempt does not help. A ProxyCommand writes its errors to standard error.
            kind, own = "unreachable", f"{err}\n{own}"
        return _error(kind, self._one, own, "")

    def _log(self, mark: str, jump: int = 0) -> Path:
        return self._folder / (f"{mark}.jump{jump}.log" if jump else f"{mark}.log")

    def _argv(self, mark: str) -> list[str]:
        """ssh's command line up to the host. ssh uses the first value of an option, so provision's come first. Each
        jump host has the same options in the command line of its own ssh: ssh itself would pass only ``-F`` on."""
        proxy = ""
        hops = [*enumerate(self._asked.hops, 1)]
        behind = [self._one, *(one for _, one in self._asked.hops)]
        for number, (login, one) in reversed(hops):
            to = behind[number - 1]
            words = self._words(login, one, self._log(mark, number), proxy)
            argv = [*words, "-W", f"[{to.address}]:{to.port}", "--", login.address]
            proxy = shlex.join(argv).replace("%", "%%")
        return self._words(self._login, self._one, self._log(mark), proxy)

    def _words(self, login: Login, one: Target, log: Path, proxy: str) -> list[str]:
        options = self._enforced(login, one)
        if proxy:
            options["ProxyCommand"] = proxy
        elif login.hop and one.jump is not None:
            options["ProxyJump"] = "none"  # a pattern of ssh_config that matches the jump host too
        given = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        keys = [word for path in _keys(login, one) for word in ("-o", f"IdentityFile={_quoted(path)}")]
        words = question(login).account
        # ssh refuses -J next to a ProxyCommand.
        words = [word for before, word in zip(["", *words], words, strict=False) if "-J" not in (before, word)]
        return [self._ssh, "-T", "-E", str(log), *given, *keys, *words]

    def _enforced(self, login: Login, one: Target) -> dict[str, str]:
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": str(max(1, math.ceil(self._asked.connect_timeout))),
            "StrictHostKeyChecking": "accept-new" if one.rules.accept_new and not one.rules.strict else "yes",
            "UpdateHostKeys": "no",
            "LogLevel": "VERBOSE",
            "ServerAliveInterval": "5",
            "ServerAliveCountMax": "4",
            "ClearAllForwardings": "yes",
            "EscapeChar": "none",
        }
        # Options of OpenSSH 8.7; older versions refuse unknown options.
        later = {"StdinNull": "no", "ForkAfterAuthentication": "no"}
        if not login.hop:
            later["SessionType"] = "default"
            if self._asked.fresh:
                options |= {"ControlMaster": "no", "ControlPath": "none"}
        options |= {name: value for name, value in later.items() if name.lower() in one.found.values}
        if login.known_hosts is not None:
            options |= {"UserKnownHostsFile": _quoted(login.known_hosts), "GlobalKnownHostsFile": "none"}
            if "knownhostscommand" in one.found.values:  # OpenSSH 8.4 or later
                options["KnownHostsCommand"] = "none"
        if login.key_file is not None and not (login.hop and one.chosen):
            options["IdentitiesOnly"] = "yes"
        return options


def _keys(login: Login, one: Target) -> list[Path]:
    """The keys of the inventory. A jump host takes them after the keys of its own configuration."""
    if login.key_file is None:
        return []
    return [*(one.identities if login.hop and one.chosen else ()), login.key_file]


def _waits(said: bytes) -> str:
    printed = f"printed {lines_of(text)[-1]!r} and " if (text := said.decode("utf-8", "replace").strip()) else ""
    return (
        f"its shell {printed}did not start sh in time (does a start file such as ~/.bashrc read standard input, or "
        "wait for something?)"
    )


def _text(log: Path) -> str:
    try:
        return log.read_text(errors="replace")
    except OSError:
        return ""


def _kind(said: str) -> str:
    return next((kind for pattern, kind in _SAYS if re.search(pattern, said)), "unreachable")


def _error(kind: str, one: Target, said: str, jump: str) -> HostError:
    lines = [text.strip(" \r") for text in lines_of(said) if text.strip("@ \r")]
    text = "; ".join(lines) or "ssh exited with 255 and printed nothing"
    if kind == "host_key":
        what = "has changed" if "HAS CHANGED" in said else "is not known" if "key is known" in said else "is refused"
        return HostError("host_key", f"the key of {jump}{one.name} {what}: {text}")
    if kind == "auth":
        return HostError("auth", f"{jump}{one.user}@{one.name} refused every login method: {lines[-1]}")
    message = f"{jump}{one.name}: {text}"
    if kind == "dropped":
        return Dropped(message)
    return CutOff(message, counted=False) if kind == "cut off" else HostError("unreachable", message)


def _quoted(path: Path) -> str:
    """A path as a value of ssh_config(5)."""
    return '"' + str(path.absolute()).replace("%", "%%") + '"'


def at_a_terminal(login: Login) -> list[str]:
    """ssh's command line for a person, up to the host: the inventory's login. ssh itself asks for passwords, and its
    configuration decides about host keys."""
    words: list[str] = []
    if login.key_file is not None:
        words += ["-o", "IdentitiesOnly=yes", "-o", f"IdentityFile={_quoted(login.key_file)}"]
    if login.known_hosts is not None:
        words += ["-o", f"UserKnownHostsFile={_quoted(login.known_hosts)}", "-o", "GlobalKnownHostsFile=none"]
    return ["ssh", *words, *question(login).account, "--", login.address]
