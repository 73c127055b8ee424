"""fabric's connections, with a verified host key, ssh's configuration, and a deadline for the whole login."""

from __future__ import annotations

import contextlib
import logging
import math
import random
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import paramiko
from fabric import Connection
from msgspec import Struct

from provision.errors import SpecError, Where
from provision.model import Host, Login
from provision.transport import jumps, known_hosts, openssh
from provision.transport.bound import Bound
from provision.transport.client import Algorithms
from provision.transport.credentials import Credentials, may_ask
from provision.transport.failure import CutOff, Dropped, HostError, in_words
from provision.transport.host_keys import Verifier
from provision.transport.jumps import Jumps
from provision.transport.line import Line, cut
from provision.transport.private_keys import Agent, Encrypted, Keys, locked
from provision.transport.prompter import Ask, Prompter
from provision.transport.proxy_command import ProxyCommand
from provision.transport.sockets import Watchdog, connect, kill
from provision.transport.ssh_config import Resolver, expand
from provision.transport.target import Target, question, target
from provision.transport.tunnel import Tunnel

__all__ = ["Connecting", "HostError", "Transport", "cut"]

# provision itself reports a broken connection, once and with the host's name. An application that configures logging
# still receives paramiko's messages.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

#: Seconds until a dropped login is tried again, varied at random. sshd's MaxStartups drops some logins of a burst
#: (sshd_config(5)); they must not all be repeated at the same moment.
_RETRIES = (0.3, 1.0, 2.5, 4.0, 6.0)
#: Seconds by which paramiko's own time limits are longer than the login's: one clock decides.
_LATER = 60.0


class Connecting(Struct, frozen=True):
    """``connect_timeout`` in seconds, for a login with all its attempts (:mod:`provision.transport.bound`); a jump host
    has its own. ``accept_new`` stores the key of a
    host that no known_hosts file has; a key that differs from a known one is always refused. ``interactive`` means that
    an operator at a terminal can be asked for passwords and passphrases."""

    connect_timeout: float = 10.0
    accept_new: bool = False
    interactive: bool = False


class Transport:
    """Opens connections. All hosts behind a jump host share its connection."""

    def __init__(self, options: Connecting) -> None:
        self.options = options
        self.watchdog = Watchdog()
        self.resolver = Resolver()
        self.prompter = Prompter(options.interactive)
        self._keys = Keys(self.prompter)
        self._jumps = Jumps(self._open)
        self._targets: dict[Login, Target] = {}

    @property
    def notes(self) -> list[str]:
        """Notes for the operator about how connections are made."""
        return self.resolver.notes

    def prepare(self, logins: Iterable[Login]) -> None:
        """Ask ssh about every host, and read every key and known_hosts file, before the first connection. Raises
        :class:`SpecError`."""
        logins = new = list(logins)
        while new:
            self._resolve(new)
            hops = [self._hop(login, self._targets[login]) for login in new]
            new = [hop for hop in dict.fromkeys(hops) if hop is not None and hop not in self._targets]
        for login in logins:
            self.route(login)
        for login, one in self._targets.items():
            self._check(login, one)

    def _resolve(self, logins: list[Login]) -> None:
        answers = self.resolver.resolve(question(login) for login in logins)
        for login, found in zip(logins, answers, strict=True):
            self._targets[login] = target(login, found, self.options.accept_new)

    def _check(self, login: Login, one: Target) -> None:
        if login.transport == "openssh":
            return
        if login.key_file is not None:
            self._check_key(login.key_file, one)
        for path in one.rules.files:
            known_hosts.read(path)
        Algorithms(one.found)
        if one.command is not None:
            expand(one.command, one.tokens, variables=False)

    def _check_key(self, path: Path, one: Target) -> None:
        try:
            self._keys.load(path)
        except Encrypted:
            # Otherwise a login asks for the passphrase, where the host would accept the key.
            if not may_ask(self.prompter, one) and not self._agent_has(one.agent, self._keys.public(path)):
                raise locked(path) from None
        except OSError as error:
            name = "ansible_ssh_private_key_file"
            raise SpecError(f"{path} is not a private key: {error.strerror}", where=Where(path, 1), key=name) from error
        except SpecError:
            # The file is a public key: the agent has the private key.
            if not self._agent_has(one.agent, self._keys.public(path)):
                raise

    def _agent_has(self, path: str, blob: bytes | None) -> bool:
        if not path or blob is None:
            return False
        with contextlib.closing(Agent(path)) as agent:
            return any(key.blob == blob for key in agent.get_keys())

    def route(self, login: Login) -> list[tuple[Login, Target]]:
        """The login of a host, and those of the jump hosts before it, nearest first. Raises :class:`SpecError` for a
        circle of jump hosts."""
        found: dict[Login, Target] = {}
        hop: Login | None = login
        while hop is not None:
            if hop in found:
                raise SpecError(f"{login.address}: its jump host {hop.address} is behind itself", key="ProxyJump")
            found[hop] = self._target(hop)
            hop = self._hop(hop, found[hop])
        return [*found.items()]

    def open(self, host: Host, deadline: float, fresh: bool = False) -> Connection:
        """Return an open connection. ``fresh`` never shares one that ssh keeps open (ControlMaster): it tests whether
        the host accepts a new login.

        Raises :class:`HostError`: ``unreachable``, ``host_key``, ``auth``, ``timeout``.
        """
        (login, one), *hops = self.route(host.login)
        hop = hops[0][0] if hops else None
        with self._pace(hop, deadline):
            if login.transport != "openssh":
                return self._open(login, deadline)
            asked = openssh.Asked(
                self.options.connect_timeout,
                self.options.accept_new,
                fresh,
                tuple(hops),
                lambda: self._pace(hop, math.inf),
            )
            made = self._repeated(lambda bound: openssh.Process(login, one, asked, bound), deadline)
            made.watchdog = self.watchdog
            return made

    @contextlib.contextmanager
    def _pace(self, hop: Login | None, deadline: float) -> Iterator[None]:
        """Wait until a login through the jump host may begin. Raises :class:`HostError` at the deadline."""
        if hop is None:
            yield
            return
        turn = self._jumps.pace(hop)
        if not turn.acquire(timeout=min(threading.TIMEOUT_MAX, max(0.0, deadline - time.monotonic()))):
            raise HostError("timeout", f"{hop.address}: other logins through this jump host took too long")
        try:
            yield
        finally:
            turn.release()

    def _open(self, login: Login, deadline: float) -> Connection:
        """Log in with the built-in transport, over the connection to the jump host if there is one."""
        one = self._target(login)
        hop = self._hop(login, one)
        if hop is None:
            return self._repeated(lambda bound: self._log_in(login, one, bound, None), deadline)
        self._jumps.open(hop, deadline)  # the login of the jump host has its own time limit
        return self._repeated(
            lambda bound: self._log_in(login, one, bound, self._jumps.open(hop, bound.deadline)), deadline
        )

    def _hop(self, login: Login, one: Target) -> Login | None:
        """The login of the jump host, if there is one."""
        hop = jumps.hop(one.jump, login) if one.jump is not None else None
        # A pattern of ssh_config that matches the jump host too must not send it through itself.
        return None if hop is not None and login.hop and hop.address == login.address else hop

    def _repeated(self, attempt: Callable[[Bound], Line], deadline: float) -> Line:
        """Log in, and repeat a login that the host drops before it checks it. An interrupted login is not repeated:
        sshd would block this address for a time (PerSourcePenalties)."""
        bound = Bound(self.options.connect_timeout, deadline, self.prompter)
        for number, pause in enumerate((*_RETRIES, math.inf), 1):
            pause *= random.uniform(0.7, 1.3)  # noqa: S311 - no secret
            try:
                return attempt(bound)
            except Dropped as error:
                if pause >= bound.left:
                    if number == 1:
                        raise
                    raise Dropped(f"{error.failure.message} ({number} attempts)") from error
            time.sleep(pause)
        raise RuntimeError("the last attempt is not followed by another one")

    def share(self, processes: int, ask: Ask) -> None:
        """Continue in one of several processes of a run, before the first connection: ``ask`` asks the operator, and
        every process has its own connection to a jump host."""
        self.prompter.delegate(ask)
        self._jumps.share(processes)
        self.watchdog = Watchdog()

    def close(self) -> None:
        self.prompter.cancel()
        self._jumps.close()
        self.watchdog.close()

    def _target(self, login: Login) -> Target:
        if login not in self._targets:
            self._resolve([login])
        return self._targets[login]

    def _log_in(self, login: Login, one: Target, bound: Bound, gateway: Connection | None) -> Line:
        later = bound.left + _LATER
        # While the operator types, the limit of the login moves, and paramiko's does not.
        patience = max(later, bound.deadline - time.monotonic()) if self.options.interactive else later
        arguments: dict[str, Any] = {"banner_timeout": later, "auth_timeout": patience, "channel_timeout": later}
        credentials = Credentials(login, one, self._keys, self.prompter, until=bound.deadline)
        connection = Line(one.address, one.user, one.port, arguments)
        connection.through, connection.watchdog = gateway, self.watchdog
        sock: Any = None
        try:
            verifier = Verifier(one.rules, bound.end)
            arguments["transport_factory"] = Algorithms(one.found).transport(verifier)
            arguments["auth_strategy"] = credentials
            # A client without keys asks its policy about every key. provision's policy has all keys of a host; a client
            # has only one key of each kind.
            connection.client.set_missing_host_key_policy(verifier)
            sock = arguments["sock"] = self._socket(one, gateway, bound.left)
            with bound.enforced(self.watchdog, lambda: kill(sock)):
                connection.open()
        except HostError:
            raise
        except SpecError as error:
            raise HostError("auth", f"{one.user}@{one.name}: {error}") from error
        except socket.gaierror as error:
            raise HostError("unreachable", f"{one.address}: {error.strerror}") from error
        except (paramiko.SSHException, OSError, EOFError) as error:
            if bound.passed or isinstance(error, TimeoutError):
                raise _too_slow(one, bound, sock, connection, credentials) from error
            if gateway is not None and not gateway.is_connected:
                raise _lost(one, gateway) from error
            if isinstance(error, paramiko.AuthenticationException):
                raise _not_let_in(one, connection, credentials, error) from error
            raise _unreached(one, gateway, sock, error) from error
        finally:
            if sock is not None and not connection.is_connected:
                kill(sock)
        connection.transport.set_keepalive(15)
        return connection

    def _socket(self, one: Target, gateway: Connection | None, timeout: float) -> Any:
        if gateway is not None:
            return Tunnel(gateway.transport, one.address, one.port, timeout)
        if one.command is not None:
            return ProxyCommand(expand(one.command, one.tokens, variables=False))
        return connect(one.address, one.port, timeout, one.family, one.source)


def _too_slow(one: Target, bound: Bound, sock: Any, connection: Connection, credentials: Credentials) -> HostError:
    """Return the error of a login that was not finished in time: which part of it."""
    if time.monotonic() >= bound.deadline:
        return HostError("timeout", f"{one.name}: the login did not finish before the host's deadline")
    transport: Any = connection.client.get_transport()
    if transport is None:
        part = "did not answer"
    elif not transport.remote_version:
        part = "sent no SSH banner"
    elif not transport.initial_kex_done:
        part = "did not finish the key exchange"
    else:
        part = "did not answer the login"
    message = f"{one.name} {part} within {bound.seconds:g} s (--connect-timeout){_said(sock)}"
    return CutOff(message, counted=True) if credentials.sent_password else HostError("unreachable", message)


def _not_let_in(one: Target, connection: Connection, credentials: Credentials, error: Exception) -> HostError:
    """Return the error of a login that was not accepted. Only an answer of the host is a refusal. paramiko raises the
    same exception for a host that closes the connection, for example because it shuts down (``auth_handler.py``,
    ``wait_for_response``)."""
    farewell = getattr(connection.client.get_transport(), "farewell", "")
    if "saw EOF" in str(error) and not farewell:
        reason = "is the host shutting down, or the account locked?"
        message = f"{one.name} closed the connection during the login of {one.user} ({reason})"
        return CutOff(message, credentials.sent_password)
    return HostError("auth", f"{one.user}@{one.name} refused every login method: {farewell or error}")


def _unreached(one: Target, gateway: Connection | None, sock: Any, error: Exception) -> HostError:
    """Return the error with the reason why there is no connection."""
    if isinstance(error, paramiko.ChannelException) and gateway is not None:
        # The text is sshd's own (serverloop.c, "Connection refused" and others come from the system).
        return HostError(
            "unreachable", f"{one.name}: its jump host {gateway.host} cannot connect to it: {error.text or error.code}"
        )
    reason = f"{one.name}: {in_words(error)}"
    if isinstance(sock, ProxyCommand):
        # The message of the command is more specific than the fact that it ended.
        return HostError("unreachable", f"{reason}{_said(sock)}")
    if isinstance(error, paramiko.ssh_exception.IncompatiblePeer):
        return HostError("unreachable", f"{reason} (provision_transport: openssh may support what it offers)")
    if sock is not None and ("banner" in str(error) or isinstance(error, (EOFError, ConnectionError))):
        return Dropped(reason)
    return HostError("unreachable", reason)


def _said(sock: Any) -> str:
    return f"; ProxyCommand: {sock.said or 'it printed nothing'}" if isinstance(sock, ProxyCommand) else ""


def _lost(one: Target, gateway: Connection) -> Dropped:
    return Dropped(f"{one.address}: lost the connection to its jump host {gateway.host}")
