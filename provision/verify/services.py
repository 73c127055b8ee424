"""The host's service manager (systemd or OpenRC), and how systemd starts a service.

Also :class:`Once`, answers of a host that are kept for a run: the first check that needs an answer asks the host.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from testinfra.host import Host

# A command that runs after some seconds, even when provision is killed: systemd-run(1), or a separate process.
LATER = """
later() { # SECONDS NAME COMMAND
    if [ -d /run/systemd/system ]; then
        systemd-run -q --on-active="$1" --unit="$2" /bin/sh -c "$3"
    else
        touch "/run/$2"
        setsid sh -c "sleep $1; [ ! -e '/run/$2' ] || { rm -f '/run/$2'; $3; }" >/dev/null 2>&1 </dev/null &
    fi
}
"""


def never(name: str) -> str:
    """The shell command that cancels every ``later`` whose name begins with ``name``."""
    return f"if [ -d /run/systemd/system ]; then systemctl stop '{name}*.timer'; else rm -f /run/{name}*; fi"


def uses_systemd(host: Host) -> bool:
    return bool(host.file("/run/systemd/system").is_directory)


def dockerd(host: Host) -> str:
    """The pid of the daemon, from its own file (dockerd's option ``pidfile``)."""
    return str(host.check_output("cat /run/docker.pid"))


def restart_docker(host: Host) -> None:
    """Docker's unit allows three starts a minute; this restart must not exceed the limit. OpenRC lists docker as
    started before it answers."""
    if uses_systemd(host):
        host.check_output("systemctl reset-failed docker; systemctl restart docker")
    else:
        wait = "for n in $(seq 60); do docker version >/dev/null 2>&1 && exit 0; sleep 1; done; exit 1"
        host.check_output(f"rc-service docker restart && {{ {wait}; }}")


#: Directories of the distribution's packages. A unit file or a drop-in elsewhere is the spec's or another party's.
_VENDOR = ("/usr/lib/systemd/", "/lib/systemd/")
_FOLDERS = ("/etc/systemd/system", "/etc/systemd/system.control", "/run/systemd/system", "/run/systemd/system.control")
#: Any directive, except those that only describe the unit (systemd.unit(5)).
_DIRECTIVE = re.compile(r"^[ \t]*(?!Description|Documentation|#|;)[A-Z]\w+[ \t]*=.*", re.MULTILINE)


def show(host: Host, unit: str, *names: str) -> dict[str, str]:
    """systemd's own properties of a unit."""
    options = " ".join(f"-p {name}" for name in names)
    text = host.check_output(f"systemctl show --no-pager {options} -- %s", unit)
    return dict(line.split("=", 1) for line in text.split("\n") if "=" in line)


def undeclared(host: Host, unit: str, declared: Iterable[str]) -> dict[str, list[str]]:
    """Files of other parties that decide how a unit starts, ends and what it may do: path -> their directives. Files
    that systemd has read, and files on disk that it will read. ``unit`` without a suffix is a service."""
    name = unit if "." in unit else f"{unit}.service"
    kind = name.rpartition(".")[2]
    seen = show(host, name, "FragmentPath", "DropInPaths")
    folders = " ".join(f"{folder}/{one}.d/*.conf" for folder in _FOLDERS for one in (name, kind))
    on_disk = host.run(f"ls -d {folders} 2>/dev/null").stdout.split("\n")
    paths = [seen.get("FragmentPath", ""), *seen.get("DropInPaths", "").split(), *on_disk]
    known = set(declared)
    others = [path for path in dict.fromkeys(paths) if path and not path.startswith(_VENDOR) and path not in known]
    found = {path: _DIRECTIVE.findall(host.run("cat %s", path).stdout) for path in others}
    return {path: lines for path, lines in found.items() if lines}


def started_at_boot(host: Host, unit: str) -> bool:
    """True if what ``default.target`` reaches wants or requires this unit at the next boot, when the links below /run
    are gone (systemd.unit(5), "Unit File Load Path")."""
    text = host.check_output("systemctl list-dependencies --plain --no-pager default.target")
    reached = {line.strip() for line in text.split("\n")} | {"default.target"}
    # A property that an older systemd does not know is not in its answer.
    seen = show(host, unit, "WantedBy", "RequiredBy", "UpheldBy")
    wanted = {name for names in seen.values() for name in names.split()}
    runtime = _linked(host, unit, "/run/systemd/system") - _linked(host, unit, "/etc/systemd/system", *_VENDOR)
    return bool(reached & (wanted - runtime))


def _linked(host: Host, unit: str, *folders: str) -> set[str]:
    """The units that have a link to this one in their directory of wanted or required units."""
    found = host.run(f"find {' '.join(folders)} -path '*.[wru]*/'%s", unit).stdout.split("\n")
    return {path.split("/")[-2].rpartition(".")[0] for path in found if path}


def command(host: Host, unit: str, declared: dict[str, str]) -> list[str]:
    """The words of ``ExecStart=`` by the distribution's unit file and the declared texts, in systemd's order. A word
    that begins with "$" stands for words from the environment. Empty where no file has the directive."""
    own = f"/etc/systemd/system/{unit}.service"
    texts = [declared[own]] if own in declared else [_vendor(host, unit)]
    texts += [text for path, text in sorted(declared.items()) if path.startswith(f"{own}.d/")]
    words: list[str] = []
    for text in texts:
        for value in re.findall(r"^[ \t]*ExecStart[ \t]*=(.*)$", text.replace("\\\n", " "), re.MULTILINE):
            words = value.strip().lstrip("-@:+!|").split()
    return words


def _vendor(host: Host, unit: str) -> str:
    return str(host.run(f"cat /usr/lib/systemd/system/{unit}.service || cat /lib/systemd/system/{unit}.service").stdout)


Answer = TypeVar("Answer")


class Once(Generic[Answer]):
    """One answer of each host. Checks of several hosts run in threads. Each host has a separate lock, so that a slow
    host does not delay the others. After an error the next check asks again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: WeakKeyDictionary[Host, tuple[threading.Lock, list[Answer]]] = WeakKeyDictionary()

    def of(self, host: Host, ask: Callable[[Host], Answer]) -> Answer:
        with self._lock:
            lock, answers = self._found.setdefault(host, (threading.Lock(), []))
        with lock:
            if not answers:
                answers.append(ask(host))
            return answers[0]

    def forget(self, host: Host) -> None:
        with self._lock:
            self._found.pop(host, None)
