"""Checks of the values of a daemon.json; each check covers one subject and yields findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from provision.lint.checks import advice
from provision.lint.checks.builder import collection
from provision.lint.checks.combinations import combinations
from provision.lint.checks.logs import logs
from provision.lint.checks.networks import networks
from provision.lint.checks.process import cgroups, labels, paths, runtimes
from provision.lint.checks.registries import insecure, mirrors
from provision.lint.checks.sockets import certificates, hosts, open_api, unit
from provision.lint.checks.storage import storage
from provision.lint.finding import Finding
from provision.lint.reading import Target
from provision.text.yamlfile import Map

CHECKS: tuple[Callable[[Map, Target], Iterator[Finding]], ...] = (
    mirrors,
    insecure,
    networks,
    logs,
    storage,
    cgroups,
    unit,
    hosts,
    certificates,
    open_api,
    combinations,
    paths,
    runtimes,
    labels,
    collection,
    advice.gaps,
    advice.passwords,
    advice.features,
    advice.metrics,
    advice.stores,
    advice.builder,
)
