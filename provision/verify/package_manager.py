"""What a host's package manager says, whichever it is: asked with its own programs."""

from __future__ import annotations

import configparser
import re
import threading
from weakref import WeakKeyDictionary

from testinfra.host import Host

from provision.lines import lines_of

_VERSIONS: WeakKeyDictionary[Host, dict[str, str]] = WeakKeyDictionary()
_LOCK = threading.Lock()

#: os-release's ID -> the folder of Docker's packages (docs.docker.com/engine/install).
_FOLDERS = {"rocky": "centos", "almalinux": "centos"}
#: The distributions' own engines: Docker's name of a part -> its name there; what is missing has no package.
_BOOKWORM = {"docker-ce": "docker.io", "docker-ce-cli": "docker.io", "containerd.io": "containerd"}
_PLUGINS = {"docker-buildx-plugin": "docker-buildx", "docker-compose-plugin": "docker-compose"}
_TRIXIE = {**_BOOKWORM, **_PLUGINS, "docker-ce-cli": "docker-cli"}
_SUSE = {"docker-ce": "docker", "docker-ce-cli": "docker", "containerd.io": "containerd", **_PLUGINS}
_OWN = {
    "debian": _TRIXIE,
    "devuan": _TRIXIE,
    "raspbian": _TRIXIE,
    "ubuntu": {**_BOOKWORM, "docker-buildx-plugin": "docker-buildx", "docker-compose-plugin": "docker-compose-v2"},
    "fedora": {**_TRIXIE, "docker-ce": "moby-engine"},
    "opensuse-leap": _SUSE,
    "sles": _SUSE,
    "alpine": {
        "docker-ce": "docker-engine",
        "docker-ce-cli": "docker-cli",
        "containerd.io": "containerd",
        "docker-buildx-plugin": "docker-cli-buildx",
        "docker-compose-plugin": "docker-cli-compose",
    },
}
#: Docker publishes no packages for these.
_ALONE = ("opensuse-leap", "sles", "alpine", "devuan")
#: What the name of an engine's package ends with where the spec wants the distribution's own.
OF_DISTRIBUTION = " of the distribution"


def publishes(host: Host) -> bool:
    """Whether Docker publishes packages for the host's distribution."""
    return host.system_info.distribution not in _ALONE


def named(host: Host, name: str) -> str | None:
    """A package by the name that it has on this host; ``None`` for a part of the engine that has none there."""
    bare = name.removesuffix(OF_DISTRIBUTION)
    if bare not in _TRIXIE or (bare == name and publishes(host)):
        return bare
    id, release = str(host.system_info.distribution), str(host.system_info.release)
    old = id in ("debian", "raspbian") and release.partition(".")[0] in ("11", "12")
    return (_BOOKWORM if old else _OWN[id]).get(bare)


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
        if host.exists("apk"):
            lines = lines_of(host.check_output("apk info -v"))
            text = "\n".join(f"{'-'.join(parts[:-2])} ii {'-'.join(parts[-2:])}" for parts in _parts(lines))
        elif uses_rpm(host):
            text = host.check_output("rpm -qa --qf '%{NAME} ii %{EPOCH}:%{VERSION}-%{RELEASE}\\n'")
        else:
            text = host.check_output("dpkg-query -W -f '${Package} ${db:Status-Abbrev} ${Version}\\n'")
        rows = [line.split() for line in lines_of(text)]
        found = {name: rest[0].removeprefix("(none):") for name, status, *rest in rows if status[1:2] == "i"}
        with _LOCK:
            _VERSIONS[host] = found
    return found


def _parts(lines: list[str]) -> list[list[str]]:
    return [line.split("-") for line in lines]


def held(host: Host, name: str) -> bool:
    """By apt-mark, by the versionlock plugin at exactly the version that is installed, or by apk's world file."""
    if host.exists("apk"):
        return f"{name}={version(host, name)}" in host.check_output("cat /etc/apk/world").split()
    if not uses_rpm(host):
        return name in host.check_output("apt-mark showhold").split()
    if not publishes(host):
        rows = lines_of(host.check_output("zypper -n -q locks"))
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


def published_keys(host: Host) -> tuple[str, ...]:
    """The fingerprints that Docker's pages give for the host's family (docs.docker.com/engine/install)."""
    published = "060A 61C5 1B55 8A7F 742B 77AA C52F EB6B 621E 9F35"
    if not uses_rpm(host):
        published = "9DC8 5822 9FC7 DD38 854A E2D8 8D81 803C 0EBF CD88"
    return (published.replace(" ", ""),)


def apt_targets(host: Host) -> list[list[str]]:
    """apt's own view of its archives: address, suite, component, key."""
    fields = "$(REPO_URI) $(CODENAME) $(COMPONENT) $(SOURCESENTRY) $(SIGNED_BY)"
    targets = []
    for target in lines_of(host.check_output(f"apt-get indextargets --format '{fields}' 'Created-By: Packages'")):
        *place, entry, key = [*target.split(), ""][:5]
        if key == "$(SIGNED_BY)":  # apt before 2.9 does not tell: its source file does
            key = host.run("sed -n 's/^Signed-By: *//p' %s", entry.rpartition(":")[0]).stdout.strip()
        targets.append([*place, key] if key else place)
    return targets


def unsigned_sources(host: Host) -> list[str]:
    """Each option of apt that switches the check of signatures off, or weakens it, with its place (sources.list(5),
    apt-secure(8)): in the source files, and in apt's configuration."""
    list_all = (
        "for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do"
        ' [ ! -f "$file" ] || { printf "\\f%s\\n" "$file"; cat "$file"; }; done'
    )
    found = []
    for part in host.check_output(list_all).split("\f")[1:]:
        path, _, text = part.partition("\n")
        entries = _stanzas(text) if path.endswith(".sources") else _lines(text)
        found += [f"{path}: {option}" for options in entries for option in options]
    found += _UNSAFE.findall(host.check_output("apt-config dump"))
    return found


#: Options of an entry that may be true, and apt's words for true (apt-pkg/contrib/strutl.cc).
_OPTION = r"(?:trusted|allow-insecure|allow-weak|allow-downgrade-to-insecure)"
_TRUE = r"(?:yes|true|with|on|enable|1)"
_UNSAFE = re.compile(
    r"^(?:Acquire::AllowInsecureRepositories|Acquire::AllowWeakRepositories"
    rf'|Acquire::AllowDowngradeToInsecureRepositories|APT::Get::AllowUnauthenticated) "{_TRUE}"',
    re.MULTILINE | re.IGNORECASE,
)


def _lines(text: str) -> list[list[str]]:
    """The options of each entry of a one-line-style file."""
    options = re.findall(r"^[ \t]*deb(?:-src)?[ \t]+\[([^\]]*)\]", text, re.MULTILINE)
    return [re.findall(rf"\b{_OPTION}\+?={_TRUE}(?!\S)", each, re.IGNORECASE) for each in options]


def _stanzas(text: str) -> list[list[str]]:
    """The same of a deb822 file, without the entries that are switched off."""
    bare = re.sub(r"^#.*\n?", "", text, flags=re.MULTILINE)
    entries = re.split(r"\n[ \t]*\n", bare)
    off = re.compile(r"^Enabled:\s*(?:no|false|without|off|disable|0)[ \t]*$", re.MULTILINE | re.IGNORECASE)
    wanted = re.compile(rf"^{_OPTION}:\s*{_TRUE}(?=[ \t]*$)", re.MULTILINE | re.IGNORECASE)
    return [wanted.findall(entry) for entry in entries if not off.search(entry)]


def rpm_repositories(host: Host) -> dict[str, dict[str, str]]:
    """The switched-on repositories of all files: id -> options."""
    text = host.check_output("cat /etc/yum.repos.d/*.repo /etc/zypp/repos.d/*.repo 2>/dev/null || :")
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(text)
    return {id: dict(parser[id]) for id in parser.sections() if parser[id].get("enabled", "1") == "1"}
