"""The host configuration of a step: the user's spec, with what the step changes in it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from provision.load import Loaded
from provision.project.host_config import Declared, HostConfig
from provision.project.memo import Memo
from provision.spec import Spec
from provision.spec.validate import validate
from provision.text.merge import refine
from provision.text.yamlfile import load


def overlaid(found: Loaded, changes: Mapping[str, Any]) -> Loaded:
    """The project with one host, whose spec is refined by ``changes``. The rollout of its plays does not apply: its
    hooks, its pauses and its restarts are not part of the suite. Raises :class:`SpecError`."""
    (config,) = found.configs
    source = refine(config.source, load(Path("certify"), json.dumps(changes)))
    spec = validate(Spec, source)
    plays = [replace(part, rollout=None) for part in config.plays]
    # The play that declares the engine gets the changes, so that its manifest has them.
    number = next((number for number, part in enumerate(plays) if part.spec.engine is not None), 0)
    plays[number] = _changed(plays[number], spec, changes)
    made = replace(config, spec=spec, source=source, plays=tuple(plays))
    return Loaded([made], dataclasses.replace(found.context, memo=Memo()), found.notes)


def _changed(part: Declared, spec: Spec, changes: Mapping[str, Any]) -> Declared:
    values: dict[str, Any] = {name: getattr(spec, name) for name in changes if name != "files"}
    if "files" in changes:
        values["files"] = {**part.spec.files, **{path: spec.files[path] for path in changes["files"]}}
    return replace(part, spec=part.spec.model_copy(update=values))


def daemon(config: HostConfig) -> dict[str, Any]:
    """The keys of daemon.json that the spec declares."""
    engine = config.spec.engine
    return dict(engine.daemon or {}) if engine is not None else {}
