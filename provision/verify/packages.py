"""What a host's package manager says, whichever it is: asked with its own programs."""

from __future__ import annotations

import configparser
import threading
from weakref import WeakKeyDictionary

from testinfra.host import Host

_VERSIONS: WeakKeyDictionary[Host, dict[str, str]] = WeakKeyDictionary()
_LOCK = threading.Lock()

#: os-release's ID -> the folder of Docker's packages (docs.docker.com/engine/install).
_FOLDERS = {"rocky": "centos", "almalinux": "centos"}
#: The distribution's own engine, where Docker publishes no packages: Docker's name of a part -> its name there.
_OWN = {
    "docker-ce": "docker",
    "docker-ce-cli": "docker",
    "containerd.io": "containerd",
    "docker-buildx-plugin": "docker-buildx",
    "docker-compose-plugin": "docker-compose",
}
_SUSE = ("opensuse-leap", "sles")


def publishes(host: Host) -> bool:
    """Whether Docker publishes packages for the host's distribution."""
    return host.system_info.distribution not in _SUSE


def named(host: Host, name: str) -> str:
    """A package by the name that it has on this host."""
    return name if publishes(host) else _OWN.get(name, name)


def uses_rpm(host: Host) -> bool:
    return not host.exists("dpkg-query") and bool(host.exists("rpm"))


def version(host: Host, name: str) -> str:
    """The installed version, whole, with its epoch where it has one; empty when it is not installed (also when only
    files of it were left on purpose)."""
    return versions(host).get(name, "")


def installed(host: Host, name: str) -> bool:
    return name in versions(host)


def versions(host: Host) -> dict[str, str]:
    """Every installed package, asked once per host and run: to ask for one costs the host as much."""
    with _LOCK:
        found = _VERSIONS.get(host)
    if found is None:
        if uses_rpm(host):
            text = host.check_output("rpm -qa --qf '%{NAME} ii %{EPOCH}:%{VERSION}-%{RELEASE}\\n'")
        else:
            text = host.check_output("dpkg-query -W -f '${Package} ${db:Status-Abbrev} ${Version}\\n'")
        rows = [line.split() for line in text.splitlines()]
        found = {name: rest[0].removeprefix("(none):") for name, status, *rest in rows if status[1:2] == "i"}
        with _LOCK:
            _VERSIONS[host] = found
    return found


def held(host: Host, name: str) -> bool:
    """By apt-mark, or by the versionlock plugin, at exactly the version that is installed."""
    if not uses_rpm(host):
        return name in host.check_output("apt-mark showhold").split()
    if not publishes(host):
        rows = host.check_output("zypper -n -q locks").splitlines()
        return any(name in [cell.strip() for cell in row.split("|")] for row in rows)
    program = "dnf" if host.exists("dnf") else "yum"
    epoch, _, rest = version(host, name).rpartition(":")
    lines = host.check_output(f"{program} -q versionlock list").split()
    forms = {f"{name}-{epoch or 0}:{rest}.*", f"{epoch or 0}:{name}-{rest}.*"}
    return bool(forms & set(lines))


def folder(host: Host) -> str:
    """Docker's folder for this distribution."""
    id = str(host.system_info.distribution)
    return _FOLDERS.get(id, id)


def apt_targets(host: Host) -> list[list[str]]:
    """apt's own view of its archives: address, suite, component, key."""
    line = "apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT) $(SIGNED_BY)' 'Created-By: Packages'"
    return [target.split() for target in host.check_output(line).splitlines()]


def rpm_repositories(host: Host) -> dict[str, dict[str, str]]:
    """The switched-on repositories of all files: id -> options."""
    text = host.check_output("cat /etc/yum.repos.d/*.repo /etc/zypp/repos.d/*.repo 2>/dev/null || :")
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(text)
    return {id: dict(parser[id]) for id in parser.sections() if parser[id].get("enabled", "1") == "1"}
