"""A host that looks like Devuan with OpenRC: Debian's packages, with OpenRC in systemd's place, and another name.

OpenRC, apt and the engine on it are real; that it is Devuan is not.
"""

from __future__ import annotations

from pathlib import Path

from provision.lab import base
from provision.lab.store import Store

_OS_RELEASE = """\
PRETTY_NAME="Devuan GNU/Linux 6 (excalibur) (look-alike)"
NAME="Devuan GNU/Linux"
VERSION_ID="6"
VERSION="6 (excalibur)"
VERSION_CODENAME="excalibur"
ID=devuan
ID_LIKE=debian
"""

#: What a machine's own boot does and a container's must not: a second /sys would hide the control groups.
_MOUNTED = """\
#!/bin/sh
### BEGIN INIT INFO
# Provides: mountkernfs
# Required-Start:
# Required-Stop:
# Default-Start: S
# Default-Stop:
# Short-Description: The kernel's file systems are mounted already
### END INIT INFO
exit 0
"""

#: In the place of Debian's, which raises limits that a lab host may not; of the form that Alpine's has.
_DOCKER = """\
#!/sbin/openrc-run
supervisor=supervise-daemon
command=/usr/sbin/dockerd
output_log=/var/log/docker.log
error_log=/var/log/docker.log
extra_started_commands=reload
retry=TERM/60/KILL/10

reload() {
    ebegin "Reloading"
    supervise-daemon "$RC_SVCNAME" --signal HUP
    eend $?
}
"""


class Devuan:
    suite = "trixie"
    part = None

    def path(self, store: Store) -> Path:
        return store.root / "bases" / f"devuan-{base.digest()}"

    def under(self, store: Store) -> Path:
        return base.path(store, self.suite)

    def ensure(self, store: Store) -> None:
        """Build the image unless it is cached; about 15 s."""

        def build(root: Path) -> None:
            base.bootstrap(store, self.suite, root, base.OPENRC_PACKAGES)
            base.early(root)
            (root / "etc/os-release").unlink()
            base.write(root / "etc/os-release", _OS_RELEASE)
            base.write(root / "etc/init.d/mountkernfs.sh", _MOUNTED, 0o755)
            base.write(root / "etc/init.d/docker", _DOCKER, 0o755)

        store.built(self.path(store), build)
