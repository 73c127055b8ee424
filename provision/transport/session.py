"""A command on the host, over a raw channel: how it becomes root, and what it prints.

sudo receives its password on standard input and nowhere else. It would treat each further line as another attempt, and
three wrong attempts lock an account (pam_faillock(8)). So nothing follows the password until sudo has accepted it. A
random prompt shows when sudo asks again. sudo would also count the end of its input, or a signal that it handles,
as an attempt (seen with 1.9.16 and pam_faillock); so provision kills it then.
"""

from __future__ import annotations

import contextlib
import errno
import re
import secrets
import threading
import time
from collections.abc import Iterator

import paramiko
from fabric import Connection
from msgspec import Struct

from provision.lines import lines_of
from provision.model import Login
from provision.remote.protocol import NOISE, TooMuch
from provision.transport.failure import HostError, in_words
from provision.transport.line import Line

#: Seconds for the command that kills sudo.
_KILL = 10.0
#: The usual command: a shell that reads its script from standard input.
SHELL = "exec /bin/sh"


def start(connection: Connection, login: Login, deadline: float, work: str = SHELL) -> paramiko.Channel:
    """Run ``work``, a line of shell that ends in ``exec``, as root where the login becomes root. ``work`` receives all
    of standard input, from the first byte. It has no quotation mark and no variable.

    Raises :class:`HostError` of kind ``become``, ``timeout`` or ``protocol``; and the errors of paramiko.
    """
    with cut_at(connection, deadline):
        return _started(connection, login, deadline, work)


def _started(connection: Connection, login: Login, deadline: float, work: str) -> paramiko.Channel:
    channel = connection.create_session()
    channel.settimeout(max(0.1, deadline - time.monotonic()))
    # su asks for a password unless PAM trusts the login, and would read the script as the password.
    if not login.become or (login.become_password is None and login.become_method != "su"):
        channel.exec_command(_command(login, work))
        return channel
    process, prompt, ready, go = (secrets.token_hex(16) for _ in range(4))
    # Where a sudo rule requires no password, sudo does not read the line: the shell skips lines up to a random one.
    reader = rf"echo {ready}; while IFS= read -r line; do [ \"\$line\" != {go} ] || {{ {work}; }}; done"
    if login.become_method == "su":
        become = f'su -s /bin/sh -c "{reader}" root'
    else:
        become = f'sudo -k -S -p {prompt} -- /bin/sh -c "{reader}"'
    # In another language neither the prompt of su nor the messages of both could be recognized.
    channel.exec_command(f"exec /bin/sh -c 'LC_ALL=C; export LC_ALL; echo {process} $$ >&2; exec {become}'")
    if login.become_password is not None:
        channel.sendall(f"{login.become_password}\n".encode())
    _Asking(connection, channel, login, ready.encode(), prompt.encode(), process.encode()).wait(deadline)
    channel.sendall(f"{go}\n".encode())
    return channel


@contextlib.contextmanager
def cut_at(connection: Connection, deadline: float) -> Iterator[None]:
    """Cut the connection at the deadline, as long as the block runs. A request waits for its answer without a limit,
    and a host that takes a byte a second defeats the timeout of each write."""
    if not isinstance(connection, Line) or connection.watchdog is None:  # fabric has made it
        yield
        return
    number = connection.watchdog.watch(deadline, connection.cut)
    try:
        yield
    finally:
        connection.watchdog.drop(number)


_BECOME = {"sudo": "sudo -n -- ", "doas": "doas -n "}


def _command(login: Login, work: str) -> str:
    become = _BECOME[login.become_method] if login.become else ""
    return f"exec {become}/bin/sh" if work == SHELL else f"exec {become}/bin/sh -c '{work}'"


class _Asking(Struct):
    """sudo or su, which asks for the password. ``ready`` is what the shell prints when it has started. ``process`` is
    the text before the process id on standard error."""

    connection: Connection
    channel: paramiko.Channel
    login: Login
    ready: bytes
    prompt: bytes
    process: bytes

    def wait(self, deadline: float) -> None:
        """Wait until the shell has started. Raises :class:`HostError`; sudo is killed when it asks once more."""
        out, err = bytearray(), bytearray()
        refused = False
        for data, is_error in received(self.channel, deadline):
            stream = err if is_error else out
            stream += data
            if len(stream) > NOISE:
                self.channel.close()
                raise HostError("protocol", str(TooMuch(f"{NOISE // 1024**2} MiB before its shell began")))
            if not is_error and self.ready in out:
                return
            if not refused and err.count(self.prompt) > 1:
                refused = True
                self._end(bytes(err), deadline)
            if self.login.become_password is None and re.search(rb"(?i)password[^\n]*\Z", err):
                self._end(bytes(err), deadline)
                raise HostError("become", f"{self.login.become_method} {_ASKS}")
        said = text(re.sub(rb"%s( [0-9]+\n)?|%s" % (self.process, self.prompt), b"", err))
        self.channel.close()
        if refused:
            raise HostError("become", f"{self.login.become_method} refuses the password", detail=said)
        if time.monotonic() >= deadline:
            raise broken_off(deadline, said, None, self.connection)
        raise HostError("become", become_says(self.login, said), detail=said)

    def _end(self, err: bytes, deadline: float) -> None:
        """Kill sudo. It reads passwords under the real user id of the login, so kill(2) permits it. Where that fails,
        the end of its input ends it."""
        if found := re.search(rb"%s ([0-9]{1,10})\n" % self.process, err):
            with contextlib.suppress(paramiko.SSHException, OSError, EOFError):
                killing = self.connection.create_session()
                killing.exec_command(f"kill -KILL {int(found[1])}")
                killing.status_event.wait(max(0.0, min(_KILL, deadline - time.monotonic())))
                killing.close()
        self.channel.shutdown_write()


def received(channel: paramiko.Channel, deadline: float) -> Iterator[tuple[bytes, bool]]:
    """Yield the command's output as it arrives, and whether it was on standard error. Ends with the command, or at the
    deadline. The reader does not poll: data on either stream wakes it."""
    ready = threading.Event()
    channel.in_buffer.set_event(ready)
    channel.in_stderr_buffer.set_event(ready)
    while time.monotonic() < deadline:
        ready.clear()
        if channel.recv_ready():
            yield channel.recv(65_536), False
        elif channel.recv_stderr_ready():
            yield channel.recv_stderr(65_536), True
        elif channel.eof_received or channel.closed:
            return
        else:
            ready.wait(max(0.0, deadline - time.monotonic()))


def broken_off(
    deadline: float, stderr: str, error: Exception | None, connection: Connection | None = None
) -> HostError:
    if time.monotonic() >= deadline:
        return HostError("timeout", "the host's deadline has passed; the connection was closed", detail=stderr)
    return HostError("disconnected", f"connection lost{why_lost(connection, error)}", detail=stderr)


def why_lost(connection: Connection | None, error: Exception | None) -> str:
    """The reason behind ``connection lost``: a jump host that ended its connection is named."""
    gateway = getattr(connection, "through", None)
    if gateway is not None and not gateway.is_connected:
        return f": its jump host {gateway.host} closed the connection"
    # EBADF says that this side had closed the connection already.
    if error is None or (isinstance(error, OSError) and error.errno == errno.EBADF):
        return ""
    return f": {in_words(error)}"


def text(data: bytes | bytearray) -> str:
    return data.decode("utf-8", "replace").strip()


#: What the usual shells report for a program that they do not find.
_ABSENT = r"\b(sudo|su|doas): (command )?not found|not found: (sudo|su|doas)\b"
_ASKS = "asks for a password; give one with -K or ansible_become_password"


def become_spoke(stderr: str, noise: bytes) -> bool:
    """True if sudo, su or doas ended or does not exist. False if the login's own shell ended before it."""
    return not noise and (
        not stderr or re.search(rf"(?mi)^(sudo|su|doas):|password|sudoers|{_ABSENT}", stderr) is not None
    )


def become_says(login: Login, stderr: str) -> str:
    """Why sudo, su or doas started no shell."""
    method = login.become_method
    if re.search(_ABSENT, stderr):
        return f"the host has no {method}"
    if method == "doas" and re.search(r"Authentication required|a tty is required|Authorization required", stderr):
        return "doas asks for a password, which it reads from a terminal only; allow this login with nopass"
    if re.search(r"a password is required|a terminal is required", stderr):
        return f"{method} {_ASKS}"
    if re.search(r"[Ss]orry, try again|incorrect password|no password was provided|Authentication failure", stderr):
        return f"{method} refuses the password"
    if re.search(r"not in the sudoers file|may not run sudo|Operation not permitted|Permission denied", stderr):
        return f"this login may not use {method}"
    return f"{method} did not start a shell: {lines_of(stderr)[-1] if stderr else 'it printed nothing'}"
