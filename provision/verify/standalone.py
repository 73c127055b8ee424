"""The suites under plain pytest, without provision's command line::

    pytest -p provision.verify.standalone --pyargs provision.verify.suites \\
        --provision-inventory inventory --provision-playbook playbooks/site.yml --hosts=ssh://web1,ssh://web2

``--hosts`` is testinfra's own option. A host gets the spec of the inventory's host with that name or address.
provision logs in to ``provision://web1`` (or ``provision://all``) as the inventory says, on a verified connection.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import testinfra.backend
from testinfra.host import Host as Target

from provision.load import Loaded, Logins, load
from provision.project.host_config import HostConfig
from provision.transport.ssh import Connecting, Transport
from provision.verify.backend import HeldBackend
from provision.verify.declared import Named, Provider
from provision.verify.reports import compared, hide_before_cut, made_visible
from provision.verify.subjects import mark, plain, providers, things

_UNDECLARED = pytest.mark.skip(reason="no host declares it")
#: Seconds that the login to a host may take.
_LOGIN = 180.0
#: Seconds for each of TCP, banner and authentication: the host may be starting, or have much to do.
_CONNECT = 30.0


class InventoryBackend(HeldBackend):
    """testinfra's ``provision://NAME``: logs in to a host of the inventory as every command of provision does."""

    def __init__(self, hostspec: str, *args: Any, **kwargs: Any) -> None:
        config = _session().config(hostspec)
        if config is None:
            raise pytest.UsageError(f"no play is for {hostspec}")
        session = _session()
        connection = session.transport.open(config.host, time.monotonic() + _LOGIN)
        super().__init__(config.host.name, connection, config.host.login)
        self.hostspec = config.host.name

    @classmethod
    def get_hosts(cls, host: str, **kwargs: Any) -> list[str]:
        return _session().names if host == "all" else [host]

    def get_pytest_id(self) -> str:
        return f"provision://{self.hostspec}"


class _Session:
    def __init__(self, inventory: str | None, playbook: Path) -> None:
        self.loaded: Loaded = load(inventory, playbook, logins=Logins())
        self.transport = Transport(Connecting(_CONNECT, False))
        self.transport.prepare([config.host.login for config in self.loaded.configs])
        self._things: dict[int, str] = {}

    @property
    def names(self) -> list[str]:
        return [config.host.name for config in self.loaded.configs]

    def config(self, name: str) -> HostConfig | None:
        """The configuration of a host by its name or address; for a run on the host itself, by its own name."""
        name = socket.gethostname() if name == "local" else name
        for config in self.loaded.configs:
            if name in (config.host.name, config.host.login.address):
                return config
        return None

    def of(self, target: Target) -> HostConfig | None:
        backend = target.backend
        name = getattr(backend, "hostspec", None) or getattr(getattr(backend, "host", None), "name", None)
        return self.config(str(name or backend.hostname))

    def everything(self, provider: Provider) -> list[Named]:
        found: list[Named] = []
        for config in self.loaded.configs:
            for item in provider(config, self.loaded.context):
                self._things[id(item)] = config.host.name
                found.append(item)
        return found

    def owner(self, item: Named) -> str:
        return self._things[id(item)]


#: testinfra creates its backends itself and can't pass provision's objects to them.
_SESSIONS: list[_Session] = []


def _session() -> _Session:
    if not _SESSIONS:
        raise pytest.UsageError("provision://… needs --provision-inventory and --provision-playbook")
    return _SESSIONS[-1]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("provision")
    group.addoption("--provision-inventory", default=None, help="file or folder")
    group.addoption("--provision-playbook", type=Path, default=Path("playbooks/site.yml"), help="the playbook")


def pytest_configure(config: pytest.Config) -> None:
    mark(config)
    hide_before_cut(config)
    testinfra.backend.BACKENDS["provision"] = f"{__name__}.InventoryBackend"
    _SESSIONS.append(_Session(config.option.provision_inventory, config.option.provision_playbook))


def pytest_unconfigure() -> None:
    while _SESSIONS:
        _SESSIONS.pop().transport.close()


@pytest.fixture
def spec(host: Target) -> dict[str, Any]:
    """The host's spec, merged and rendered."""
    config = _session().of(host)
    if config is None:
        pytest.skip(f"no play is for {host}")
    return plain(config)


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if (thing := things(metafunc)) is not None:
        argument, provider = thing
        if found := _session().everything(provider):
            metafunc.parametrize(argument, found, ids=[item.name for item in found])
        else:
            # An empty set could be an error: a project's configuration decides that (empty_parameter_set_mark).
            metafunc.parametrize(argument, [pytest.param(None, id="undeclared", marks=_UNDECLARED)])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep only the tests of things that are declared for their host."""
    kept = [item for item in items if _belongs(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


def _belongs(item: pytest.Item) -> bool:
    params = getattr(getattr(item, "callspec", None), "params", {})
    target = params.get("_testinfra_host")
    if target is None:
        return True
    found = [value for value in params.values() if isinstance(value, Named)]
    if not found:  # a check without a parameter, or a check of things that no host declares
        return not any(name in params for name in providers(item))
    config = _session().of(target)
    return config is not None and all(_session().owner(item) == config.host.name for item in found)


@pytest.hookimpl(tryfirst=True)
def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    return compared(op, left, right)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    made_visible(report)
    return report


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Call a suite's ``after`` when a host has run all tests of the suite."""
    after = getattr(getattr(item, "module", None), "after", None)
    target = getattr(getattr(item, "callspec", None), "params", {}).get("_testinfra_host")
    if after is None or target is None:
        return
    following = getattr(getattr(nextitem, "callspec", None), "params", {}).get("_testinfra_host")
    if nextitem is None or getattr(nextitem, "module", None) is not item.module or following is not target:  # type: ignore[attr-defined]
        after(target)
