"""The file systems that lab hosts boot from: a minimal Debian as a fresh server has it, built once and cached."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from provision.lab import apt, recipe
from provision.lab.process import run
from provision.lab.store import Store

SUITES = ("trixie", "bookworm")

#: A fresh server: an init system, sshd, sudo. No Python, no curl, no gnupg, no CA certificates.
_SERVER = ("openssh-server", "sudo", "iproute2", "procps", "iptables", "kmod", "passwd")
PACKAGES = ("systemd", "systemd-sysv", "dbus", "init", *_SERVER)
OPENRC_PACKAGES = (
    "openrc",
    "sysvinit-core",
    # What needs either systemd or these two must not choose the former: nspawn would boot it.
    "systemd-standalone-sysusers",
    "systemd-standalone-tmpfiles",
    *_SERVER,
)

_SSHD = """\
# VERBOSE logs each connection and each exec, so that a test can count them independently of provision.
LogLevel VERBOSE
UseDNS no
"""

# Runs before anything else of the host's own boot. All lab hosts share one kernel: what belongs to the
# machine (vm, fs, kernel) is made read-only; what is the host's own (net, hostname) stays writable.
_EARLY = """\
#!/bin/sh
set -u
mount -o remount,bind,rw /proc/sys
for part in vm fs kernel dev debug; do
    [ -d "/proc/sys/$part" ] || continue
    mount --bind "/proc/sys/$part" "/proc/sys/$part"
done
for own in hostname domainname; do
    mount --bind "/proc/sys/kernel/$own" "/proc/sys/kernel/$own"
done
for part in vm fs kernel dev debug; do
    [ -d "/proc/sys/$part" ] || continue
    mount -o remount,bind,ro "/proc/sys/$part"
done
# sysvinit's init (libselinux in it) mounts a second /sys, which hides the control groups.
[ -n "$(ls /sys/fs/cgroup)" ] || umount /sys
# cgroup version 1: nspawn mounts the controllers read-only, dockerd has to write there.
if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
    mount -o remount,bind,rw /sys/fs/cgroup
    # Docker's init script (where there is no systemd) makes directories in it.
    mount -o remount,rw /sys/fs/cgroup
    for controller in /sys/fs/cgroup/*; do
        if [ -d "$controller" ] && [ ! -L "$controller" ]; then
            mount -o remount,bind,rw "$controller"
        fi
    done
fi
exit 0
"""

_EARLY_UNIT = """\
[Unit]
Description=Lab host: keep the shared kernel's settings out of reach
DefaultDependencies=no
Before=sysinit.target systemd-sysctl.service systemd-tmpfiles-setup.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/lab-early

[Install]
WantedBy=sysinit.target
"""

_SOURCES = """\
Types: deb
URIs: {mirror}/debian
Suites: {suite}
Components: main
Signed-By: /usr/share/keyrings/lab-archive.asc
"""

#: The recipe as it was loaded.
_SELF = Path(__file__).read_text()


def digest(*parts: str) -> str:
    """Of a recipe: what is built again when the recipe changes. A base stands on the mirror that its sources name."""
    common = (recipe.RECIPE, *PACKAGES, *OPENRC_PACKAGES, _SSHD, _SOURCES, _SELF)
    return hashlib.sha256("\0".join((*parts, *common)).encode()).hexdigest()[:12]


def path(store: Store, suite: str, packages: tuple[str, ...] = ()) -> Path:
    return store.root / "bases" / f"{suite}-{digest(suite, *packages)}"


def ensure(store: Store, suite: str) -> Path:
    """Build the base for ``suite`` unless it is cached; about 15 s."""

    def build(root: Path) -> None:
        bootstrap(store, suite, root)
        early(root)

    return store.built(path(store, suite), build)


def early(root: Path) -> None:
    """Prepare the boot of a host on this machine's kernel."""
    write(root / "usr/local/sbin/lab-early", _EARLY, 0o755)
    if (root / "etc/inittab").exists():
        table = (root / "etc/inittab").read_text()
        write(
            root / "etc/inittab", table.replace("si::sysinit:", "le::sysinit:/usr/local/sbin/lab-early\nsi::sysinit:")
        )
    else:
        unit(root, "lab-early.service", _EARLY_UNIT)


def bootstrap(store: Store, suite: str, root: Path, packages: tuple[str, ...] = PACKAGES) -> None:
    """A minimal Debian in ``root`` that takes logins. No archive address is given: mmdebstrap knows Debian's own."""
    root.parent.mkdir(parents=True, exist_ok=True)
    run(["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}", suite, root])
    # Where Debian's packages came from: the mirror is filled from there, the hosts must not know it.
    found = store.root / "bases" / f"{suite}.list"
    part = found.with_name(f"{found.name}-{root.name}")
    part.write_text((root / "etc/apt/sources.list").read_text())
    part.rename(found)
    _customise(root, suite, store)


def with_packages(store: Store, suite: str, packages: tuple[str, ...]) -> Path:
    """The suite's base with more of Debian's packages, built unless it is cached: the same as :func:`bootstrap` makes
    with them, and much sooner."""
    if not packages:
        return ensure(store, suite)

    def build(root: Path) -> None:
        copy(ensure(store, suite), root)
        _install(store, suite, root, packages)

    return store.built(path(store, suite, packages), build)


def copy(base: Path, root: Path) -> None:
    root.parent.mkdir(parents=True, exist_ok=True)
    run(["cp", "-a", "--reflink=auto", base, root])


def _install(store: Store, suite: str, root: Path, packages: tuple[str, ...]) -> None:
    """Install packages from where the base came from, with this machine's apt. Nothing of it stays in ``root``."""
    folder = root / "run/lab-apt"
    words = apt.apart(folder, root, (store.root / "bases" / f"{suite}.list").read_text())
    # A base that a power cut leaves incomplete is built again.
    words += ["-o", f"DPkg::Chroot-Directory={root}", "-o", "DPkg::Options::=--force-unsafe-io"]
    # Scripts of packages need /proc. The mount ends with this command.
    apart = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", 'mount -t proc proc "$1/proc"; shift; "$@"']
    install = ["apt-get", *words, "install", "-q", "-y", "--no-install-recommends", *packages]
    run([*apart, "sh", root, *install], env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    shutil.rmtree(folder)


def _customise(root: Path, suite: str, store: Store) -> None:
    (root / "etc/apt/sources.list").unlink()
    for leftover in (root / "etc/apt/apt.conf.d").glob("*mmdebstrap*"):
        leftover.unlink()
    write(root / "etc/apt/sources.list.d/debian.sources", _SOURCES.format(mirror=recipe.URL, suite=suite))
    (root / "etc/machine-id").write_text("")
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for name in ("resolv.conf", "hostname"):
        (root / "etc" / name).unlink(missing_ok=True)
    write(root / "etc/ssh/sshd_config.d/lab.conf", _SSHD)
    public = store.key.with_suffix(".pub").read_text()
    write(root / "root/.ssh/authorized_keys", public, 0o600)
    # A person that logs in as himself: sudo with a password for one, without for the other.
    for user, rule in (("ops", "ALL"), ("deploy", "NOPASSWD: ALL")):
        run(["chroot", root, "useradd", "-m", "-s", "/bin/bash", user])
        write(root / f"home/{user}/.ssh/authorized_keys", public, 0o600)
        run(["chroot", root, "chown", "-R", f"{user}:{user}", f"/home/{user}/.ssh"])
        write(root / f"etc/sudoers.d/{user}", f"{user} ALL=(ALL:ALL) {rule}\n", 0o440)
    run(["chroot", root, "chpasswd"], stdin=b"ops:lab-secret-1\n")
    shutil.copy(store.root / "keys/archive.asc", root / "usr/share/keyrings/lab-archive.asc")


def unit(root: Path, name: str, text: str) -> None:
    """A unit of the lab's own that runs early in the host's boot."""
    write(root / "etc/systemd/system" / name, text)
    wants = root / "etc/systemd/system/sysinit.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / name).symlink_to(f"/etc/systemd/system/{name}")


def write(file: Path, text: str, mode: int = 0o644) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
