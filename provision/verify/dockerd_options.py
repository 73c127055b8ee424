"""The options that a dockerd was started with: the flags of its command line, and the keys of its configuration file.

Flags and their names in the file are moby's (daemon/command/config.go, config_unix.go, options.go, docker.go). The
command line is parsed as pflag does. A key that is given both ways stops dockerd (moby, daemon/config/config.go:
findConfigurationConflicts), so no precedence between the two is needed.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from testinfra.host import Host

from provision.verify.services import dockerd

DEFAULT_FILE = "/etc/docker/daemon.json"
#: Characters of a command line that are read. A service manager's command line for dockerd has some hundred.
_LONGEST = 64 * 1024

_SHORT = {
    "b": "bridge",
    "D": "debug",
    "G": "group",
    "H": "host",
    "l": "log-level",
    "p": "pidfile",
    "r": "restart",
    "s": "storage-driver",
    "v": "version",
}
#: Flags that are true without a value, and never take the next word as one.
_BOOLEAN_NAMES = (
    "allow-direct-routing cri-containerd debug experimental help icc init ip-forward ip-forward-no-drop ip-masq "
    "ip6tables iptables ipv6 live-restore no-new-privileges raw-logs restart rootless selinux-enabled tls "
    "tlsverify userland-proxy validate version"
)
_BOOLEAN = frozenset(_BOOLEAN_NAMES.split())
#: Flags with one value.
_SINGLE_NAMES = (
    "bip bip6 bridge bridge-accept-fwmark cgroup-parent config-file containerd containerd-namespace "
    "containerd-plugins-namespace cpu-rt-period cpu-rt-runtime data-root default-cgroupns-mode default-gateway "
    "default-gateway-v6 default-ipc-mode default-runtime default-shm-size default-stop-timeout exec-root "
    "firewall-backend fixed-cidr fixed-cidr-v6 group http-proxy https-proxy init-path ip log-driver log-format "
    "log-level max-concurrent-downloads max-concurrent-uploads max-download-attempts metrics-addr mtu "
    "network-control-plane-mtu network-diagnostic-port no-proxy nri-opts pidfile seccomp-profile shutdown-timeout "
    "storage-driver swarm-default-advertise-addr tlscacert tlscert tlskey userland-proxy-path userns-remap"
)
_SINGLE = frozenset(_SINGLE_NAMES.split())
#: Flags that may be given more than once -> the key of their list in the file.
_LISTS = {
    "authorization-plugin": "authorization-plugins",
    "cdi-spec-dir": "cdi-spec-dirs",
    "default-address-pool": "default-address-pools",
    "dns": "dns",
    "dns-opt": "dns-opts",
    "dns-search": "dns-search",
    "exec-opt": "exec-opts",
    "host": "hosts",
    "host-gateway-ip": "host-gateway-ips",
    "insecure-registry": "insecure-registries",
    "label": "labels",
    "node-generic-resource": "node-generic-resources",
    "registry-mirror": "registry-mirrors",
    "storage-opt": "storage-opts",
}
#: Flags of the form NAME=VALUE that may be given more than once -> the key of their mapping in the file.
_MAPPINGS = {
    "add-runtime": "runtimes",
    "default-network-opt": "default-network-opts",
    "default-ulimit": "default-ulimits",
    "feature": "features",
    "log-opt": "log-opts",
}
#: Go's strconv.ParseBool.
_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))


def options(words: Sequence[str], read: Callable[[str], str | None]) -> dict[str, Any]:
    """The options of a dockerd with this command line (its own name first), by their names in the file. ``config-file``
    is the path of the file. ``read`` returns a file's text, or ``None`` where there is no such file."""
    flags = from_flags(words)
    # A relative path is relative to the working directory; a service manager starts dockerd in the root directory.
    flags["config-file"] = str(PurePosixPath("/") / str(flags.get("config-file", DEFAULT_FILE)))
    return {**from_file(read(flags["config-file"])), **flags}


def from_file(text: str | None) -> dict[str, Any]:
    """The keys of a file. For dockerd, no file and an empty file are files without keys."""
    found: dict[str, Any] = json.loads(text.removeprefix("\ufeff")) if text and text.strip() else {}
    return found


def from_flags(words: Sequence[str]) -> dict[str, Any]:
    """The options of a command line (its own name first), by the names of the file."""
    found: dict[str, Any] = {}
    for name, value in _flags(deque(words[1:])):
        if name in _BOOLEAN:
            found[name] = value not in _FALSE
        elif name in _LISTS:
            found.setdefault(_LISTS[name], []).append(value)
        elif name in _MAPPINGS:
            key, _, given = str(value).partition("=")
            found.setdefault(_MAPPINGS[name], {})[key] = given
        else:
            found[name] = value
    return found


def _flags(words: deque[str]) -> Iterator[tuple[str, str | bool]]:
    """Name and value of each flag; ``True`` for one without a value."""
    while words:
        word = words.popleft()
        if word == "--":
            return
        if word.startswith("--"):
            name, given, value = word[2:].partition("=")
            yield name, value if given else _next(name, words)
        elif word.startswith("-"):
            yield from _letters(word, words)
        # dockerd takes no other arguments (cli.NoArgs).


def _letters(word: str, words: deque[str]) -> Iterator[tuple[str, str | bool]]:
    """``-D``, ``-l debug``, ``-ldebug``, ``-l=debug``, and several at a time: ``-Dl debug``."""
    for at in range(1, len(word)):
        name = _SHORT.get(word[at], word[at])
        if word.startswith("=", at + 1) and len(word) > at + 2:
            yield name, word[at + 2 :]
            return
        if name in _BOOLEAN:
            yield name, True
            continue
        yield name, word[at + 1 :] or _next(name, words)
        return


def _next(name: str, words: deque[str]) -> str | bool:
    """The next word, for a flag that needs a value. An unknown flag takes the next word too, unless that is a flag:
    dockerd accepts no other words."""
    if name in _BOOLEAN or not words:
        return True
    known = name in _LISTS or name in _MAPPINGS or name in _SINGLE
    return True if not known and words[0].startswith("-") else words.popleft()


def of_running(host: Host) -> dict[str, Any]:
    """The options of the dockerd that runs on ``host``."""
    # Each word ends with NUL, which becomes a line feed. No option of dockerd contains a line feed.
    text = str(host.check_output("head -c %s /proc/%s/cmdline | tr '\\0' '\\n'", str(_LONGEST + 1), dockerd(host)))
    assert text, "the running dockerd has no command line"  # noqa: S101 - a failed check
    assert len(text) <= _LONGEST, f"the command line of dockerd has more than {_LONGEST} characters"  # noqa: S101 - a failed check
    return options([word for word in text.split("\n") if word], lambda path: text_of(host, path))


def text_of(host: Host, path: str) -> str | None:
    """The text of a file on ``host``; ``None`` where there is none."""
    file = host.file(path)
    return str(file.content_string) if file.exists else None
