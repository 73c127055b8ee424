"""A docker network; or its absence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from provision import spec
from provision.model import Call, Drift, HostReport, Impact, Kept, Resource, State, Withheld
from provision.resources import declaration as d
from provision.resources.base import Base
from provision.resources.docker.inspected import thing
from provision.secrets import disclosure

# ``words`` of a step are those of ``docker network create``; ``before`` are the words that made the network as it is
# now, one word a line.


def network_put(name: str, *, words: Sequence[str], before: str = "-", private: tuple[int, ...] = ()) -> Call:
    return Call(
        "network_put",
        (name, *words),
        title=f"create the network {name}",
        keeps=(Kept("network", name, before),),
        private=private,
    )


def network_replace(
    name: str, *, words: Sequence[str], before: str, differs: Sequence[str], private: tuple[int, ...] = ()
) -> Call:
    keys = ", ".join(differs)
    return Call(
        "network_replace",
        (name, *words),
        title=f"replace the network {name} ({keys})",
        impact=Impact("reload", "", f"recreated ({keys}); its containers lose this network for a moment"),
        keeps=(Kept("network", name, before),),
        private=private,
    )


def network_remove(name: str, *, before: str) -> Call:
    return Call("network_remove", (name,), title=f"remove the network {name}", keeps=(Kept("network", name, before),))


class Network(Base, frozen=True):
    kind = "network"

    name: str
    declared: spec.Network

    @property
    def makes(self) -> tuple[str, ...]:
        return (f"network {self.name}",)

    def want(self) -> State:
        """Where no subnet is declared docker chooses one, and it is not compared."""
        one = self.declared
        wanted = {
            "driver": one.driver,
            "internal": "yes" if one.internal else "no",
            "options": _shown(one.options),
            "labels": _shown(one.labels),
        }
        if one.subnet is not None:
            wanted["subnet"] = one.subnet
        if one.gateway is not None:
            wanted["gateway"] = one.gateway
        return wanted

    def look(self) -> tuple[Call, ...]:
        return (Call("look_docker", ("network", self.name, "-")),)

    def seen(self, report: HostReport) -> State:
        """Options and labels can be read only through docker's socket: a value that is not declared is not shown."""
        found = thing(report, "network", self.name)
        if found is None:
            return {}
        state, one = _state(found), self.declared
        for key, declared in (("options", one.options), ("labels", one.labels)):
            state[key] = disclosure.pairs(json.loads(state[key]), declared, report.salt)
        return {**state, "words": _before(_state(found))}

    def fix(self, drift: Drift) -> Iterator[Call]:
        one = self.declared
        words = _words(one.driver, one.internal, one.subnet or "", one.gateway or "", one.options, one.labels)
        if not drift.seen:
            yield network_put(self.name, words=words)
        else:
            yield network_replace(self.name, words=words, before=drift.seen["words"], differs=drift.keys)


class NoNetwork(Base, frozen=True):
    """Declared absent, or made by a play that no longer declares it."""

    kind = "network"

    name: str

    def want(self) -> State:
        return {"network": "absent"}

    def look(self) -> tuple[Call, ...]:
        return (Call("look_docker", ("network", self.name, "-")),)

    def seen(self, report: HostReport) -> State:
        found = thing(report, "network", self.name)
        return {"network": "absent"} if found is None else {"network": "present", **_state(found)}

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield network_remove(self.name, before=_before(drift.seen))


class NetworkBefore(Base, frozen=True):
    """A network as it was before a run: ``words`` are those of the command that made it, one word a line."""

    kind = "network"

    name: str
    words: str

    def want(self) -> State:
        return {"made by": _told(self.words, "as before the run")}

    def look(self) -> tuple[Call, ...]:
        return (Call("look_docker", ("network", self.name, "-")),)

    def seen(self, report: HostReport) -> State:
        found = thing(report, "network", self.name)
        if found is None:
            return {}
        words = _before(_state(found))
        told = self.want()["made by"] if words == self.words else _told(words, "as it is")
        return {"made by": told, "words": words}

    def fix(self, drift: Drift) -> Iterator[Call]:
        words = self.words.split("\n")
        private = tuple(place for place, word in enumerate(words, 2) if word in ("--opt", "--label"))
        if not drift.seen:
            yield network_put(self.name, words=words, before="", private=private)
        else:
            before = drift.seen["words"]
            yield network_replace(self.name, words=words, before=before, differs=drift.keys, private=private)


def _state(found: Mapping[str, Any]) -> dict[str, str]:
    configs: list[dict[str, str]] = (found.get("IPAM") or {}).get("Config") or [{}]
    subnet = configs[0]
    return {
        "driver": found["Driver"],
        "internal": "yes" if found["Internal"] else "no",
        # Options that the daemon adds are not compared (moby: com.docker.network.*).
        "options": _shown({key: value for key, value in (found.get("Options") or {}).items() if key not in _ITS_OWN}),
        "labels": _shown(found.get("Labels") or {}),
        "subnet": subnet.get("Subnet") or "",
        "gateway": subnet.get("Gateway") or "",
    }


#: moby: network/network_mode and the defaults that `docker network create` stores.
_ITS_OWN = {"com.docker.network.enable_ipv4", "com.docker.network.enable_ipv6"}


def _shown(pairs: Mapping[str, str]) -> str:
    return json.dumps(dict(pairs), sort_keys=True)


def _words(
    driver: str, internal: bool, subnet: str, gateway: str, options: Mapping[str, str], labels: Mapping[str, str]
) -> tuple[str, ...]:
    """The words of ``docker network create``."""
    return (
        *("--driver", driver),
        *(("--internal",) if internal else ()),
        *(("--subnet", subnet) if subnet else ()),
        *(("--gateway", gateway) if gateway else ()),
        *(word for key, value in options.items() for word in ("--opt", f"{key}={value}")),
        *(word for key, value in labels.items() for word in ("--label", f"{key}={value}")),
    )


def _told(words: str, when: str) -> Withheld:
    """The words without the values of options and labels."""
    told, before = [], ""
    for word in words.split("\n"):
        told.append(f"{word.partition('=')[0]}=..." if before in ("--opt", "--label") else word)
        before = word
    return Withheld(f"{when} ({' '.join(told)})")


def _before(seen: State) -> str:
    """The words of the command that makes it, one word a line, for the host to restore it."""
    words = _words(
        seen["driver"],
        seen["internal"] == "yes",
        seen["subnet"],
        seen["gateway"],
        json.loads(seen["options"]),
        json.loads(seen["labels"]),
    )
    return "\n".join(words)


def _restored(line: d.Line, record: d.Record) -> d.Restored:
    if line.word == "absent":
        yield d.Place.NEW_NETWORKS, NoNetwork(line.rest)
    else:
        yield d.Place.NETWORKS, NetworkBefore(line.rest, *record.report.fields("made_of", line.rest))


def _undeclared(rest: str, before: str, watchers: d.Watchers) -> Resource | None:
    return NoNetwork(rest)


DECLARATION = d.Declaration(
    kinds={
        "network": d.Kind(
            "keep_network", {"network": d.RecordLine("undo_network", _restored), "id": d.RecordLine()}, d.Stage.OBJECTS
        )
    },
    entries={"network": d.Entry(_undeclared, field="networks")},
)
