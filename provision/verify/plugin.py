"""The pytest plugin: hosts and declared things as parameters, and probes that run on all hosts at once.

pytest itself runs one test after the other. Before it begins, each host's tests are called in a thread of the
host's own, over its own connection; when pytest comes to a test, its outcome is there (or waited for) and is handed
over as if it had just happened: reports, assertion messages and JUnit are pytest's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from testinfra.host import Host as Target

from provision.declare import Context, Wish
from provision.verify.declared import PROVIDERS, Named

SUITES = Path(__file__).parent / "suites"


@dataclass(frozen=True, slots=True)
class Subject:
    """One host under verification."""

    wish: Wish
    target: Target


@dataclass(frozen=True, slots=True)
class Check:
    """How one check on one host ended: ``passed``, ``failed`` or ``skipped``, with what was seen."""

    host: str
    suite: str
    name: str
    outcome: str
    message: str = ""
    seconds: float = 0.0


class Plugin:
    """Give it to ``pytest.main``; ``on_check`` hears of every check as pytest comes to it."""

    def __init__(
        self,
        subjects: dict[str, Subject],
        context: Context,
        on_check: Callable[[Check], None],
        forks: int = 50,
    ) -> None:
        self.subjects, self.context, self.on_check, self.forks = subjects, context, on_check, forks
        self._outcomes: dict[str, Future[None]] = {}
        self._pool: ThreadPoolExecutor | None = None

    @pytest.fixture
    def host(self, request: pytest.FixtureRequest) -> Target:
        """The testinfra host of this test."""
        return self.subjects[request.param].target

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "host" not in metafunc.fixturenames:
            return
        things = [name for name in metafunc.fixturenames if name in PROVIDERS]
        if not things:
            metafunc.parametrize("host", list(self.subjects), indirect=True)
            return
        (thing,) = things
        pairs = [(host, item) for host in self.subjects for item in self._declared(thing, host)]
        ids = [f"{host}-{item.name}" for host, item in pairs]
        metafunc.parametrize(("host", thing), pairs, ids=ids, indirect=["host"])

    def _declared(self, thing: str, host: str) -> Iterator[Named]:
        return PROVIDERS[thing](self.subjects[host].wish, self.context)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Start every host's own tests, in order, in a thread of the host's; pytest's loop comes after."""
        by_host: dict[str, list[pytest.Function]] = {}
        for item in session.items:
            if isinstance(item, pytest.Function) and SUITES in item.path.parents:
                by_host.setdefault(str(item.callspec.params["host"]), []).append(item)
                self._outcomes[item.nodeid] = Future()
        if not by_host:
            return
        self._pool = ThreadPoolExecutor(max_workers=min(self.forks, len(by_host)), thread_name_prefix="verify")
        for host, items in by_host.items():
            self._pool.submit(self._probe, host, items)

    def pytest_sessionfinish(self) -> None:
        """Not before every host has cleaned up behind its checks."""
        if self._pool is not None:
            self._pool.shutdown()

    def _probe(self, host: str, items: list[pytest.Function]) -> None:
        for item in items:
            arguments = {**item.callspec.params, "host": self.subjects[host].target}
            try:
                item.obj(**arguments)
            except BaseException as error:  # handed over to pytest, skips and failures alike
                self._outcomes[item.nodeid].set_exception(error)
            else:
                self._outcomes[item.nodeid].set_result(None)
        for module in dict.fromkeys(item.module for item in items):
            if (after := getattr(module, "after", None)) is not None:
                after(self.subjects[host].target)

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        outcome = self._outcomes.get(pyfuncitem.nodeid)
        if outcome is None:
            return None
        outcome.result()
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.outcome == "passed":
            return
        name, _, parameter = report.nodeid.rpartition("::")[2].partition("[")
        host, _, thing = parameter.rstrip("]").partition("-")
        for known in self.subjects:  # a host's name may hold hyphens itself
            if parameter.rstrip("]") == known or parameter.startswith(f"{known}-"):
                host, thing = known, parameter.rstrip("]")[len(known) + 1 :]
        suite = Path(report.nodeid.partition("::")[0]).stem.removeprefix("test_")
        check = name.removeprefix("test_") + (f" {thing}" if thing else "")
        self.on_check(Check(host, suite, check, report.outcome, _message(report), report.duration))


def _message(report: pytest.TestReport) -> str:
    """What was expected and what was seen, in the assertion's own words."""
    if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message) if crash is not None else str(report.longrepr or "")
