"""Lint a whole project: every host's daemon.json at its place in the YAML, and the hosts compared with each other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from provision import limits
from provision.engine.keys import NEWEST, version
from provision.errors import SpecError, Where
from provision.lines import lines_of
from provision.lint import (
    between_hosts,
    compose,
    compose_projects,
    consistency,
    daemon_file,
    mounts,
    readable_secrets,
    sudoers,
    variables,
    within_host,
)
from provision.lint.finding import Finding
from provision.lint.reading import Target, daemon_of
from provision.lint.rules import RULES, finding
from provision.project.host_config import Context, HostConfig
from provision.text.yamlfile import Map, Seq, nearest

_IGNORE = re.compile(r"#\s*provision:\s*ignore=(\w+(?:\s*,\s*\w+)*)")

_UNIT = re.compile(r"/(?:etc|usr/lib|lib|run)/systemd/system/docker\.service(?:\.d/[^/]+\.conf)?")
#: The line breaks of YAML 1.1 (5.4), by which the lines of values are counted.
_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")


def lint(configs: list[HostConfig], context: Context) -> list[Finding]:
    """Every finding once, even where many hosts share the lines; in the order of files and lines."""
    projects, wrong = compose_projects.read(configs, context)
    found = [*daemons(configs), *consistency.lint(configs), *readable_secrets.lint(configs, context, projects)]
    found += [*wrong, *compose.lint(projects), *within_host.lint(configs, projects), *variables.lint(configs)]
    found += [*mounts.lint(configs, projects), *sudoers.lint(configs, context)]
    return ordered([*found, *between_hosts.lint(configs), *_comments(configs)])


def broken(error: SpecError, playbook: Path) -> Finding:
    """A finding for a project that can't be read."""
    key = f"{error.key}: " if error.key else ""
    return finding("PB001", error.where or Where(playbook, 1), f"{key}{error.message}", error.hint)


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Sort the findings. Remove duplicates, and findings that a comment in their line ignores (``# provision:
    ignore=DJ210``)."""
    kept = {finding: None for finding in findings if finding.rule.id not in _ignored(finding.where)}
    return sorted(kept, key=lambda finding: (str(finding.where.file), finding.where.line, finding.rule.id))


def daemons(configs: list[HostConfig]) -> Iterator[Finding]:
    """The findings in every daemon.json of a fleet."""
    seen: set[object] = set()
    names = frozenset(_declared(configs))
    for config in configs:
        engine, written = config.spec.engine, daemon_of(config)
        if engine is not None and engine.daemon is None and engine.source != "installed":
            written = Map(here=config.source.where["engine"])  # dockerd's defaults
        if written is None:
            continue
        pin = engine.version if engine is not None else None
        this = (json.dumps(written, sort_keys=True), _places(written), pin, _command(config))
        if this not in seen:
            seen.add(this)
            target = Target(version(pin or "") or NEWEST, True, _command(config), True, names)
            yield from daemon_file.lint(written, target)


def _command(config: HostConfig) -> str:
    """The commands of the drop-ins of docker.service that replace its ``ExecStart`` (systemd.service(5)). The content
    of a template or of a file in files/ is not read: it is taken as one without flags."""
    found = []
    for path, file in config.spec.files.items():
        if _UNIT.fullmatch(path) and not file.absent:
            text = "ExecStart=dockerd" if file.content is None else file.content
            found += [line for line in lines_of(re.sub(r"\\\n", " ", text)) if re.match(r"\s*ExecStart\s*=", line)]
    return "\n".join(found)


def _declared(configs: list[HostConfig]) -> Iterator[str]:
    """The names of the fleet's registries and hosts."""
    for config in configs:
        yield from (config.host.name, str(config.host.login.address))
        if config.spec.hostname is not None:
            yield config.spec.hostname
        if config.spec.registry is not None:
            yield from (config.spec.registry.name, f"{config.spec.registry.name}:{config.spec.registry.port}")


def _places(written: Map) -> tuple[Any, ...]:
    return (written.here, *written.where.values())


def _comments(configs: list[HostConfig]) -> Iterator[Finding]:
    """Comments that ignore a rule that does not exist, in the files of the hosts' specs."""
    for file in sorted({place.file for config in configs for place in _all_places(config.source)}):
        for number, text in enumerate(_lines(file), 1):
            for id in _named(text) if "ignore" in text else ():
                if id not in RULES:
                    message = f"the comment ignores {id}, and there is no such rule"
                    yield finding("LT003", Where(file, number), message, nearest(id, RULES) or "provision explain")


def _all_places(value: Any) -> Iterator[Where]:
    if isinstance(value, Map):
        yield from value.where.values()
    elif isinstance(value, Seq):
        yield from value.where
    for inner in value.values() if isinstance(value, Map) else value if isinstance(value, Seq) else ():
        yield from _all_places(inner)


def _named(line: str) -> set[str]:
    """The rules that a comment in the line names."""
    found = _IGNORE.search(line)
    return {id.strip() for id in found[1].split(",")} if found else set()


def _ignored(where: Where) -> set[str]:
    lines = _lines(where.file)
    return _named(lines[where.line - 1]) if 0 < where.line <= len(lines) else set()


@cache
def _lines(file: Path) -> tuple[str, ...]:
    try:
        return tuple(_BREAK.split(limits.exact_text(file)))
    except SpecError:
        return ()
