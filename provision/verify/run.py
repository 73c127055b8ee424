"""Verify hosts: connect, hand the connections to testinfra, let pytest run the suites."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from fabric import Connection

from provision.declare import Context, Wish
from provision.model import Event, Failure
from provision.transport.ssh import HostError, Transport, cut
from provision.verify.backend import target
from provision.verify.plugin import SUITES, Check, Plugin, Subject

#: pytest has state of the process's; two sessions at once would share it.
_ONE_SESSION = threading.Lock()


@dataclass(frozen=True, slots=True)
class Request:
    """``suites`` are names such as ``settings``, all when empty; ``deadline`` is in seconds per host."""

    suites: tuple[str, ...] = ()
    forks: int = 50
    deadline: float = 600.0
    junit: Path | None = None


def names() -> list[str]:
    """The suites there are."""
    return sorted(path.stem.removeprefix("test_") for path in SUITES.glob("test_*.py"))


def verify(
    wishes: list[Wish], context: Context, transport: Transport, request: Request, emit: Callable[[Event], None]
) -> Counter[str]:
    """Check every host against its spec; returns how many hosts ended how. The last event is ``run.done``."""
    begin = time.monotonic()
    lock = threading.Lock()

    def tell(event: Event) -> None:
        with lock:
            emit(event)

    tell(Event("run.begin", data={"mode": "verify", "hosts": len(wishes)}))
    ends: dict[str, dict[str, object]] = {}
    open_ones: dict[str, Connection] = {}
    watches: list[int] = []

    def connect(wish: Wish) -> None:
        name = wish.host.name
        tell(Event("host.begin", name))
        deadline = time.monotonic() + request.deadline
        try:
            connection = transport.open(wish.host, deadline)
        except HostError as error:
            ends[name] = {"status": "unreachable", "failure": error.failure}
            return
        open_ones[name] = connection
        watches.append(transport.watchdog.watch(deadline, lambda: cut(connection)))

    with ThreadPoolExecutor(max_workers=max(1, min(request.forks, len(wishes)))) as pool:
        list(pool.map(connect, wishes))
    subjects = {
        wish.host.name: Subject(wish, target(wish.host.name, open_ones[wish.host.name], wish.host.login))
        for wish in wishes
        if wish.host.name in open_ones
    }
    checks = run_suites(subjects, context, request, tell) if subjects else []
    for number in watches:
        transport.watchdog.drop(number)
    for connection in open_ones.values():
        connection.close()
    transport.close()
    counts: Counter[str] = Counter()
    for wish in wishes:
        name = wish.host.name
        end = ends.get(name) or _end([check for check in checks if check.host == name])
        counts[str(end["status"])] += 1
        tell(Event("host.done", name, {"changes": 0, **end}))
    shown = {status: counts[status] for status in ("ok", "changed", "failed", "unreachable", "rolled_back", "skipped")}
    seconds = round(time.monotonic() - begin, 3)
    tell(Event("run.done", data={"counts": shown, "seconds": seconds, "mode": "verify", "checks": _counts(checks)}))
    return counts


def run_suites(
    subjects: dict[str, Subject], context: Context, request: Request, emit: Callable[[Event], None]
) -> list[Check]:
    """Run the suites on connections that are held; one ``check.done`` per check."""
    checks: list[Check] = []

    def on_check(check: Check) -> None:
        checks.append(check)
        data = {"suite": check.suite, "check": check.name, "outcome": check.outcome, "message": check.message}
        emit(Event("check.done", check.host, {**data, "seconds": round(check.seconds, 3)}))

    files = [str(SUITES / f"test_{name}.py") for name in request.suites or names()]
    # Nothing of a project that we happen to stand in: no ini file, no plugins but our own, no cache.
    argv = [*files, "-c", "/dev/null", f"--rootdir={SUITES}", "--import-mode=importlib", "-q", "--tb=short"]
    argv += ["-p", "no:cacheprovider", "-p", "no:pytest11.testinfra", "-p", "no:timeout", "-p", "no:hypothesispytest"]
    if request.junit is not None:
        argv.append(f"--junitxml={request.junit}")
    plugin = Plugin(subjects, context, on_check, request.forks)
    output = io.StringIO()
    with _ONE_SESSION, contextlib.redirect_stdout(output):
        code = pytest.main(argv, plugins=[plugin])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise RuntimeError(f"pytest ended with {code}:\n{output.getvalue()}")
    return checks


def prove(
    context: Context, request: Request, held: list[tuple[Wish, Connection]], emit: Callable[[Event], None]
) -> dict[str, Failure | None]:
    """What an apply asks for: check hosts on connections that are held; why each is not as its spec says."""
    subjects = {w.host.name: Subject(w, target(w.host.name, c, w.host.login)) for w, c in held}
    checks = run_suites(subjects, context, request, emit)
    return {name: _failure([check for check in checks if check.host == name]) for name in subjects}


def _end(checks: list[Check]) -> dict[str, object]:
    failure = _failure(checks)
    end: dict[str, object] = {"checks": _counts(checks), "status": "failed" if failure else "ok"}
    return {**end, "failure": failure} if failure else end


def _failure(checks: list[Check]) -> Failure | None:
    failed = [check for check in checks if check.outcome == "failed"]
    if not failed:
        return None
    detail = "\n".join(f"{check.suite}: {check.name}: {check.message}" for check in failed)
    return Failure("verify", f"{len(failed)} of {len(checks)} checks failed", detail=detail)


def _counts(checks: list[Check]) -> dict[str, int]:
    found = Counter(check.outcome for check in checks)
    return {outcome: found[outcome] for outcome in ("passed", "failed", "skipped")}
