"""Facts about a host, from its own files and programs: its distribution, kernel and kind, and its dockerd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from provision.lines import lines_of, words_of

#: Runs a command on the host as root; its output.
Ask = Callable[[str], str]

#: The file with which the lab marks hosts that are not the distribution that they report. VARIANT_ID of os-release(5)
#: can have the same meaning.
MARKER = "/etc/provision-lab"
LOOKALIKE = "look-alike"

# A line KEY=VALUE for each fact. The files of os-release are read, never sourced. In a container without
# systemd-detect-virt(1), the first process has the variable `container`, or the engine has left a file.
_FACTS = f"""\
file=/etc/os-release
[ -r $file ] || file=/usr/lib/os-release
grep -E '^(ID|VERSION_ID|PRETTY_NAME|VARIANT_ID)=' $file
echo "kernel=$(uname -r)"
echo "architecture=$(uname -m)"
if [ -r {MARKER} ]; then echo "marker=$(head -n 1 {MARKER})"; fi
virtualization= container=
if command -v systemd-detect-virt >/dev/null 2>&1; then
    virtualization=$(systemd-detect-virt)
    container=$(systemd-detect-virt --container)
fi
case $container in '' | none) container=$(tr '\\0' '\\n' </proc/1/environ | sed -n 's/^container=//p') ;; esac
if [ -z "$container" ] && [ -e /.dockerenv ]; then container=docker; fi
if [ -z "$container" ] && [ -e /run/.containerenv ]; then container=podman; fi
echo "virtualization=$virtualization"
echo "container=$container"
if [ -d /run/systemd/system ]; then echo services=systemd; else echo services=openrc; fi
"""

# dockerd's processes, each by its pid and start time: a restart changes the line, a reload does not.
_DAEMON = """\
for comm in /proc/[0-9]*/comm; do
    { IFS= read -r name <"$comm"; } 2>/dev/null || continue
    [ "$name" = dockerd ] || continue
    pid=${comm#/proc/}
    pid=${pid%/comm}
    echo "$pid $(sed 's/.*) //' "/proc/$pid/stat" | cut -d ' ' -f 20)"
done
"""


class Facts(Struct, frozen=True):
    id: str
    version: str
    name: str
    kernel: str
    architecture: str
    virtualization: str
    kind: Literal["machine", "container", "look-alike"]
    services: Literal["systemd", "openrc"]


def facts(ask: Ask) -> Facts:
    return parsed(ask(_FACTS))


def parsed(text: str) -> Facts:
    """The facts of a host from its answer."""
    found: dict[str, str] = {}
    for line in lines_of(text):
        key, _, value = line.partition("=")
        found[key] = value.strip("\"'")
    inside = found.get("container", "")
    kind: Literal["machine", "container", "look-alike"] = "machine"
    if LOOKALIKE in (found.get("marker"), found.get("VARIANT_ID")):
        kind = "look-alike"
    elif inside not in ("", "none"):
        kind = "container"
    return Facts(
        found.get("ID", ""),
        found.get("VERSION_ID", ""),
        found.get("PRETTY_NAME", ""),
        found.get("kernel", ""),
        found.get("architecture", ""),
        (inside if inside != "none" else "") or found.get("virtualization") or "unknown",
        kind,
        "systemd" if found.get("services") == "systemd" else "openrc",
    )


def daemon(ask: Ask) -> tuple[str, ...]:
    """dockerd's processes; none where it does not run."""
    return tuple(sorted(" ".join(words_of(line)) for line in lines_of(ask(_DAEMON)) if line))


def has_engine(ask: Ask) -> bool:
    return ask("command -v dockerd >/dev/null 2>&1 && echo yes || echo no").strip() == "yes"


def engine_version(ask: Ask) -> str:
    return ask("docker version --format '{{.Server.Version}}'").strip()


def info(ask: Ask, template: str) -> str:
    """The running daemon's answer to a template of `docker info`."""
    return ask(f"docker info --format '{template}'").strip()
