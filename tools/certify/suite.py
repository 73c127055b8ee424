"""Run the steps in order, report each, and make the evidence from the results."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime

from provision import __version__
from provision.model import Event, Failure
from provision.transport.failure import HostError
from tools.certify.evidence import FORMAT, Distribution, Engine, Evidence, Outcome, System, line, word
from tools.certify.evidence import Step as Result
from tools.certify.facts import Facts, engine_version, facts
from tools.certify.steps import Bench, Failed, Skipped, Step, steps

Emit = Callable[[Event], None]


def certify(bench: Bench, emit: Emit) -> Evidence:
    """Every step has a result: after a failed step, the others are skipped. Raises :class:`HostError` for a host whose
    facts cannot be read."""
    host = bench.trial.host
    seen = facts(bench.trial.ask)
    results: list[Result] = []
    for step in steps():
        failed = next((one.name for one in results if one.outcome == "failed"), "")
        emit(Event("certify.begin", host.name, {"step": step.name, "title": step.title}))
        result, failure = _result(bench, step, failed)
        results.append(result)
        data: dict[str, object] = {
            "step": result.name,
            "outcome": result.outcome,
            "text": result.reason or result.seen,
            "seconds": result.seconds,
        }
        emit(Event("certify.done", host.name, {**data, "failure": failure} if failure is not None else data))
    version = _engine_version(bench)
    bench.trial.hang_up()
    return _evidence(bench, seen, version, tuple(results))


def _result(bench: Bench, step: Step, failed: str) -> tuple[Result, Failure | None]:
    began = time.monotonic()
    outcome: Outcome = "passed"
    text, failure = "", None
    try:
        if failed:
            raise Skipped(f"the step {failed!r} failed")
        text = step.run(bench)
    except Skipped as error:
        outcome, text = "skipped", str(error)
    except Failed as error:
        outcome, text, failure = "failed", str(error), error.failure
    except HostError as error:
        outcome, text, failure = "failed", f"the host could not be asked ({error.failure.kind})", error.failure
    seconds = round(time.monotonic() - began, 3)
    shown = line(_hidden(bench, text))
    if outcome == "passed":
        return Result(step.name, outcome, seconds, seen=shown), failure
    return Result(step.name, outcome, seconds, reason=shown), failure


def _engine_version(bench: Bench) -> str:
    try:
        return word(engine_version(bench.trial.ask))
    except HostError:
        return ""


def _evidence(bench: Bench, seen: Facts, version: str, results: tuple[Result, ...]) -> Evidence:
    login = bench.trial.host.login
    return Evidence(
        FORMAT,
        word(__version__),
        datetime.now(UTC).date().isoformat(),
        Distribution(word(seen.id), word(seen.version), line(seen.name)),
        System(seen.kind, word(seen.kernel), word(seen.architecture), word(seen.virtualization), seen.services),
        Engine(bench.source, bench.mirror, version),
        "openssh" if login.transport == "openssh" else "ssh",
        results,
    )


def _hidden(bench: Bench, text: str) -> str:
    """A text without the host's name and address."""
    host = bench.trial.host
    for name in sorted({host.name, host.login.address}, key=len, reverse=True):
        text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", "HOST", text)
    return text
