"""Connections: fabric's, with the host's key verified, the user's ssh_config honoured and a deadline on all of it."""

from __future__ import annotations

import contextlib
import getpass
import logging
import random
import socket
import threading
import time
from functools import cached_property
from pathlib import Path
from typing import Any

import paramiko
from fabric import Config, Connection
from msgspec import Struct
from paramiko.pkey import PKey

from provision.errors import SpecError, UsageError, Where
from provision.lines import lines_of
from provision.model import Failure, Host, Login
from provision.transport import known_hosts
from provision.transport.known_hosts import KnownHosts
from provision.transport.sockets import Watchdog, connect
from provision.transport.tunnel import Tunnel

# What paramiko logs of a broken connection we say ourselves, once and with the host's name; whoever sets up logging
# still gets it.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

#: paramiko still offers these; nobody should use them (RFC 8758, OpenSSH 7.4 and later).
_DISABLED = {
    "ciphers": ["3des-cbc", "aes128-cbc", "aes192-cbc", "aes256-cbc"],
    "macs": ["hmac-md5", "hmac-md5-96", "hmac-sha1", "hmac-sha1-96"],
    "kex": ["diffie-hellman-group1-sha1", "diffie-hellman-group14-sha1", "diffie-hellman-group-exchange-sha1"],
}

#: A dropped login (sshd's MaxStartups drops some of a burst, sshd_config(5)) is tried again after about so many
#: seconds: not all of a burst at the same moment once more.
_RETRIES = (0.3, 1.0, 2.5, 4.0, 6.0)

#: Logins under way through one jump host; its sshd's stock MaxStartups begins to drop at 10.
_THROUGH_JUMP = 6


class HostError(Exception):
    """A host can't go on; ``failure`` says why."""

    def __init__(self, kind: str, message: str, **more: Any) -> None:
        self.failure = Failure(kind, message, **more)
        super().__init__(message)


class _Dropped(HostError):
    """Nobody looked at who we are yet: another try may fare better."""

    def __init__(self, message: str) -> None:
        super().__init__("unreachable", message)


class Connecting(Struct, frozen=True):
    """``connect_timeout`` in seconds, for each of TCP, banner and authentication. ``accept_new`` stores the key
    of a host that nobody knows yet; a key that differs from a known one is refused always."""

    connect_timeout: float = 10.0
    accept_new: bool = False


class Target(Struct, frozen=True):
    """A login with ssh_config's answers for what it left open."""

    address: str
    port: int
    user: str
    known_hosts: tuple[Path, ...]
    jump: str | None
    command: str | None
    identities: tuple[Path, ...]


class _Line(Connection):
    """fabric's connection. All that it keeps are attributes that its class has: asking at each whether it might be a
    setting instead (invoke's DataProxy) takes longer than the rest of it."""

    def __setattr__(self, key: str, value: Any) -> None:
        object.__setattr__(self, key, value)


class Transport:
    """Opens connections. Gateways are shared by all the hosts behind them."""

    def __init__(self, options: Connecting) -> None:
        self.options = options
        self.watchdog = Watchdog()
        self._gateways: dict[str, Connection] = {}
        self._gateway_lock = threading.RLock()
        self._pace: dict[str, threading.Semaphore] = {}
        self._keys: dict[Path, PKey] = {}

    @cached_property
    def ssh_config(self) -> paramiko.SSHConfig:
        """The user's file, then the system's: the first value found wins (ssh_config(5))."""
        config = paramiko.SSHConfig()
        for path in (Path("~/.ssh/config").expanduser(), Path("/etc/ssh/ssh_config")):
            if path.is_file():
                try:
                    config.parse(lines_of(path.read_text()))
                except (paramiko.ConfigParseError, OSError) as error:
                    raise UsageError(f"{path}: {error}") from error
        return config

    def prepare(self, logins: list[Login]) -> None:
        """Read every key and known_hosts file before the first host is touched; raises :class:`SpecError`."""
        self.ssh_config  # noqa: B018 - parsed here and not by 50 threads at once
        for login in logins:
            if login.key_file is not None:
                self._key(login.key_file)
            for path in self._target(login).known_hosts:
                known_hosts.read(path)

    def open(self, host: Host, deadline: float) -> Connection:
        """An open connection. Raises :class:`HostError`: ``unreachable``, ``host_key``, ``auth``, ``timeout``."""
        target = self._target(host.login)
        last = _Dropped("never tried")
        for pause in (0.0, *_RETRIES):
            time.sleep(pause * random.uniform(0.7, 1.3))  # noqa: S311 - no secret
            try:
                return self._open(host.login, target, deadline)
            except _Dropped as error:
                last = error
                if time.monotonic() + _RETRIES[-1] > deadline:
                    break
        raise last

    def _open(self, login: Login, target: Target, deadline: float) -> Connection:
        if target.jump is None:
            return self._log_in(login, target, deadline, None)
        with self._gateway_lock:
            pace = self._pace.setdefault(target.jump, threading.Semaphore(_THROUGH_JUMP))
        with pace:
            return self._log_in(login, target, deadline, self._gateway(target.jump, login, deadline))

    def _gateway(self, jump: str, login: Login, deadline: float) -> Connection:
        """The one connection to a jump host, or to the last of a chain of them (``a,b``)."""
        with self._gateway_lock:
            held = self._gateways.get(jump)
            if held is not None and held.is_connected:
                return held
            before, _, last = jump.rpartition(",")
            user, _, place = last.rpartition("@")
            address, _, port = place.partition(":")
            hop = Login(
                address,
                int(port) if port.isdigit() else None,
                user or None,
                login.key_file,
                login.known_hosts,
                before or None,
            )
            target = self._target(hop)
            # A pattern of ssh_config that covers the jump host too must not send it through itself.
            through = None if target.jump in (None, jump) else self._gateway(str(target.jump), login, deadline)
            self._gateways[jump] = self._log_in(hop, target, deadline, through)
            return self._gateways[jump]

    def close(self) -> None:
        for connection in self._gateways.values():
            connection.close()
        self.watchdog.close()

    def _target(self, login: Login) -> Target:
        found = self.ssh_config.lookup(login.address)
        if login.known_hosts is not None:
            known: tuple[Path, ...] = (login.known_hosts,)
        elif "userknownhostsfile" in found:
            known = tuple(Path(word).expanduser() for word in found["userknownhostsfile"].split())
        else:
            known = (Path("~/.ssh/known_hosts").expanduser(), Path("/etc/ssh/ssh_known_hosts"))
        jump = login.proxy_jump or found.get("proxyjump")
        return Target(
            address=found.get("hostname", login.address),
            port=login.port or int(found.get("port", 22)),
            user=login.user or found.get("user") or getpass.getuser(),
            known_hosts=known,
            jump=None if jump in (None, "none") else jump,
            command=found.get("proxycommand") if login.proxy_jump is None else None,
            identities=tuple(Path(path).expanduser() for path in found.get("identityfile", [])),
        )

    def _key(self, path: Path) -> PKey:
        """A private key, read once for all hosts; raises :class:`SpecError` when it is none."""
        if path not in self._keys:
            name = "ansible_ssh_private_key_file"
            try:
                self._keys[path] = PKey.from_path(path)
            except paramiko.PasswordRequiredException as error:
                raise SpecError(
                    f"{path} has a passphrase", where=Where(path, 1), key=name, hint="ssh-add it to an agent"
                ) from error
            except (paramiko.SSHException, ValueError, TypeError, OSError) as error:
                if "passphrase" in str(error).lower() or "password" in str(error).lower():
                    raise SpecError(
                        f"{path} has a passphrase", where=Where(path, 1), key=name, hint="ssh-add it to an agent"
                    ) from error
                raise SpecError(f"{path} is no private key: {error}", where=Where(path, 1), key=name) from error
        return self._keys[path]

    def _log_in(self, login: Login, target: Target, deadline: float, gateway: Connection | None) -> Connection:
        timeout = max(0.1, min(self.options.connect_timeout, deadline - time.monotonic()))
        verify = _Verify(
            known_hosts.entry(target.address, target.port),
            [known_hosts.read(path) for path in target.known_hosts],
            self.options.accept_new,
        )
        name = verify.name
        arguments: dict[str, Any] = {
            "banner_timeout": timeout,
            "auth_timeout": timeout,
            "channel_timeout": timeout,
            "disabled_algorithms": _DISABLED,
            "transport_factory": verify.transport,
            **self._credentials(login, target),
        }
        # A config of its own: one shared by threads loses attributes. Lazy: no fabric.yml of anybody's is read.
        config = Config(lazy=True, ssh_config=paramiko.SSHConfig())
        connection = _Line(
            target.address, user=target.user, port=target.port, gateway=False, config=config, connect_kwargs=arguments
        )
        # An empty client asks its policy about every key: ours knows all keys that a host may show, not one a kind.
        connection.client.set_missing_host_key_policy(verify)
        sock: Any = None
        number = None
        try:
            sock = arguments["sock"] = self._socket(target, gateway, timeout)
            number = self.watchdog.watch(min(deadline, time.monotonic() + 3 * timeout), lambda: _kill(sock))
            connection.open()
        except HostError:
            raise
        except paramiko.AuthenticationException as error:
            if gateway is not None and not gateway.is_connected:
                raise _lost(target, gateway) from error
            raise HostError("auth", f"{target.user}@{name} refused every way to log in: {error}") from error
        except socket.gaierror as error:
            raise HostError("unreachable", f"{target.address}: {error.strerror}") from error
        except TimeoutError as error:
            raise HostError("unreachable", f"{name} did not answer within {timeout:.0f} s") from error
        except (paramiko.SSHException, OSError, EOFError) as error:
            if time.monotonic() >= deadline:
                raise HostError("timeout", f"{name} did not let us in before the host's deadline") from error
            if gateway is not None and not gateway.is_connected:
                raise _lost(target, gateway) from error
            reason = f"{name}: {str(error).strip() or type(error).__name__}"
            if sock is not None and ("banner" in str(error) or isinstance(error, (EOFError, ConnectionError))):
                raise _Dropped(reason) from error
            raise HostError("unreachable", reason) from error
        finally:
            if number is not None:
                self.watchdog.drop(number)
            if sock is not None and not connection.is_connected:
                _kill(sock)
        connection.transport.set_keepalive(15)
        return connection

    def _socket(self, target: Target, gateway: Connection | None, timeout: float) -> Any:
        if gateway is not None:
            return Tunnel(gateway.transport, target.address, target.port, timeout)
        if target.command is not None:
            return paramiko.ProxyCommand(target.command)
        return connect(target.address, target.port, timeout)

    def _credentials(self, login: Login, target: Target) -> dict[str, Any]:
        """A key that the inventory names is the only one offered: a wrong guess counts against MaxAuthTries."""
        password = {"password": login.password} if login.password is not None else {}
        if login.key_file is not None:
            return {"pkey": self._key(login.key_file), "allow_agent": False, "look_for_keys": False, **password}
        files = [str(path) for path in target.identities if path.is_file()]
        if password and not files:
            return {"allow_agent": False, "look_for_keys": False, **password}
        return {"key_filename": files, **password} if files else dict(password)


class _Verify(paramiko.MissingHostKeyPolicy):
    """Is this the host's key? Any key that a known_hosts file has for the name will do; another one never."""

    def __init__(self, name: str, files: list[KnownHosts], accept_new: bool) -> None:
        self.name, self.files, self.accept_new = name, files, accept_new
        self.keys = [key for file in files for key in file.keys(name)]

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: PKey) -> None:
        if any(key == known for known in self.keys):
            return
        shown = f"{key.get_name()} {key.fingerprint}"
        if self.keys:
            where = next(str(file.path) for file in self.files if file.keys(self.name))
            known = ", ".join(f"{known.get_name()} {known.fingerprint}" for known in self.keys)
            raise HostError(
                "host_key",
                f"the key of {self.name} has CHANGED: it shows {shown}, {where} has {known}. Somebody may be in "
                f"between, or the host was set up anew; nothing was sent. If it was: "
                f"ssh-keygen -R '{self.name}' -f {where}",
            )
        if any(key.asbytes() in file.revoked for file in self.files):
            raise HostError("host_key", f"the key of {self.name} is revoked: {shown}")
        if not self.accept_new:
            hint = "check it and add it to known_hosts, or store it at first contact with --accept-new"
            raise HostError("host_key", f"the key of {self.name} is not known: {shown} ({hint})")
        self.files[0].add(self.name, key)

    def transport(self, sock: Any, **options: Any) -> paramiko.Transport:
        """A transport that asks for a kind of key that we can check, and for the fastest of the safe algorithms."""
        transport = paramiko.Transport(sock, **options)
        security = transport.get_security_options()
        kinds = {key.get_name() for key in self.keys}
        security.key_types = sorted(security.key_types, key=lambda name: _kind(name) not in kinds)
        # curve25519 costs a fifth of the older groups; AES-GCM is the fastest for bulk.
        security.kex = sorted(security.kex, key=lambda name: not name.startswith("curve25519"))
        security.ciphers = sorted(security.ciphers, key=lambda name: not name.endswith("gcm@openssh.com"))
        return transport


def _lost(target: Target, gateway: Connection) -> _Dropped:
    return _Dropped(f"{target.address}: the connection to its jump host {gateway.host} broke off")


def _kind(algorithm: str) -> str:
    """The kind of key behind a signature algorithm (RFC 8332: RSA keys sign with SHA-2)."""
    return "ssh-rsa" if algorithm.startswith("rsa-sha2-") else algorithm


def _kill(sock: Any) -> None:
    # Either end may be gone already; what counts is that ours is.
    with contextlib.suppress(OSError, EOFError):
        sock.shutdown(socket.SHUT_RDWR) if isinstance(sock, socket.socket) else None
    with contextlib.suppress(OSError, EOFError):
        sock.close()


def cut(connection: Connection) -> None:
    """End a connection from outside: every read and write of it fails at once."""
    transport = connection.client.get_transport()
    if transport is not None:
        _kill(transport.sock)
