"""The steps that precede a change of daemon.json: dockerd validates the file, and no container may use its bridge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from provision.engine.daemon_json import DAEMON_JSON, askable, parsed
from provision.engine.steps import bridge_free, containers_return, daemon_check, daemon_check_content
from provision.lines import lines_of
from provision.model import Call, Change, HostReport, Risk


def checked(changes: list[Change], report: HostReport) -> list[Change]:
    """The dockerd that will load a daemon.json validates it first: before the file is replaced, or after an upgrade
    and before the restart. A change that the reload proves needs no such check: dockerd validates the file when it
    reloads, and keeps its loaded values if it refuses the file."""
    there = report.content(DAEMON_JSON)
    data: Mapping[str, Any] | None = parsed(there)
    upgraded = any(change.resource == "packages:all" for change in changes)
    proven = not upgraded and _proven(changes)
    asked, result = False, []
    # A plan file does not show the host's current file: perhaps only root may read it.
    private = True
    for change in changes:
        calls: list[Call] = []
        for call in change.calls:
            if call.writes is not None and call.writes.path == DAEMON_JSON:
                content, private = call.writes.content, bool(call.private)
                there = None if content is None else content.encode("utf-8", "surrogateescape")
                data = call.writes.data if call.writes.data is not None else parsed(there)
                if there is not None:
                    calls += _bridge_checks(changes)
                if proven:
                    call = replace(call, risk=Risk.PROVEN)
                elif there is not None and not upgraded:
                    calls.append(daemon_check_content(askable(there, data), private=private))
            elif upgraded and not asked and call.engine in ("start", "load"):
                if there is None or askable(there, data) == there:
                    calls.append(daemon_check())
                else:
                    calls.append(daemon_check_content(askable(there, data), private=private))
                asked = True
            calls.append(call)
        result.append(Change(change.resource, change.drift, tuple(calls)))
    return result


def _proven(changes: Iterable[Change]) -> bool:
    """True if exactly one step writes daemon.json, and each service that loads it proves that it has loaded it."""
    calls = [call for change in changes for call in change.calls]
    writes = [one.writes for one in calls if one.writes is not None and one.writes.path == DAEMON_JSON]
    watching = [one.loading for one in calls if one.loading and DAEMON_JSON in lines_of(one.loading.watched)]
    written = [one for one in writes if one.content is not None]
    return len(written) == 1 and bool(watching) and all(one.proven for one in watching)


def _bridge_checks(changes: Iterable[Change]) -> list[Call]:
    """Checks before any change of docker: dockerd would accept the file, but not apply its settings of the bridge."""
    calls = [call for change in changes for call in change.calls if call.engine == "load"]
    loading = [call.loading for call in calls if call.loading is not None and call.loading.bridge]
    return [containers_return() if one.verb == "bridge-restart" else bridge_free(one.bridge) for one in loading]
