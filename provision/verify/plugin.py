"""The pytest plugin: hosts and declared things as parameters, and probes that run on all hosts at once.

pytest itself runs one test after the other. Before that, the plugin starts a thread for each host, which calls the
host's tests over the host's connection. When pytest reaches a test, it waits for the outcome if needed, and treats it
as its own call: reports, assertion messages and JUnit are pytest's. A test with custom fixtures (only a user's test can
have them) runs in pytest's own order.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from testinfra.host import Host as Target

from provision.project.host_config import Context
from provision.verify.declared import Named
from provision.verify.reports import compared, hide_before_cut, made_visible
from provision.verify.subjects import Subject, is_for, mark, plain, things


class Check(Struct, frozen=True):
    """The result of one check on one host: ``passed``, ``failed`` or ``skipped``, with the observed values."""

    host: str
    suite: str
    name: str
    outcome: str
    message: str = ""
    seconds: float = 0.0


class Plugin:
    """An argument for ``pytest.main``; ``on_check`` is called with every check when pytest reaches it."""

    def __init__(
        self,
        subjects: dict[str, Subject],
        context: Context,
        on_check: Callable[[Check], None],
        forks: int = 50,
    ) -> None:
        self.subjects, self.context, self.on_check, self.forks = subjects, context, on_check, forks
        self._outcomes: dict[str, Future[None]] = {}
        #: of each host's last check: the end of the host's clean-up
        self._cleaned: dict[str, Future[None]] = {}
        self._checks: dict[str, tuple[str, str]] = {}
        self._pool: ThreadPoolExecutor | None = None

    def pytest_configure(self, config: pytest.Config) -> None:
        mark(config)
        hide_before_cut(config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> list[str] | None:
        return compared(op, left, right)

    @pytest.fixture(scope="module")
    def host(self, request: pytest.FixtureRequest) -> Target:
        """The testinfra host of this test."""
        return self.subjects[request.param].target

    @pytest.fixture
    def spec(self, request: pytest.FixtureRequest) -> dict[str, Any]:
        """The host's spec, merged and rendered."""
        return plain(self.subjects[_host(request.node)].config)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "host" not in metafunc.fixturenames:
            return
        file = metafunc.definition.path
        hosts = {name: subject for name, subject in self.subjects.items() if is_for(subject.config, file)}
        if (thing := things(metafunc)) is None:
            metafunc.parametrize("host", list(hosts), indirect=True, scope="function")
            return
        argument, provider = thing
        pairs = [(name, item) for name, subject in hosts.items() for item in provider(subject.config, self.context)]
        ids = [f"{host}-{item.name}" for host, item in pairs]
        metafunc.parametrize(("host", argument), pairs, ids=ids, indirect=["host"], scope="function")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Remove checks of things that no host declares. Disruptive checks run last, after all other results."""
        items[:] = [item for item in items if _host(item) in self.subjects or not _wants_host(item)]
        items.sort(key=lambda item: item.get_closest_marker("disruptive") is not None)
        for item in items:
            self._checks[item.nodeid] = _named(item)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Start a thread for each host, which runs the host's tests in order; pytest's own loop follows."""
        by_host: dict[str, list[pytest.Function]] = {}
        for item in session.items:
            if isinstance(item, pytest.Function) and _simple(item):
                by_host.setdefault(_host(item), []).append(item)
                self._outcomes[item.nodeid] = Future()
        if not by_host:
            return
        self._pool = ThreadPoolExecutor(max_workers=min(self.forks, len(by_host)), thread_name_prefix="verify")
        for host, items in by_host.items():
            self._cleaned[items[-1].nodeid] = Future()
            self._pool.submit(self._probe, host, items)

    def pytest_sessionfinish(self) -> None:
        """Wait until every host has cleaned up after its checks."""
        if self._pool is not None:
            self._pool.shutdown()

    def _probe(self, host: str, items: list[pytest.Function]) -> None:
        subject = self.subjects[host]
        given: dict[str, Any] = {"host": subject.target}
        for item in items:
            try:
                if "spec" not in given:
                    given["spec"] = plain(subject.config)
                values = {**item.callspec.params, **given}
                item.obj(**{name: values[name] for name in item._fixtureinfo.argnames})
            except BaseException as error:  # passed to pytest, skips and failures alike
                self._outcomes[item.nodeid].set_exception(error)
            else:
                self._outcomes[item.nodeid].set_result(None)
        try:
            with ExitStack() as stack:  # calls each of them, also where one fails
                for module in dict.fromkeys(item.module for item in items):
                    if (after := getattr(module, "after", None)) is not None:
                        stack.callback(after, subject.target)
        except BaseException as error:  # passed to pytest as well
            self._cleaned[items[-1].nodeid].set_exception(error)
        else:
            self._cleaned[items[-1].nodeid].set_result(None)

    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """A clean-up that failed is an error of the host's last check."""
        if (cleaned := self._cleaned.get(item.nodeid)) is not None:
            cleaned.result()

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        outcome = self._outcomes.get(pyfuncitem.nodeid)
        if outcome is None:
            return None
        outcome.result()
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        made_visible(report)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.outcome == "passed":
            return
        suite = Path(report.nodeid.partition("::")[0]).stem.removeprefix("test_")
        host, check = self._checks[report.nodeid]
        self.on_check(Check(host, suite, check, report.outcome, _message(report), report.duration))


def _simple(item: pytest.Function) -> bool:
    """True if the plugin can call it with its own values only: no fixture of another plugin, no class."""
    params = getattr(getattr(item, "callspec", None), "params", {})
    wanted = set(item._fixtureinfo.argnames)
    # The names also include `request`, which is the only fixture that provision's own fixtures need.
    plain_ones = set(item.fixturenames) <= {*params, "spec", "request"}
    return "host" in params and item.cls is None and plain_ones and "request" not in wanted


def _wants_host(item: pytest.Item) -> bool:
    return "host" in getattr(item, "fixturenames", ())


def _host(item: pytest.Item) -> str:
    return str(item.callspec.params["host"]) if hasattr(item, "callspec") else ""


def _named(item: pytest.Item) -> tuple[str, str]:
    """The host, and the name of the check: the test's name with the declared thing or the parameters."""
    name, _, parameter = item.name.partition("[")
    words = [name.removeprefix("test_")]
    if isinstance(item, pytest.Function) and item.cls is not None:
        words[0] = f"{item.cls.__name__}.{words[0]}"
    host = _host(item)
    if parameter := parameter[: -len("]")]:
        things = [value.name for value in item.callspec.params.values() if isinstance(value, Named)]  # type: ignore[attr-defined]
        words += things or [parameter.removesuffix(host).removeprefix(host).strip("-")]
    return host, " ".join(word for word in words if word)


def _message(report: pytest.TestReport) -> str:
    """The expected and the observed values, as the assertion shows them."""
    if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message) if crash is not None else str(report.longrepr or "")
