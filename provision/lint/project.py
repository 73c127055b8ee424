"""A whole project: every host's daemon.json where it is written, and the hosts among each other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from provision.dockerd.daemon_keys import NEWEST, version
from provision.errors import SpecError, Where
from provision.lint import between_hosts, consistency, daemon_file, readable_secrets
from provision.lint.finding import Finding
from provision.lint.reading import daemon_of
from provision.lint.rules import finding
from provision.project.host_config import Context, HostConfig
from provision.text.yamlfile import Map

_IGNORE = re.compile(r"#\s*provision:\s*ignore=([A-Z0-9]+(?:\s*,\s*[A-Z0-9]+)*)")

#: Where YAML 1.1 (5.4) ends a line: the places of values are counted so.
_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")


def lint(configs: list[HostConfig], context: Context) -> list[Finding]:
    """Every finding once, however many hosts share the lines; in the order of files and lines."""
    found = [*_daemons(configs), *consistency.lint(configs), *readable_secrets.lint(configs, context)]
    return ordered([*found, *between_hosts.lint(configs)])


def broken(error: SpecError, playbook: Path) -> Finding:
    """A project that can't even be read, as a finding."""
    key = f"{error.key}: " if error.key else ""
    return finding("PB001", error.where or Where(playbook, 1), f"{key}{error.message}", error.hint)


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Without those that their own line asks to ignore (``# provision: ignore=DJ210``), and each once."""
    kept = {finding: None for finding in findings if finding.rule.id not in _ignored(finding.where)}
    return sorted(kept, key=lambda finding: (str(finding.where.file), finding.where.line, finding.rule.id))


def _daemons(configs: list[HostConfig]) -> Iterator[Finding]:
    seen: set[object] = set()
    for config in configs:
        if (written := daemon_of(config)) is None:
            continue
        pin = config.spec.engine.version if config.spec.engine is not None else None
        this = (json.dumps(written, sort_keys=True), _places(written), pin)
        if this not in seen:
            seen.add(this)
            yield from daemon_file.lint(written, version(pin or "") or NEWEST)


def _places(written: Map) -> tuple[Any, ...]:
    return (written.here, *written.where.values())


def _ignored(where: Where) -> set[str]:
    lines = _lines(where.file)
    line = lines[where.line - 1] if 0 < where.line <= len(lines) else ""
    found = _IGNORE.search(line)
    return {id.strip() for id in found[1].split(",")} if found else set()


@cache
def _lines(file: Path) -> tuple[str, ...]:
    try:
        return tuple(_BREAK.split(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError):
        return ()
