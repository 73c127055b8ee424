"""Hosts that look like a distribution and are none: Debian's programs under another's package manager and name.

What runs on them is a test of provision (its rpm and dnf are real, and so are the signatures), not of the distribution.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from provision.lab import base, keys
from provision.lab.process import run
from provision.lab.store import MIRROR, Store


@dataclass(frozen=True, slots=True)
class Lookalike:
    """``suite`` is the Debian release that it is made of, ``folder`` where the mirror keeps its own packages,
    ``docker`` the directory of Docker's packages below ``linux/`` (empty: the engine is the distribution's own),
    ``tag`` the end of their versions."""

    name: str
    suite: str
    os_release: str
    packages: tuple[str, ...]
    folder: str
    docker: str
    tag: str
    #: empty packages of its archive, with what each provides besides its name
    dummies: dict[str, tuple[str, ...]]
    #: programs under another name
    links: dict[str, str]
    #: what its own programs are set up with
    files: dict[str, str] = field(default_factory=dict)


_TOOLS = ("dnf", "rpm", "curl", "gpg", "ca-certificates", "dnf-plugins-core")
#: What the engine's packages ask for and the look-alike has from Debian.
_PROVIDES = ("/bin/sh", "systemd", "iptables", "container-selinux")

_NETWORK = """\
[Unit]
Description=Bring up the network (look-alike)

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true

[Install]
WantedBy=multi-user.target
"""

LOOKALIKES = {
    "el9": Lookalike(
        "el9",
        "trixie",
        'NAME="Rocky Linux"\nVERSION="9.4 (Blue Onyx)"\nID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n'
        'PLATFORM_ID="platform:el9"\nPRETTY_NAME="Rocky Linux 9.4 (look-alike)"\n',
        _TOOLS,
        "el/9",
        "centos/9",
        "1.el9",
        {
            "rocky-release": ("system-release = 9", "system-release(releasever) = 9", *_PROVIDES),
            "tree": (),
            "python3-dnf-plugin-versionlock": (),
        },
        {},
    ),
    "el7": Lookalike(
        "el7",
        "trixie",
        'NAME="CentOS Linux"\nVERSION="7 (Core)"\nID="centos"\nID_LIKE="rhel fedora"\nVERSION_ID="7"\n'
        'PRETTY_NAME="CentOS Linux 7 (look-alike)"\n',
        _TOOLS,
        "el/7",
        "centos/7",
        "1.el7",
        {
            "centos-release": ("system-release = 7", "system-release(releasever) = 7", *_PROVIDES),
            "tree": (),
            "yum-utils": (),
            "device-mapper-persistent-data": (),
            "lvm2": (),
            "yum-plugin-versionlock": (),
        },
        {
            "usr/bin/yum": "dnf-3",
            "etc/systemd/system/multi-user.target.wants/network.service": "/usr/lib/systemd/system/network.service",
        },
        {
            "etc/dnf/plugins/versionlock.conf": (
                "[main]\nenabled = 1\nlocklist = /etc/yum/pluginconf.d/versionlock.list\n"
            ),
            "etc/yum/pluginconf.d/versionlock.list": "",
            # The name and the kind of EL 7's network service; what it does is another's.
            "usr/lib/systemd/system/network.service": _NETWORK,
        },
    ),
    "suse": Lookalike(
        "suse",
        "trixie",
        'NAME="openSUSE Leap"\nVERSION="15.6"\nID="opensuse-leap"\nID_LIKE="suse opensuse"\nVERSION_ID="15.6"\n'
        'PRETTY_NAME="openSUSE Leap 15.6 (look-alike)"\n',
        ("zypper", "rpm", "curl", "gpg", "ca-certificates"),
        "suse/15",
        "",
        "1.lp156",
        {"openSUSE-release": ("system-release = 15", *_PROVIDES), "tree": ()},
        {"etc/products.d/baseproduct": "openSUSE.prod"},
        {
            "etc/products.d/openSUSE.prod": (
                '<?xml version="1.0" encoding="UTF-8"?>\n<product schemeversion="0"><vendor>look-alike</vendor>'
                "<name>openSUSE</name><version>15.6</version><release>1</release><arch>x86_64</arch>"
                "<summary>look-alike</summary></product>\n"
            ),
        },
    ),
}

_REPO = """\
[base]
name=Base of a look-alike
baseurl=http://{mirror}/{folder}
gpgcheck=1
gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-lab
"""
# As the distributions of this family have it: a package enables nothing.
_PRESET = "disable *\n"

_SELF = Path(__file__).read_text()


def path(store: Store, name: str) -> Path:
    return store.root / "bases" / f"{name}-{base.digest(_SELF)}"


def ensure(store: Store, name: str, archive: Path) -> Path:
    """Build the base of a look-alike unless it is cached; ``archive`` is the mirror's directory of its own packages."""
    return store.built(path(store, name), lambda root: _build(store, LOOKALIKES[name], archive, root))


def _build(store: Store, like: Lookalike, archive: Path, root: Path) -> None:
    base.bootstrap(store, like.suite, root, (*base.PACKAGES, *like.packages))
    base.early(root)
    (root / "etc/os-release").unlink()
    base.write(root / "etc/os-release", like.os_release)
    base.write(root / "usr/lib/systemd/system-preset/99-default-disable.preset", _PRESET)
    base.write(root / "etc/pki/rpm-gpg/RPM-GPG-KEY-lab", keys.public(store, keys.ARCHIVE).read_text())
    repositories = "etc/yum.repos.d" if "dnf" in like.packages else "etc/zypp/repos.d"
    base.write(root / repositories / "base.repo", _REPO.format(mirror=MIRROR, folder=like.folder))
    (root / "etc/sysconfig").mkdir(exist_ok=True)
    for name, text in like.files.items():
        base.write(root / name, text)
    for link, program in like.links.items():
        (root / link).parent.mkdir(parents=True, exist_ok=True)
        (root / link).symlink_to(program)
    release = next(dummy for dummy, provides in like.dummies.items() if provides)
    (rpm,) = archive.glob(f"{release}-*.rpm")
    shutil.copy(rpm, root / "root/release.rpm")
    run(["chroot", root, "rpm", "--import", "/etc/pki/rpm-gpg/RPM-GPG-KEY-lab"])
    run(["chroot", root, "rpm", "-i", "/root/release.rpm"])
    (root / "root/release.rpm").unlink()
    # Debian's own package manager is out of the way, and with it apt-daily.
    away = root / "usr/lib/lab-debian"
    away.mkdir()
    for program in ("apt", "apt-get", "apt-cache", "apt-mark", "dpkg", "dpkg-query", "dpkg-deb"):
        if (root / "usr/bin" / program).exists():
            (root / "usr/bin" / program).rename(away / program)
    for unit in ("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer"):
        (root / "etc/systemd/system" / unit).unlink(missing_ok=True)
        (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
    shutil.rmtree(root / "etc/apt")
