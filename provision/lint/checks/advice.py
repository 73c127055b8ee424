"""Values that work, but that an expert would advise against."""

from __future__ import annotations

import re
from collections.abc import Iterator

from provision.lint import shapes
from provision.lint.checks.builder import member
from provision.lint.finding import Finding
from provision.lint.reading import Target, containerd_store, texts
from provision.lint.rules import NAMES, finding
from provision.text.yamlfile import Map, nearest

#: Text that the reader of a tutorial had to replace: <id>, xxxx, {{ name }}, ${NAME}, your-...
_GAP = re.compile(
    r"<[A-Za-z][\w .-]*>|\{\{[^{}\n]*\}\}|\$\{?[A-Z_]{2,}\}?|(?<![A-Za-z0-9])[xX]{3,}(?![A-Za-z0-9])"
    r"|\b[xX]+(?:\.[xX]+){3}\b|(?i:\byour[-_][a-z-]+)"
)
#: A URL with a password, and log options that are one.
_LOGIN = re.compile(r"://[^/@:\s]*:[^/@\s]+@")
_TOKENS = frozenset(("splunk-token", "logentries-token"))
#: An action of a template, without braces inside: an open one is searched up to the next brace only.
_ACTION = re.compile(r"\{\{([^{}]*)\}\}")
#: An action of a Go template names a field of the value: a dot that does not follow a name.
_FIELD = re.compile(r"(?<![\w)\]])\.")


def gaps(daemon: Map, target: Target) -> Iterator[Finding]:
    """Placeholders. A log option may contain a Go template, such as ``{{.Name}}``, of Docker or of a plugin."""
    for name, value in daemon.items():
        if name == "log-opts":
            value = Map((option, text) for option, text in value.items() if option != "tag" and "regex" not in option)
        for text, where in texts(value, daemon.where[name]):
            text = _ACTION.sub(_without_field, text) if name == "log-opts" else text
            if (found := _GAP.search(text)) is not None:
                yield finding("DJ311", where, f'{name} "{text}" still has the placeholder {found[0]}')


def _without_field(action: re.Match[str]) -> str:
    return "" if _FIELD.search(action[1]) else action[0]


def passwords(daemon: Map, target: Target) -> Iterator[Finding]:
    """Passwords in the file. A message never has the value. A spec can declare a proxy's password as a secret, so there
    it is an error, as for ``engine.proxy``."""
    for key, level in (("proxies", "error" if target.in_spec else "warning"), ("log-opts", "warning")):
        values = daemon.get(key) or Map()
        for name, text in values.items():
            if isinstance(text, str) and (_LOGIN.search(text) or (text and name in _TOKENS)):
                hint = "engine.proxy, with place: unit and the password as a !secret" if target.in_spec else ""
                message = f"{key}.{name} has a password: every user who can read this file can use it"
                yield finding("DJ317", values.where[name], message, hint if key == "proxies" else "", level)  # type: ignore[arg-type]


def features(daemon: Map, target: Target) -> Iterator[Finding]:
    found = daemon.get("features") or Map()
    for name in found:
        if name not in NAMES["features"]:
            message = f'features "{name}" is not known, and dockerd ignores it'
            yield finding("DJ310", found.where[name], message, nearest(name, NAMES["features"]))


def metrics(daemon: Map, target: Target) -> Iterator[Finding]:
    host = (daemon.get("metrics-addr") or "").rpartition(":")[0]
    if daemon.get("metrics-addr") and host in ("", "0.0.0.0", "[::]", "::"):  # noqa: S104 - it is looked for
        where = daemon.where["metrics-addr"]
        message = f'metrics-addr "{daemon["metrics-addr"]}" answers on all addresses, without a login'
        yield finding("DJ305", where, message, "127.0.0.1:9323, or the address of the monitoring network")


def stores(daemon: Map, target: Target) -> Iterator[Finding]:
    """The image store of engine 29: where it is, and which values opt out of it."""
    engine = target.engine
    if daemon.get("data-root") and containerd_store(daemon, engine) and not target.in_spec:
        where = daemon.where["data-root"]
        message = "data-root does not move the images of this engine: they are in containerd's root"
        yield finding("DJ312", where, message, "set root in /etc/containerd/config.toml too")


def builder(daemon: Map, target: Target) -> Iterator[Finding]:
    gc = member(daemon.get("builder"), "gc")
    if target.engine < (28, 0) or not isinstance(gc, Map):
        return
    if (found := shapes.field("defaultKeepStorage", dict.fromkeys(gc))) is not None:
        message = f"builder.gc.{found} is the old name of defaultReservedSpace"
        yield finding("DJ314", gc.where[found], message, "use defaultReservedSpace")
