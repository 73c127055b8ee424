"""The hosts under verification, and their tests: the code that both ways to run the suites share (provision's, and
plain pytest)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from testinfra.host import Host as Target

from provision.project.host_config import HostConfig
from provision.verify.declared import SHARED, Provider
from provision.verify.suite_files import SUITES

#: Suites that only run on request: they check a third-party standard, not the spec.
OPT_IN = ("cis",)


class Subject(Struct, frozen=True):
    """One host under verification."""

    config: HostConfig
    target: Target


def providers(test: Any) -> dict[str, Provider]:
    """The providers that a test may take, by name: the shared ones, and those of its own suite."""
    module = getattr(test, "module", None)
    own = getattr(module, "PROVIDERS", ()) if SUITES in Path(getattr(module, "__file__", None) or "").parents else ()
    return {**SHARED, **{provider.__name__: provider for provider in own}}


def things(metafunc: pytest.Metafunc) -> tuple[str, Provider] | None:
    """The name of the argument by which a test takes declared things, and the provider of these things. ``None`` if the
    test takes none."""
    found = providers(metafunc)
    wanted = [name for name in metafunc.fixturenames if name in found]
    if len(wanted) > 1:
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: a test is about one declared thing, not {wanted}")
    return (wanted[0], found[wanted[0]]) if wanted else None


def own_tests(config: HostConfig) -> tuple[Path, ...]:
    """The user's own tests (files and directories) of every play that contains the host."""
    return tuple(dict.fromkeys(path for play in config.plays for path in play.verify))


def is_for(config: HostConfig, file: Path) -> bool:
    """True if a test file is for this host: provision's files always; a user's file if a play of the host names it."""
    return SUITES in file.parents or any(path == file or path in file.parents for path in own_tests(config))


def plain(config: HostConfig) -> dict[str, Any]:
    """The host's whole spec as the user wrote it, merged and rendered: the value of the fixture ``spec``."""
    found: dict[str, Any] = json.loads(json.dumps(config.source))
    return found


def mark(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "disruptive: restarts a daemon, flips a setting or uses up memory")
