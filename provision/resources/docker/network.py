"""A docker network; or its absence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from provision import spec
from provision.model import Call, Drift, HostReport, Impact, Kept, State, Withheld
from provision.resources import declaration as d
from provision.resources.docker.inspected import Inspected, thing
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


class Network(Inspected, frozen=True):
    kind = "network"
    entry = "network"
    place = d.Place.NETWORKS

    name: str
    declared: spec.Network

    def want(self) -> State:
        """Where no subnet is declared docker chooses one, and it is not compared."""
        one = self.declared
        pairs = {"options": json.dumps(one.options, sort_keys=True), "labels": json.dumps(one.labels, sort_keys=True)}
        places = {"subnet": one.subnet, "gateway": one.gateway}
        return {**_state(one), **pairs, **{key: value for key, value in places.items() if value is not None}}

    def seen(self, report: HostReport) -> State:
        """Options and labels can be read only through docker's socket: a value that is not declared is not shown."""
        if (found := _found(report, self.name)) is None:
            return {}
        return {
            **_state(found),
            "options": disclosure.pairs(found.options, self.declared.options, report.salt),
            "labels": disclosure.pairs(found.labels, self.declared.labels, report.salt),
            "subnet": found.subnet or "",
            "gateway": found.gateway or "",
            "words": "\n".join(_words(found)),
        }

    def fix(self, drift: Drift) -> Iterator[Call]:
        words = _words(self.declared)
        if not drift.seen:
            yield network_put(self.name, words=words)
        else:
            yield network_replace(self.name, words=words, before=drift.seen["words"], differs=drift.keys)


class NoNetwork(Inspected, frozen=True):
    """Declared absent, or made by a play that no longer declares it."""

    kind = "network"
    desired = ("network", "absent")
    place = d.Place.NEW_NETWORKS

    name: str

    def seen(self, report: HostReport) -> State:
        found = _found(report, self.name)
        return self.want() if found is None else {"network": "present", "words": "\n".join(_words(found))}

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield network_remove(self.name, before=drift.seen["words"])


class NetworkBefore(Inspected, frozen=True):
    """A network as it was before a run: ``words`` are those of the command that made it, one word a line."""

    kind = "network"
    place = d.Place.NETWORKS

    name: str
    words: str

    def want(self) -> State:
        return {"made by": _told(self.words, "as before the run")}

    def seen(self, report: HostReport) -> State:
        if (found := _found(report, self.name)) is None:
            return {}
        words = "\n".join(_words(found))
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


#: moby: network/network_mode and the defaults that `docker network create` stores.
_ITS_OWN = {"com.docker.network.enable_ipv4", "com.docker.network.enable_ipv6"}


def _found(report: HostReport, name: str) -> spec.Network | None:
    """The network that a host has, in the words of a spec."""
    if (one := thing(report, "network", name)) is None:
        return None
    subnet = ((one.get("IPAM") or {}).get("Config") or [{}])[0]
    # Options that the daemon adds are not compared (moby: com.docker.network.*).
    options = {key: value for key, value in sorted((one.get("Options") or {}).items()) if key not in _ITS_OWN}
    return spec.Network.model_construct(
        driver=one["Driver"],
        internal=one["Internal"],
        options=options,
        labels=dict(sorted((one.get("Labels") or {}).items())),
        subnet=subnet.get("Subnet"),
        gateway=subnet.get("Gateway"),
    )


def _state(one: spec.Network) -> dict[str, str]:
    return {"driver": one.driver, "internal": "yes" if one.internal else "no"}


def _words(one: spec.Network) -> tuple[str, ...]:
    """The words of ``docker network create``."""
    return (
        *("--driver", one.driver),
        *(("--internal",) if one.internal else ()),
        *(("--subnet", one.subnet) if one.subnet else ()),
        *(("--gateway", one.gateway) if one.gateway else ()),
        *(word for key, value in one.options.items() for word in ("--opt", f"{key}={value}")),
        *(word for key, value in one.labels.items() for word in ("--label", f"{key}={value}")),
    )


def _told(words: str, when: str) -> Withheld:
    """The words without the values of options and labels."""
    told, before = [], ""
    for word in words.split("\n"):
        told.append(f"{word.partition('=')[0]}=..." if before in ("--opt", "--label") else word)
        before = word
    return Withheld(f"{when} ({' '.join(told)})")


def _restored(line: d.Line, record: d.Record) -> d.Restored:
    if line.word == "absent":
        return [NoNetwork(line.rest)]
    return [NetworkBefore(line.rest, *record.report.fields("made_of", line.rest))]


_LINES = {"network": d.RecordLine("undo_network", _restored), "id": d.RecordLine()}
DECLARATION = d.Declaration(
    kinds={"network": d.Kind("keep_network", _LINES, d.Stage.OBJECTS)},
    entries={"network": d.Entry(lambda rest, before, watchers: NoNetwork(rest), field="networks")},
)
