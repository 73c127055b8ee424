"""Verify hosts: connect, pass the connections to testinfra, let pytest run the suites."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fabric import Connection
from msgspec import Struct

from provision.model import STATUSES, Event, Failure
from provision.project.host_config import Context, HostConfig
from provision.transport.reboot import restart
from provision.transport.ssh import HostError, Transport, cut
from provision.verify import junit
from provision.verify.backend import target, unlock
from provision.verify.plugin import Check, Plugin
from provision.verify.subjects import OPT_IN, Subject, own_tests
from provision.verify.suite_files import SUITES, names

#: pytest keeps state per process, and two concurrent sessions would share it.
_ONE_SESSION = threading.Lock()


class VerifyRequest(Struct, frozen=True):
    """``suites`` are names such as ``settings``; empty: all suites that are not opt-in. ``deadline`` is in seconds per
    host. ``disruptive`` lets checks restart daemons. ``reboot`` restarts each host first, one at a time. ``only`` is an
    expression over the names of checks (pytest's ``-k``)."""

    suites: tuple[str, ...] = ()
    forks: int = 50
    deadline: float = 600.0
    junit: Path | None = None
    disruptive: bool = False
    reboot: bool = False
    only: str = ""


def known_suites(configs: list[HostConfig]) -> list[str]:
    """The suites that can be selected: provision's, and the user's own test files."""
    own = {path for config in configs for path in own_tests(config)}
    return [*names(), *sorted({_suite(file) for path in own for file in _files(path)} - set(names()))]


def verify(
    configs: list[HostConfig],
    context: Context,
    transport: Transport,
    request: VerifyRequest,
    emit: Callable[[Event], None],
) -> Counter[str]:
    """Check every host against its spec. Returns the number of hosts for each status. Its last event is
    ``run.done``."""
    begin = time.monotonic()
    lock = threading.Lock()

    def locked(event: Event) -> None:
        with lock:
            emit(event)

    locked(Event("run.begin", data={"mode": "verify", "hosts": len(configs)}))
    batches = [[config] for config in configs] if request.reboot else [configs]
    counts: Counter[str] = Counter()
    checks: list[Check] = []
    with junit.JUnitFile(request.junit) as report:
        for batch in batches:
            if counts["failed"] or counts["unreachable"]:
                # A host was not in its declared state after its restart, so the next host is not restarted.
                ends = {config.host.name: _skipped() for config in batch}
            else:
                found, ends = _batch(batch, context, transport, request, report.part(), locked)
                checks += found
            for name, end in ends.items():
                counts[str(end["status"])] += 1
                locked(Event("host.done", name, {"changes": 0, **end}))
    transport.close()
    shown = {status: counts[status] for status in STATUSES}
    seconds = round(time.monotonic() - begin, 3)
    locked(Event("run.done", data={"counts": shown, "seconds": seconds, "mode": "verify", "checks": _counts(checks)}))
    return counts


def _batch(
    configs: list[HostConfig],
    context: Context,
    transport: Transport,
    request: VerifyRequest,
    report: Path | None,
    emit: Callable[[Event], None],
) -> tuple[list[Check], dict[str, dict[str, object]]]:
    """Verify hosts together: their checks, and the result of each host."""
    ends: dict[str, dict[str, object]] = {}
    held: dict[str, Connection] = {}
    watches: list[int] = []

    def connect(config: HostConfig) -> None:
        name, deadline = config.host.name, time.monotonic() + request.deadline
        emit(Event("host.begin", name))
        try:
            connection = transport.open(config.host, deadline)
            if request.reboot:
                connection = restart(
                    transport, config.host, connection, deadline, lambda text: emit(Event("note", name, {"text": text}))
                )
        except HostError as error:
            status = "failed" if error.failure.kind == "timeout" and request.reboot else "unreachable"
            ends[name] = {"status": status, "failure": error.failure}
            return
        held[name] = connection
        watches.append(transport.watchdog.watch(deadline, lambda: cut(connection)))

    with ThreadPoolExecutor(max_workers=max(1, min(request.forks, len(configs)))) as pool:
        list(pool.map(connect, configs))
    subjects = _subjects([(config, held[config.host.name]) for config in configs if config.host.name in held])
    checks = run_suites(subjects, context, request, report, emit) if subjects else []
    for number in watches:
        transport.watchdog.drop(number)
    for connection in held.values():
        connection.close()
    return checks, {
        name: ends.get(name) or _end([check for check in checks if check.host == name])
        for name in (config.host.name for config in configs)
    }


def run_suites(
    subjects: dict[str, Subject],
    context: Context,
    request: VerifyRequest,
    report: Path | None,
    emit: Callable[[Event], None],
) -> list[Check]:
    """Run the suites over open connections; emits one ``check.done`` per check."""
    checks: list[Check] = []

    def on_check(check: Check) -> None:
        checks.append(check)
        data = {"suite": check.suite, "check": check.name, "outcome": check.outcome, "message": check.message}
        emit(Event("check.done", check.host, {**data, "seconds": round(check.seconds, 3)}))

    # Use no pytest settings of a project in the working directory: no ini file, no other plugins, no cache.
    argv = [*_chosen(subjects, request.suites), "-c", "/dev/null", f"--rootdir={SUITES}", "--import-mode=importlib"]
    argv += ["-q", "--tb=short", "-p", "no:cacheprovider", "-p", "no:pytest11.testinfra"]
    argv += ["-p", "no:timeout", "-p", "no:hypothesispytest", "-p", "no:xdist", "-p", "no:warnings"]
    # This plugin collects garbage five times at the end, for warnings that are switched off here.
    argv += ["-p", "no:unraisableexception"]
    # provision's tests print nothing. A user's test may print, and its text must not mix with the output of provision.
    argv += [] if any(own_tests(subject.config) for subject in subjects.values()) else ["--capture=no"]
    argv += [] if request.disruptive else ["-m", "not disruptive"]
    argv += ["-k", request.only] if request.only else []
    argv += [f"--junitxml={report}"] if report is not None else []
    unlock()
    plugin = Plugin(subjects, context, on_check, request.forks)
    output = io.StringIO()
    with _ONE_SESSION, contextlib.redirect_stdout(output):
        code = pytest.main(argv, plugins=[plugin])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise RuntimeError(f"pytest ended with {code}:\n{output.getvalue()}")
    return checks


def _chosen(subjects: dict[str, Subject], suites: tuple[str, ...]) -> list[str]:
    """The test files to run: of provision's suites, and the user's own."""
    wanted = suites or tuple(name for name in names() if name not in OPT_IN)
    files = [SUITES / f"test_{name}.py" for name in names() if name in wanted]
    own = dict.fromkeys(path for subject in subjects.values() for path in own_tests(subject.config))
    files += [file for path in own for file in _files(path) if not suites or _suite(file) in suites]
    return [str(file) for file in files]


def _files(path: Path) -> list[Path]:
    """The test files of a file or a directory, by pytest's naming rules."""
    return sorted({*path.rglob("test_*.py"), *path.rglob("*_test.py")}) if path.is_dir() else [path]


def _suite(file: Path) -> str:
    return file.stem.removeprefix("test_")


def prove(
    context: Context, request: VerifyRequest, held: list[tuple[HostConfig, Connection]], emit: Callable[[Event], None]
) -> dict[str, Failure | None]:
    """The check that an apply runs: verify hosts over open connections. Returns for each host why it differs from its
    spec."""
    subjects = _subjects(held)
    checks = run_suites(subjects, context, request, None, emit)
    return {name: _failure([check for check in checks if check.host == name]) for name in subjects}


def _subjects(held: list[tuple[HostConfig, Connection]]) -> dict[str, Subject]:
    return {config.host.name: Subject(config, target(config.host.name, c, config.host.login)) for config, c in held}


def _skipped() -> dict[str, object]:
    return {"status": "skipped", "reason": "an earlier host did not return to the desired state after its restart"}


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
