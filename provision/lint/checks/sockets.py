"""The sockets of dockerd: conflicts with its unit, addresses, certificates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from provision.engine.keys import Version
from provision.lint.finding import Finding, Level
from provision.lint.reading import Target, each
from provision.lint.rules import finding
from provision.text.yamlfile import Map

_SCHEMES = ("unix", "tcp", "fd", "npipe")


def unit(daemon: Map, target: Target) -> Iterator[Finding]:
    """A file without a spec may be for a host whose unit has no such flag: a drop-in, or another service manager. A
    spec may declare the drop-in."""
    for name, flag, words in (("hosts", "-H fd://", r"-H|--host"), ("containerd", "--containerd", r"--containerd")):
        removed = target.command and not re.search(rf"(?:^|\s)(?:{words})\b", target.command)
        if name in daemon and not removed:  # an empty value is a conflict too
            level: Level = "error" if target.packaged else "warning"
            message = f"{name} conflicts with {flag} of the packaged docker.service"
            hint = "" if target.packaged else f"correct only where a drop-in removes {flag} from ExecStart"
            yield finding("DJ214", daemon.where[name], message, hint, level)


def hosts(daemon: Map, target: Target) -> Iterator[Finding]:
    for value, where in each(daemon, "hosts"):
        if (wrong := _address(value, target.engine)) is not None:
            yield finding("DJ228", where, f'hosts "{value}" {wrong}')


def _address(value: str, engine: Version) -> str | None:
    """Why dockerd can't listen at this address (moby, daemon/pkg/opts/hosts.go, ParseDaemonHost). Engines before 29.2
    removed blanks around it."""
    text = value.strip(" ")
    if not text:
        return None
    if engine >= (29, 2) and text != value and not value.startswith(("unix://", "fd://")):
        return "has a blank around it"
    scheme = text.partition("://")[0] if "://" in text else "tcp"
    if scheme not in _SCHEMES:
        return f"has the scheme {scheme}://; use {', '.join(f'{one}://' for one in _SCHEMES[:3])}"
    if scheme == "npipe":
        return "is for Windows"
    if scheme != "tcp":
        return None
    try:
        parts = urlsplit(text if "://" in text else f"tcp://{text}")
        port = parts.port
    except ValueError:
        return "has a port that is not a number from 1 to 65535"
    if parts.path:
        return "must not have a path"
    if port == 0:
        return "has the port 0"
    return "has a blank in it" if " " in text else None


def certificates(daemon: Map, target: Target) -> Iterator[Finding]:
    """tlsverify switches TLS on even when it is false (moby, daemon/command/daemon.go, loadDaemonCliConfig)."""
    verify = daemon.get("tlsverify")
    given = "tlsverify" in daemon
    if not given and daemon.get("tls") is not True:
        return
    name = "tlsverify" if given else "tls"
    needed = ("tlscacert", "tlscert", "tlskey") if verify else ("tlscert", "tlskey")
    if lacking := [one for one in needed if not daemon.get(one)]:
        switched = "tlsverify: false enables TLS too, and" if given and not verify else name
        message = f"{switched} needs {', '.join(lacking)}"
        hint = "remove tlsverify" if given and not verify else "dockerd does not start without the files"
        yield finding("DJ225", daemon.where[name], message, hint)


def open_api(daemon: Map, target: Target) -> Iterator[Finding]:
    """The API on TCP: every client that reaches it is root on the host."""
    if daemon.get("tlsverify") is True:
        return
    for value, where in each(daemon, "hosts"):
        text = value.strip(" ")
        if text.startswith("tcp://") or (text and "://" not in text):
            message = f'hosts "{value}" without tlsverify: every client that reaches it is root on this host'
            yield finding("DJ303", where, message, "use ssh://, or tlsverify with certificates")
