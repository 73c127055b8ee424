"""The things that a spec declares: the values that the suites are parametrized with, one for each check.

They are derived from the spec itself and not from ``catalog``, so that verify detects a thing that ``catalog`` omits.

A test with an argument of a provider's name runs once for each of the provider's things. A provider that several suites
or users' tests may take is here. A provider that only one suite takes is in that suite, in its ``PROVIDERS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from provision.project.host_config import Context, HostConfig
from provision.verify.declared import objects, registries, system
from provision.verify.declared.objects import Archive, FileBytes, Named

__all__ = ["SHARED", "Archive", "FileBytes", "Named", "Provider"]

Provider = Callable[[HostConfig, Context], Iterator[Named]]

#: The providers that every test may take.
SHARED: dict[str, Provider] = {
    provider.__name__: provider for area in (system, objects, registries) for provider in area.PROVIDERS
}
