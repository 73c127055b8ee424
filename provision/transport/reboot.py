"""Restart a host, wait for it, and log in again."""

from __future__ import annotations

import time
from collections.abc import Callable

from fabric import Connection

from provision.model import Host
from provision.transport.failure import CutOff
from provision.transport.shell import Shell
from provision.transport.ssh import HostError, Transport

#: Distinguishes one boot from the next. A container that restarts keeps its machine's boot_id, so the start time of
#: pid 1 (proc(5), field 22) counts too.
_BOOT = "cat /proc/sys/kernel/random/boot_id; sed 's/.*) //' /proc/1/stat | cut -d ' ' -f 20"
#: Restart a second later, so that the answer still arrives. It has no open file that would keep the connection.
_RESTART = "nohup sh -c 'sleep 1; systemctl reboot || reboot' >/dev/null 2>&1 &"
#: systemctl(1), is-system-running: the two states before the end of the boot. Without systemd neither is reported.
_BOOTING = (b"initializing", b"starting")
_PROBE = 30.0
#: The number of failures (of sudo, or of interrupted logins with a password) after which provision stops asking the
#: host. A third failure can lock the account (pam_faillock(8), deny).
_REFUSED = 2
#: Signs of a required restart: Debian's and SUSE's files (unattended-upgrades, libzypp), the exit statuses of dnf and
#: zypper (needs-restarting(1): 1; zypper(8), needs-rebooting: 102), and a running kernel whose modules were removed.
_NEEDED = (
    "for file in /run/reboot-required /var/run/reboot-required /run/reboot-needed; do [ ! -e $file ] || exit 10; done; "
    "if command -v needs-restarting; then needs-restarting -r; [ $? -ne 1 ] || exit 10; fi; "
    "if command -v zypper; then zypper --non-interactive needs-rebooting; [ $? -ne 102 ] || exit 10; fi; "
    '[ ! -d /lib/modules ] || [ -z "$(ls /lib/modules)" ] || [ -e "/lib/modules/$(uname -r)" ] || exit 10; exit 0'
)


def needed(host: Host, connection: Connection) -> bool:
    """True if the host reports that it needs a restart, for example after a new kernel or C library."""
    return Shell(connection, host.login).run(_NEEDED, _PROBE).status == 10


def restart(
    transport: Transport, host: Host, connection: Connection, deadline: float, emit: Callable[[str], None]
) -> Connection:
    """Restart the host behind ``connection`` (which is closed) and return a new one, to a host that has booted.

    Raises :class:`HostError`: of kind ``timeout`` when the host does not answer by ``deadline`` (``time.monotonic()``),
    of kind ``host_key`` or ``auth`` when the answering host is not the known one.
    """
    shell = Shell(connection, host.login)
    before = shell.run(_BOOT, _PROBE).stdout
    shell.run(_RESTART, _PROBE)
    connection.close()
    begin, pause, last, refused = time.monotonic(), 1.0, "", 0
    emit("restarting")
    while (now := time.monotonic()) < deadline:
        time.sleep(min(pause, deadline - now))
        pause = min(pause * 1.5, 5.0)
        try:
            connection = transport.open(host, deadline, fresh=True)
        except HostError as error:
            refused += isinstance(error, CutOff) and error.counted
            if error.failure.kind in ("host_key", "auth") or refused == _REFUSED:
                raise
            last = f"; the last attempt: {error}"
            continue
        try:
            if _is_up(Shell(connection, host.login), before):
                emit(f"restarted: logged in again after {time.monotonic() - begin:.0f} s")
                return connection
        except HostError as error:
            # During a shutdown or a boot the host can end the login's shell or sudo at any time.
            refused += error.failure.kind == "become"
            if refused == _REFUSED:
                raise
            last = f"; the last attempt: {error}"
        connection.close()
    raise HostError("timeout", f"the host was restarted and no login succeeded within {deadline - begin:.0f} s{last}")


def _is_up(shell: Shell, before: bytes) -> bool:
    if shell.run(_BOOT, _PROBE).stdout == before:
        return False
    return shell.run("systemctl is-system-running", _PROBE).stdout.strip() not in _BOOTING
