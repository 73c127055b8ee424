"""Ask a host's package manager, for each kind of manager, by its own programs."""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Sequence

from testinfra.host import Host

from provision import distros
from provision.distros import Distribution
from provision.lines import lines_of
from provision.model import Platform
from provision.verify.services import Once

_VERSIONS: Once[dict[str, str]] = Once()

#: Docker's names for the parts of an engine -> the program of each part. For a plugin: its name in the client.
PROGRAMS = {
    "docker-ce": "dockerd",
    "docker-ce-cli": "docker",
    "containerd.io": "containerd",
    "docker-buildx-plugin": "docker-buildx",
    "docker-compose-plugin": "docker-compose",
}
#: The same parts by the names in the table of distributions.
PARTS = {
    "docker-ce": "engine",
    "docker-ce-cli": "cli",
    "containerd.io": "containerd",
    "docker-buildx-plugin": "buildx",
    "docker-compose-plugin": "compose",
}
#: The end of an engine package's name where the spec requires the distribution's own package.
OF_DISTRIBUTION = " of the distribution"


def platform(host: Host, extra: tuple[Distribution, ...]) -> Platform:
    """The row of the table of distributions for the host, by the host's own os-release(5)."""
    text = host.check_output("cat /etc/os-release 2>/dev/null || cat /usr/lib/os-release")
    words = [word.partition("=") for word in shlex.split(text, comments=True)]
    said = {key: value for key, _, value in words}
    base = said.get("UBUNTU_CODENAME") or said.get("DEBIAN_CODENAME", "")
    id, version = said["ID"], said.get("VERSION_ID", "")
    found = distros.platform(id, version, said.get("VERSION_CODENAME", ""), base=base, extra=extra)
    assert found is not None, f"{id} {version} is not in the table of distributions"  # noqa: S101 - a failed check
    return found


def publishes(host: Host, extra: tuple[Distribution, ...] = ()) -> bool:
    """True if Docker publishes packages for the host's distribution."""
    return bool(platform(host, extra).docker)


def named(host: Host, name: str, extra: tuple[Distribution, ...] = ()) -> str | None:
    """The name of a package on this host; ``None`` for a part of the engine that has no package there. A part of the
    distribution's own engine belongs to the package that owns its program."""
    bare = name.removesuffix(OF_DISTRIBUTION)
    if bare not in PROGRAMS or (bare == name and publishes(host, extra)):
        return bare
    if found := owner(host, bare):
        return found
    parts = distros.engines().get(platform(host, extra).engine, {})
    if bare.endswith("-plugin") and PARTS[bare] not in parts:
        return None
    raise AssertionError(f"no package of this host has the program {PROGRAMS[bare]}")


def owner(host: Host, part: str) -> str:
    """The package that owns the program of a part. Empty where there is no program, or where no package owns it."""
    folders = (f"/usr/{folder}/docker/cli-plugins" for folder in ("lib", "libexec", "local/lib", "local/libexec"))
    places = " ".join(folders) if part.endswith("-plugin") else "/usr/sbin /usr/bin /sbin /bin"
    search = 'for folder in %s; do [ ! -x "$folder/%s" ] || { readlink -f "$folder/%s"; break; }; done'
    path = host.run(search % (places, PROGRAMS[part], PROGRAMS[part])).stdout.strip()
    if not path:
        return ""
    if host.exists("apk"):  # "/usr/bin/dockerd is owned by docker-engine-28.3.3-r0"
        said = host.run("apk info -W %s", path).stdout.strip()
        return said.rpartition(" ")[2].rsplit("-", 2)[0] if " is owned by " in said else ""
    if host.exists("pacman"):
        return host.run("pacman -Qqo %s", path).stdout.strip()
    if host.exists("dpkg-query"):  # "docker.io: /usr/sbin/dockerd", the name with its architecture for some packages
        return host.run("dpkg-query -S %s", path).stdout.partition(": ")[0].partition(":")[0]
    found = host.run("rpm -q --qf '%%{NAME}\\n' -f %s", path)
    return found.stdout.strip() if found.succeeded else ""


def uses_rpm(host: Host) -> bool:
    return not host.exists("dpkg-query") and bool(host.exists("rpm"))


def version(host: Host, name: str) -> str:
    """The complete installed version, with its epoch where it has one. Empty when the package is not installed (also
    when only its configuration files are left)."""
    return versions(host).get(name, "")


def installed(host: Host, name: str) -> bool:
    return name in versions(host)


def versions(host: Host) -> dict[str, str]:
    """Every installed package. The host is asked once per run: a question about one package takes as long."""
    return _VERSIONS.of(host, _versions)


def _versions(host: Host) -> dict[str, str]:
    if host.exists("apk"):
        lines = lines_of(host.check_output("apk info -v"))
        text = "\n".join(f"{'-'.join(parts[:-2])} ii {'-'.join(parts[-2:])}" for parts in _parts(lines))
    elif host.exists("pacman"):
        lines = lines_of(host.check_output("pacman -Q"))
        text = "\n".join(line.replace(" ", " ii ", 1) for line in lines)
    elif uses_rpm(host):
        text = host.check_output("rpm -qa --qf '%{NAME} ii %{EPOCH}:%{VERSION}-%{RELEASE}\\n'")
    else:
        text = host.check_output("dpkg-query -W -f '${Package} ${db:Status-Abbrev} ${Version}\\n'")
    rows = [line.split() for line in lines_of(text)]
    return {name: rest[0].removeprefix("(none):") for name, status, *rest in rows if status[1:2] == "i"}


def _parts(lines: list[str]) -> list[list[str]]:
    return [line.split("-") for line in lines]


def held(host: Host, name: str) -> bool:
    """By the host's package manager: apk's world file, IgnorePkg, apt-mark, a lock of zypper, or a lock of the
    versionlock plugin of dnf and yum at exactly the installed version."""
    if host.exists("apk"):
        return f"{name}={version(host, name)}" in host.check_output("cat /etc/apk/world").split()
    if host.exists("pacman"):
        return name in lines_of(host.check_output("pacman-conf IgnorePkg"))
    if not uses_rpm(host):
        return name in host.check_output("apt-mark showhold").split()
    if host.exists("zypper"):
        rows = lines_of(host.check_output("zypper -n -q locks"))
        return any(name in [cell.strip() for cell in row.split("|")] for row in rows)
    program = "dnf" if host.exists("dnf") else "yum"
    epoch, _, rest = version(host, name).rpartition(":")
    listed = host.check_output(f"{program} -q versionlock list")
    if host.check_output(f"{program} --version").startswith("dnf5"):
        evr = f"{epoch}:{rest}" if epoch not in ("", "0") else rest
        entries = [lines_of(entry) for entry in f"\n{listed}".split("\nPackage name: ")[1:]]
        return any(entry[0] == name and f"evr = {evr}" in entry for entry in entries)
    forms = {f"{name}-{epoch or 0}:{rest}.*", f"{epoch or 0}:{name}-{rest}.*"}
    return bool(forms & set(listed.split()))


def altered(host: Host, programs: Sequence[str]) -> list[str] | None:
    """Programs and units of the packages of ``programs`` whose bytes are not those of the package: as "FLAGS PATH",
    without configuration files (dpkg(1), --verify; rpm(8), VERIFY OPTIONS). ``None`` where the host's package manager
    does not record the bytes of files."""
    paths = " ".join(programs)
    if host.exists("dpkg-query"):
        packages = {
            name.strip()
            for line in lines_of(host.run(f"dpkg-query -S {paths} 2>/dev/null").stdout)
            for name in line.partition(": ")[0].split(",")
        }
        command = "dpkg --verify"
    elif host.exists("rpm"):
        said = host.run(f"rpm -qf --qf '%{{NAME}}\n' {paths} 2>/dev/null").stdout
        packages = {line for line in lines_of(said) if line and " " not in line}
        command = "rpm -V --nodeps --nomtime --nocaps"
    else:
        return None
    if not packages:
        return []
    lines = lines_of(host.run(f"{command} {' '.join(map(shlex.quote, sorted(packages)))}").stdout)
    found = [re.match(r"(\S+)\s+(?:[a-z]\s+)?(/\S*)$", line) for line in lines]
    rows = [(one[1], one[2]) for one in found if one is not None]
    return [
        f"{flags} {path}" for flags, path in rows if flags[2:3] == "5" and re.search(r"bin/|/libexec/|/systemd/", path)
    ]


def blocked(host: Host, packages: Sequence[str]) -> dict[str, str]:
    """Packages of which apt installs no version of an archive, because of a negative priority: package -> the line of
    apt's table (apt_preferences(5), "How APT Interprets Priorities")."""
    found: dict[str, str] = {}
    name = ""
    # Where apt can't read its sources, it lists nothing; other checks report that.
    for line in lines_of(host.run(f"apt-cache policy {' '.join(map(shlex.quote, packages))}").stdout):
        if line and not line.startswith(" "):
            name = line.rstrip(":")
        # Without such a row a package may also have no candidate: apt knows names that no archive has.
        elif re.search(r"\s-\d+(\s|$)", line):
            found.setdefault(name, line.strip())
    return found


def published_keys(host: Host) -> tuple[str, ...]:
    """The fingerprints on Docker's pages for the host's family (docs.docker.com/engine/install)."""
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
        if key == "$(SIGNED_BY)":  # apt before 2.9 does not report it: its source file does
            key = host.run("sed -n 's/^Signed-By: *//p' %s", entry.rpartition(":")[0]).stdout.strip()
        targets.append([*place, key] if key else place)
    return targets


def unsigned_sources(host: Host) -> list[str]:
    """Each option of apt that switches off or weakens the check of signatures, with its place (sources.list(5),
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
    """The same for a deb822 file, without the entries that are switched off."""
    bare = re.sub(r"^#.*\n?", "", text, flags=re.MULTILINE)
    entries = re.split(r"\n[ \t]*\n", bare)
    off = re.compile(r"^Enabled:\s*(?:no|false|without|off|disable|0)[ \t]*$", re.MULTILINE | re.IGNORECASE)
    wanted = re.compile(rf"^{_OPTION}:\s*{_TRUE}(?=[ \t]*$)", re.MULTILINE | re.IGNORECASE)
    return [wanted.findall(entry) for entry in entries if not off.search(entry)]


def rpm_repositories(host: Host) -> dict[str, dict[str, str]]:
    """The enabled repositories of all files: id -> options."""
    text = host.check_output("cat /etc/yum.repos.d/*.repo /etc/zypp/repos.d/*.repo 2>/dev/null || :")
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(text)
    return {id: dict(parser[id]) for id in parser.sections() if parser[id].get("enabled", "1") == "1"}
