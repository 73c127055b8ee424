"""Hosts that look like a distribution and are none: Debian's programs under another's package manager and name.

What runs on them is a test of provision (package manager, formats and signatures are real), not of the distribution.
:mod:`tools.images.repositories` builds the packages of each, :mod:`tools.images.disguise` its file system.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Lookalike:
    """``suite`` is the Debian release that it is made of, ``folder`` where the mirror keeps its own packages."""

    name: str
    suite: str
    manager: Literal["apt", "dnf", "zypper", "pacman"]
    os_release: str
    #: Debian's packages that it has besides a fresh server's
    packages: tuple[str, ...]
    folder: str
    #: the directory of Docker's packages below ``linux/``; empty where Docker publishes none for it
    docker: str = ""
    #: the distribution's own engine: part -> name of the package (``repositories.own``)
    own: Mapping[str, str] = field(default_factory=dict)
    #: the end of the versions of Docker's packages, or of its own where Docker publishes none
    tag: str = ""
    #: the same of its own, where it has both
    own_tag: str = ""
    #: the suite's name in the archives (apt)
    codename: str = ""
    #: empty packages of its archive, with what each provides besides its name
    dummies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: programs under another name
    links: Mapping[str, str] = field(default_factory=dict)
    #: what its own programs are set up with
    files: Mapping[str, str] = field(default_factory=dict)


_DNF = ("dnf", "rpm", "curl", "gpg", "ca-certificates", "dnf-plugins-core")
#: What the engine's packages ask for and the look-alike has from Debian.
_PROVIDES = ("/bin/sh", "systemd", "iptables", "container-selinux")
_OWN = {"engine": "docker", "containerd": "containerd", "runc": "runc"}
_OWN_PLUGINS = {"buildx": "docker-buildx", "compose": "docker-compose"}

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

#: What Arch's package of systemd has: an account file or a unit that a package brings is used at once.
_SYSUSERS_HOOK = """\
[Trigger]
Type = Path
Operation = Install
Operation = Upgrade
Target = usr/lib/sysusers.d/*.conf

[Action]
Description = Creating system user accounts...
When = PostTransaction
Exec = /usr/bin/systemd-sysusers
"""
_RELOAD_HOOK = """\
[Trigger]
Type = Path
Operation = Install
Operation = Upgrade
Operation = Remove
Target = usr/lib/systemd/system/*

[Action]
Description = Reloading system manager configuration...
When = PostTransaction
Exec = /usr/bin/systemctl daemon-reload
"""

LOOKALIKES = {
    "el9": Lookalike(
        "el9",
        "trixie",
        "dnf",
        'NAME="Rocky Linux"\nVERSION="9.4 (Blue Onyx)"\nID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n'
        'PLATFORM_ID="platform:el9"\nPRETTY_NAME="Rocky Linux 9.4 (look-alike)"\n',
        _DNF,
        "el/9",
        docker="centos/9",
        tag="1.el9",
        dummies={
            "rocky-release": ("system-release = 9", "system-release(releasever) = 9", *_PROVIDES),
            "tree": (),
            "python3-dnf-plugin-versionlock": (),
        },
    ),
    "el7": Lookalike(
        "el7",
        "trixie",
        "dnf",
        'NAME="CentOS Linux"\nVERSION="7 (Core)"\nID="centos"\nID_LIKE="rhel fedora"\nVERSION_ID="7"\n'
        'PRETTY_NAME="CentOS Linux 7 (look-alike)"\n',
        _DNF,
        "el/7",
        docker="centos/7",
        tag="1.el7",
        dummies={
            "centos-release": ("system-release = 7", "system-release(releasever) = 7", *_PROVIDES),
            "tree": (),
            "yum-utils": (),
            "device-mapper-persistent-data": (),
            "lvm2": (),
            "yum-plugin-versionlock": (),
        },
        links={
            "usr/bin/yum": "dnf-3",
            "etc/systemd/system/multi-user.target.wants/network.service": "/usr/lib/systemd/system/network.service",
        },
        files={
            "etc/dnf/plugins/versionlock.conf": (
                "[main]\nenabled = 1\nlocklist = /etc/yum/pluginconf.d/versionlock.list\n"
            ),
            "etc/yum/pluginconf.d/versionlock.list": "",
            # The name and the kind of EL 7's network service; what it does is another's.
            "usr/lib/systemd/system/network.service": _NETWORK,
        },
    ),
    "amazon": Lookalike(
        "amazon",
        "trixie",
        "dnf",
        'NAME="Amazon Linux"\nVERSION="2023"\nID="amzn"\nID_LIKE="fedora"\nVERSION_ID="2023"\n'
        'PLATFORM_ID="platform:al2023"\nPRETTY_NAME="Amazon Linux 2023 (look-alike)"\n',
        _DNF,
        "amazon/2023",
        own=_OWN,
        tag="1.amzn2023",
        dummies={
            "system-release": ("system-release(releasever) = 2023", *_PROVIDES),
            "tree": (),
            "python3-dnf-plugin-versionlock": (),
        },
    ),
    "openeuler": Lookalike(
        "openeuler",
        "trixie",
        "dnf",
        'NAME="openEuler"\nVERSION="24.03 (LTS)"\nID="openEuler"\nVERSION_ID="24.03"\n'
        'PRETTY_NAME="openEuler 24.03 (LTS) (look-alike)"\n',
        _DNF,
        "openeuler/24.03",
        docker="centos/10",
        tag="1.el10",
        dummies={
            "openEuler-release": ("system-release = 24.03LTS", "system-release(releasever) = 24.03LTS", *_PROVIDES),
            "tree": (),
            "python3-dnf-plugin-versionlock": (),
        },
    ),
    "suse": Lookalike(
        "suse",
        "trixie",
        "zypper",
        'NAME="openSUSE Leap"\nVERSION="15.6"\nID="opensuse-leap"\nID_LIKE="suse opensuse"\nVERSION_ID="15.6"\n'
        'PRETTY_NAME="openSUSE Leap 15.6 (look-alike)"\n',
        ("zypper", "rpm", "curl", "gpg", "ca-certificates"),
        "suse/15",
        own={**_OWN, **_OWN_PLUGINS},
        tag="1.lp156",
        dummies={"openSUSE-release": ("system-release = 15", *_PROVIDES), "tree": ()},
        links={"etc/products.d/baseproduct": "openSUSE.prod"},
        files={
            "etc/products.d/openSUSE.prod": (
                '<?xml version="1.0" encoding="UTF-8"?>\n<product schemeversion="0"><vendor>look-alike</vendor>'
                "<name>openSUSE</name><version>15.6</version><release>1</release><arch>x86_64</arch>"
                "<summary>look-alike</summary></product>\n"
            ),
        },
    ),
    "ubuntu": Lookalike(
        "ubuntu",
        "trixie",
        "apt",
        'PRETTY_NAME="Ubuntu 24.04.3 LTS (look-alike)"\nNAME="Ubuntu"\nVERSION_ID="24.04"\n'
        'VERSION="24.04.3 LTS (Noble Numbat)"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\n'
        "UBUNTU_CODENAME=noble\n",
        (),
        "ubuntu",
        docker="ubuntu",
        # packages.ubuntu.com/noble: the client is in docker.io.
        own={**_OWN, "engine": "docker.io", "buildx": "docker-buildx", "compose": "docker-compose-v2"},
        tag="1~ubuntu.24.04~noble",
        own_tag="0ubuntu1~24.04.1",
        codename="noble",
    ),
    "arch": Lookalike(
        "arch",
        "trixie",
        "pacman",
        'NAME="Arch Linux"\nPRETTY_NAME="Arch Linux (look-alike)"\nID=arch\nBUILD_ID=rolling\n',
        ("pacman-package-manager", "gpg", "gpg-agent", "ca-certificates"),
        "arch",
        own={**_OWN, **_OWN_PLUGINS},
        tag="1",
        dummies={"filesystem": ("systemd", "iptables", "glibc"), "tree": ()},
        files={
            "usr/share/libalpm/hooks/20-systemd-sysusers.hook": _SYSUSERS_HOOK,
            "usr/share/libalpm/hooks/30-systemd-daemon-reload-system.hook": _RELOAD_HOOK,
        },
    ),
}
