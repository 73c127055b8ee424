"""What is wrong with the values of a daemon.json; each check looks at one matter and yields findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from provision.dockerd.daemon_keys import Version
from provision.lint.checks.logs import logs
from provision.lint.checks.networks import networks
from provision.lint.checks.process import cgroups, isolation, labels, paths, runtimes, together, unit
from provision.lint.checks.registries import insecure, mirrors
from provision.lint.checks.storage import storage
from provision.lint.finding import Finding
from provision.text.yamlfile import Map

CHECKS: tuple[Callable[[Map, Version], Iterator[Finding]], ...] = (
    mirrors,
    insecure,
    networks,
    logs,
    storage,
    cgroups,
    unit,
    isolation,
    together,
    paths,
    runtimes,
    labels,
)
