"""``provision_transport: openssh``: one ``ssh`` process for each exec, with the script on its standard input.

ssh runs one fixed command on the host: a shell that reports its start and then reads a line with the command to run.
So provision detects a failed login when it opens a connection. As with the other transport, a host in the desired state
needs one login and one exec.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import shlex
import shutil
import tempfile
import threading
import time
from pathlib import Path

from msgspec import Struct

from provision.lines import lines_of
from provision.model import Login
from provision.remote.protocol import NOISE
from provision.transport.channel import FAILED, ProcessChannel
from provision.transport.failure import Dropped, HostError, not_begun
from provision.transport.line import Line
from provision.transport.proxy_command import ProxyCommand
from provision.transport.sockets import Watchdog
from provision.transport.ssh_config import SYSTEM_FILE, user_file
from provision.transport.target import Target

#: ssh's message -> the failure of the host. The first match counts.
_SAYS = (
    (
        r"Host key verification failed|IDENTIFICATION HAS CHANGED|REVOKED HOST KEY|host key is known|Host key .*revoke",
        "host_key",
    ),
    (r"KnownHostsCommand failed", "host_key"),
    (r"Permission denied|Too many authentication failures|No supported authentication|sign_and_send_pubkey", "auth"),
    # From a ProxyCommand or a jump host, which has no address for ssh: another attempt would not help.
    (r"UNKNOWN port 65535", "unreachable"),
    (r"kex_exchange_identification|Connection (closed|reset) by|banner", "dropped"),
)


class Asked(Struct, frozen=True):
    """``fresh`` does not share a connection that ssh keeps open (ControlMaster)."""

    connect_timeout: float
    accept_new: bool
    fresh: bool


class Process(Line):
    """A connection that runs each exec in an ``ssh`` process. The first process is logged in already."""

    def setup(self, login: Login, one: Target, asked: Asked) -> None:
        ssh = shutil.which("ssh")
        if ssh is None:
            raise HostError("unreachable", "provision_transport: openssh needs an ssh program on this machine")
        self._ssh, self._login, self._one, self._asked = ssh, login, one, asked
        self._folder = Path(tempfile.mkdtemp(prefix="provision-ssh-"))
        self._waiting: ProcessChannel | None = None
        self._channels: list[ProcessChannel] = []
        self._lock = threading.Lock()
        self._closed = self._given_up = False

    @property
    def is_connected(self) -> bool:
        return not self._closed

    def log_in(self, deadline: float, watchdog: Watchdog) -> None:
        """Raises :class:`HostError`: ``unreachable``, ``host_key``, ``auth``, ``timeout``, ``protocol``."""
        number = watchdog.watch(min(deadline, time.monotonic() + self._patience), self.give_up)
        try:
            self._waiting = self._started(deadline)
        finally:
            watchdog.drop(number)

    def create_session(self) -> ProcessChannel:
        with self._lock:
            waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.closed:
            return waiting
        return self._started(time.monotonic() + self._patience)

    def tunnel(self, address: str, port: int) -> ProxyCommand:
        """A connection that the host opens (ssh(1), ``-W``)."""
        where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        return ProxyCommand(shlex.join([*self._argv(self._folder / "tunnel.log"), "-W", where, *self._place]))

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

    def give_up(self) -> None:
        """End a login that takes too long."""
        self._given_up = True
        self.cut()

    @property
    def _patience(self) -> float:
        """Seconds for a login, including the start of the shell."""
        return 3 * self._asked.connect_timeout

    @property
    def _place(self) -> list[str]:
        return ["--", self._login.address]

    def _started(self, deadline: float) -> ProcessChannel:
        mark = secrets.token_hex(16)
        log = self._folder / f"{mark}.log"
        command = f"exec /bin/sh -c 'echo {mark}; IFS= read -r line && eval \"$line\"'"
        try:
            channel = ProcessChannel([*self._argv(log), *self._place, command], log)
        except OSError as error:
            raise HostError("unreachable", f"{self._ssh} can't be started: {error.strerror}") from error
        self._channels.append(channel)
        if self._closed:
            channel.kill()
        said, there = bytearray(), f"{mark}\n".encode()
        # ssh itself ends the login to a silent host. The watchdog ends the login to a host that sends single bytes.
        while there not in said and time.monotonic() < deadline and len(said) < NOISE:
            channel.in_buffer.set_event(ready := threading.Event())
            if channel.recv_ready():
                said += channel.recv(65_536)
            elif channel.closed:
                break
            else:
                ready.wait(max(0.0, deadline - time.monotonic()))
        if there not in said:
            raise self._refused(channel, said, deadline)
        return channel

    def _refused(self, channel: ProcessChannel, said: bytearray, deadline: float) -> HostError:
        if self._given_up or not channel.wait(0.0):
            channel.kill()
            if time.monotonic() >= deadline:
                return HostError("timeout", f"{self._one.name}: the login did not finish before the host's deadline")
            if self._given_up:
                within = f"within {self._patience:.0f} s (three times --connect-timeout)"
                return HostError("timeout", f"{self._one.name}: no login, or no shell, {within}")
            return HostError("protocol", f"{self._one.name}: the login shell ran no script and did not exit")
        name, err = self._one.name, b""
        while channel.recv_stderr_ready():
            err += channel.recv_stderr(4096)
        if not channel.failed and channel.exit_status != FAILED:
            return not_begun(self._login, channel.exit_status, bytes(said), err)
        # The ssh of a jump host and a ProxyCommand write their errors to standard error.
        words = f"{err.decode('utf-8', 'replace')}\n{channel.logged}"
        kind = next((kind for pattern, kind in _SAYS if re.search(pattern, words)), "unreachable")
        lines = [text for text in lines_of(words) if text.strip("@ \r")] or ["ssh exited with 255 and printed nothing"]
        text = "; ".join(text.strip(" \r") for text in lines)
        if kind == "host_key":
            what = (
                "has changed" if "HAS CHANGED" in words else "is not known" if "key is known" in words else "is refused"
            )
            return HostError("host_key", f"the key of {name} {what}: {text}")
        if kind == "auth":
            return HostError("auth", f"{self._one.user}@{name} refused every login method: {lines[-1].strip(chr(13))}")
        if kind == "dropped":
            return Dropped(f"{name}: {text}")
        return HostError("unreachable", f"{name}: {text}")

    def _argv(self, log: Path) -> list[str]:
        """ssh's command line up to the host. ssh uses the first value of an option, so provision's come first."""
        words = self._login
        given = [*self._enforced().items()]
        if self._one.jump is None or (words.key_file is None and words.known_hosts is None):
            options = [word for name, value in given for word in ("-o", f"{name}={value}")]
            return [self._ssh, "-T", "-E", str(log), *options, *self._words()]
        # The ssh of a jump host receives only -F of this command line (ssh.c).
        config, rest = self._jump_config(given)
        return [self._ssh, "-T", "-E", str(log), "-F", str(config), *rest]

    def _enforced(self) -> dict[str, str]:
        found, asked, login = self._one.found, self._asked, self._login
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": str(max(1, round(asked.connect_timeout))),
            "StrictHostKeyChecking": "accept-new"
            if self._one.rules.accept_new and not self._one.rules.strict
            else "yes",
            "UpdateHostKeys": "no",
            "LogLevel": "INFO",
            "ServerAliveInterval": "5",
            "ServerAliveCountMax": "4",
            "ClearAllForwardings": "yes",
            "EscapeChar": "none",
        }
        # Options of OpenSSH 8.7; older versions refuse unknown options.
        later = {"StdinNull": "no", "ForkAfterAuthentication": "no", "SessionType": "default"}
        options |= {name: value for name, value in later.items() if name.lower() in found.values}
        if asked.fresh:
            options |= {"ControlMaster": "no", "ControlPath": "none"}
        if login.known_hosts is not None:
            options |= {"UserKnownHostsFile": _quoted(login.known_hosts), "GlobalKnownHostsFile": "none"}
            if "knownhostscommand" in found.values:  # OpenSSH 8.4 or later
                options["KnownHostsCommand"] = "none"
        if login.key_file is not None:
            options |= {"IdentityFile": _quoted(login.key_file), "IdentitiesOnly": "yes"}
        return options

    def _words(self) -> list[str]:
        login = self._login
        words = list(login.ssh_before)
        words += ["-p", str(login.port)] if login.port is not None else []
        words += ["-l", login.user] if login.user is not None else []
        return [*words, *login.ssh_behind]

    def _jump_config(self, given: list[tuple[str, str]]) -> tuple[Path, list[str]]:
        """A configuration with provision's options before the operator's, and the remaining command-line words."""
        words, rest = self._words(), []
        files = [user_file(), SYSTEM_FILE]
        while words:
            word = words.pop(0)
            if word == "-F":
                files = [Path(words.pop(0)).absolute()]
            else:
                rest.append(word)
        lines = ["Host *", *(f"{name} {value}" for name, value in given), *(f"Include {_quoted(one)}" for one in files)]
        path = self._folder / "config"
        path.write_text("".join(f"{text}\n" for text in lines))
        return path, rest


def _quoted(path: Path) -> str:
    """A path as a value of ssh_config(5)."""
    return '"' + str(path.absolute()).replace("%", "%%") + '"'


def open_process(login: Login, one: Target, asked: Asked, deadline: float, watchdog: Watchdog) -> Process:
    """Return a connection whose login has succeeded."""
    if login.password is not None:
        raise HostError("auth", "provision_transport: openssh does not support ansible_password; use a key or an agent")
    process = Process(one.address, one.user, one.port, {})
    process.setup(login, one, asked)
    try:
        process.log_in(deadline, watchdog)
    except BaseException:
        with contextlib.suppress(OSError):
            process.close()
        raise
    return process
