"""How systemd starts a service: the files that decide it, and the resulting command."""

from __future__ import annotations

import re
from collections.abc import Iterable

from testinfra.host import Host

#: Directories of the distribution's packages. A unit file or a drop-in elsewhere is the spec's or another party's.
_VENDOR = ("/usr/lib/systemd/", "/lib/systemd/")
_FOLDERS = ("/etc/systemd/system", "/etc/systemd/system.control", "/run/systemd/system", "/run/systemd/system.control")
#: Directives that decide the program, its user and its environment (systemd.exec(5), systemd.service(5)).
_DECIDING = re.compile(
    r"^\s*(?:Exec\w+|\w*Environment\w*|User|Group|RootDirectory|RootImage|Bind\w*Paths|ExtensionImages"
    r"|MountImages|PIDFile|Type)\s*=.*",
    re.MULTILINE,
)


def show(host: Host, unit: str, *names: str) -> dict[str, str]:
    """systemd's own properties of a unit."""
    options = " ".join(f"-p {name}" for name in names)
    text = host.check_output(f"systemctl show --no-pager {options} -- %s", unit)
    return dict(line.split("=", 1) for line in text.split("\n") if "=" in line)


def undeclared(host: Host, unit: str, declared: Iterable[str]) -> dict[str, list[str]]:
    """Files of other parties that decide how the unit is started: path -> the lines that do. Files that systemd has
    read, and files on disk that it will read."""
    seen = show(host, f"{unit}.service", "FragmentPath", "DropInPaths")
    folders = " ".join(f"{folder}/{unit}.service.d/*.conf" for folder in _FOLDERS)
    on_disk = host.run(f"ls -d {folders} 2>/dev/null").stdout.split("\n")
    paths = [seen.get("FragmentPath", ""), *seen.get("DropInPaths", "").split(), *on_disk]
    known = set(declared)
    others = [path for path in dict.fromkeys(paths) if path and not path.startswith(_VENDOR) and path not in known]
    found = {path: _DECIDING.findall(host.run("cat %s", path).stdout) for path in others}
    return {path: lines for path, lines in found.items() if lines}


def command(host: Host, unit: str, declared: dict[str, str]) -> list[str]:
    """The words of ``ExecStart=`` by the distribution's unit file and the declared texts, in systemd's order. A word
    that begins with "$" stands for words from the environment. Empty where no file has the directive."""
    own = f"/etc/systemd/system/{unit}.service"
    texts = [declared[own]] if own in declared else [_vendor(host, unit)]
    texts += [text for path, text in sorted(declared.items()) if path.startswith(f"{own}.d/")]
    words: list[str] = []
    for text in texts:
        for value in re.findall(r"^\s*ExecStart\s*=(.*)$", text.replace("\\\n", " "), re.MULTILINE):
            words = value.strip().lstrip("-@:+!|").split()
    return words


def _vendor(host: Host, unit: str) -> str:
    return str(host.run(f"cat /usr/lib/systemd/system/{unit}.service || cat /lib/systemd/system/{unit}.service").stdout)
