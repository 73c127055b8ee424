"""A docker volume; or its absence, together with its data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from provision import spec
from provision.model import Call, Drift, HostReport, Impact, Risk, State
from provision.resources.declaration import Place
from provision.resources.docker.inspected import Inspected, thing
from provision.resources.obstacle import Unfixable
from provision.secrets import disclosure

# A volume is data: the host keeps no copy of one that a step removes.


def volume_put(name: str, *, words: Sequence[str]) -> Call:
    """``words`` are those of ``docker volume create``."""
    return Call("volume_put", (name, *words), title=f"create the volume {name}", risk=Risk.NONE)


def volume_remove(name: str) -> Call:
    """The volume is removed at the end of a successful run."""
    return Call(
        "volume_remove",
        (name,),
        title=f"remove the volume {name} and its data",
        impact=Impact("stop", "", "its data is removed, and no rollback can restore it"),
    )


class Volume(Inspected, frozen=True):
    """A volume is data, so no manifest names it: only ``absent`` removes it."""

    kind = "volume"
    place = Place.NETWORKS

    name: str
    declared: spec.Volume

    def want(self) -> State:
        one = self.declared
        return {
            "driver": one.driver,
            "options": json.dumps(one.options, sort_keys=True),
            "labels": json.dumps(one.labels, sort_keys=True),
        }

    def seen(self, report: HostReport) -> State:
        found = thing(report, "volume", self.name)
        if found is None:
            return {}
        return {
            "driver": found["Driver"],
            # The options of a network file system contain its password.
            "options": disclosure.pairs(found.get("Options") or {}, self.declared.options, report.salt),
            "labels": disclosure.pairs(found.get("Labels") or {}, self.declared.labels, report.salt),
        }

    def fix(self, drift: Drift) -> Iterator[Call]:
        if drift.seen:
            raise Unfixable(
                f"the volume {self.name} has a different {' and '.join(drift.keys)}; a change would lose its data"
                " (declare another volume, or remove this one by hand)"
            )
        one = self.declared
        words = (
            *("--driver", one.driver),
            *(word for key, value in one.options.items() for word in ("--opt", f"{key}={value}")),
            *(word for key, value in one.labels.items() for word in ("--label", f"{key}={value}")),
        )
        yield volume_put(self.name, words=words)


class NoVolume(Inspected, frozen=True):
    kind = "volume"
    desired = ("volume", "absent")
    place = Place.NEW_NETWORKS

    name: str

    def seen(self, report: HostReport) -> State:
        going = report.get("going", self.name) is not None  # this run removes it at its end
        return {"volume": "absent" if going or thing(report, "volume", self.name) is None else "with its data"}

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield volume_remove(self.name)
