"""A key of daemon.json for each way in which a change takes effect (``engine/keys.yml``, ``effect``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from provision.engine.keys import Version, keys


class Sample(Struct, frozen=True):
    """``info`` is a template of `docker info` that shows the key, ``shows`` a text of the answer; both empty where the
    daemon does not show it."""

    key: str
    value: Any
    info: str = ""
    shows: str = ""


#: Class -> samples; the first one that the engine knows and the spec does not declare is used.
SAMPLES: dict[str, tuple[Sample, ...]] = {
    "reload": (
        Sample("debug", True, "{{.Debug}}", "true"),
        Sample("labels", ["tools.certify=1"], "{{.Labels}}", "tools.certify=1"),
        Sample("shutdown-timeout", 20),
    ),
    "reload-resets": (Sample("max-concurrent-downloads", 4), Sample("max-concurrent-uploads", 4)),
    "restart": (
        Sample("no-new-privileges", True, "{{.SecurityOptions}}", "no-new-privileges"),
        Sample("experimental", True, "{{.ExperimentalBuild}}", "true"),
    ),
    "ignored": (Sample("allow-nondistributable-artifacts", ["registry.example:5000"]),),
}


def class_of(key: str) -> str:
    """The class of a key in the table: ``ignored``, or its effect."""
    row = keys()[key]
    return "ignored" if row.ignored else row.effect


def sample(name: str, declared: Mapping[str, Any], engine: Version) -> Sample | None:
    """The sample of a class for a host; ``None`` where the spec declares all of them, or the engine knows none."""
    return next(
        (
            one
            for one in SAMPLES[name]
            if one.key not in declared and (row := keys().get(one.key)) is not None and row.known_to(engine)
        ),
        None,
    )
