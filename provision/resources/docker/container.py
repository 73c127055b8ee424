"""A container: what it is made of, field by field, and that it runs; or none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from provision import spec
from provision.model import Call, Drift, Report, State
from provision.resources.docker.fields import daemon_logs, declared, declared_of, found, words
from provision.resources.docker.inspected import container, image
from provision.resources.obstacle import Unfixable
from provision.secret import holds, reveal

_BEFORE = " before its change"


class Container(Struct, frozen=True):
    """``declared`` is what a spec says of it. One whose fields differ is made anew; the old one is put aside until the
    new one is well, and until the whole run is."""

    name: str
    declared: spec.Container
    #: the id of the very image, where its name may stand for another one by now
    image: str = ""
    #: the declared daemon.json; ``None`` where no play has it, so that it is not known what docker adds
    daemon: Mapping[str, Any] | None = None

    @property
    def id(self) -> str:
        return f"container:{self.name}"

    @property
    def makes(self) -> tuple[str, ...]:
        return (f"container {self.name}",)

    def want(self) -> State:
        return declared(self.declared, daemon_logs(self.declared, self.daemon or {}))

    @property
    def _reference(self) -> str:
        return self.image or str(self.declared.image)

    def look(self) -> tuple[Call, ...]:
        """Its image too: what the container has and nobody has declared may be the image's."""
        hidden = f",{','.join(self._secrets)}," if self._secrets else "-"
        return (
            Call("look_docker", ("container", self.name, hidden)),
            Call("look_docker", ("image", self._reference, "-")),
        )

    def seen(self, report: Report) -> State:
        seen = container(report, self.name)
        if seen is None:
            return {}
        whole, variables, hidden = seen
        reference = str(self.declared.image)
        own = image(report, self._reference)
        # Where its image has no name any more nothing can be told apart from it.
        config = own.config if own is not None else {**whole["Config"], "Env": variables}
        state = found(self.declared, whole, variables, config)
        if self.daemon is None:
            state["log"] = declared_of(state["log"], self.declared)
        state |= dict.fromkeys(self._variables, "another secret")
        if self._secrets and hidden == self._hash():
            state |= {f"environment {name}": self.declared.environment[name] for name in self._secrets}
        if f"image:{reference} {whole['Image']}" in report.pending:
            state["image"] = reference
        elif f"image:{reference}" in report.pending:
            state["image"] = f"{reference}{_BEFORE}"
        elif own is not None and own.id == whole["Image"]:
            state["image"] = reference
        else:
            state["image"] = f"{whole['Config']['Image']} ({whole['Image'][:19]})"
        labels = whole["Config"].get("Labels") or {}
        return {**state, "made by": "provision" if "provision.spec" in labels else "somebody else"}

    def fix(self, drift: Drift) -> Iterator[Call]:
        one = self.declared
        if drift.seen and drift.seen["made by"] != "provision" and not one.adopt:
            raise Unfixable(
                f"there is a container {self.name} that somebody else made, and it differs in"
                f" {', '.join(drift.keys)} (adopt: true has it replaced)"
            )
        kept = (("container", self.name, ""),)
        if drift.keys == ("state",) and drift.seen["state"] in ("running", "stopped", "unhealthy"):
            verb = "stop" if not one.running else "restart" if drift.seen["state"] == "unhealthy" else "start"
            yield Call("container_state", (self.name, verb, str(one.within), str(one.steady)), keeps=kept)
            return
        hidden = "".join(f"{name}={one.environment[name]}\n" for name in self._secrets)
        state = "running" if one.running else "created"
        head = (self.name, state, str(one.within), str(one.steady), " ".join(one.networks[1:]), hidden)
        # A name that comes back may well stand for the image that the container is of.
        renewed = drift.keys == ("image",) and drift.seen["image"].endswith(_BEFORE)
        function, first = ("container_follow", (str(one.image),)) if renewed else ("container_put", ())
        yield Call(function, (*first, *head, *words(one, self.image)), keeps=kept)

    @property
    def _secrets(self) -> tuple[str, ...]:
        return tuple(name for name, value in self.declared.environment.items() if holds(value))

    @property
    def _variables(self) -> tuple[str, ...]:
        return tuple(f"environment {name}" for name in self._secrets)

    def _hash(self) -> str:
        """As the host makes it of the variables that it does not show: docker's JSON, a line each."""
        pairs = (reveal(f"{name}={self.declared.environment[name]}") for name in self._secrets)
        text = "".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs)
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


class NoContainer(Struct, frozen=True):
    """Declared absent, or made by a play that no longer declares it (``ours``: then only one that we made goes)."""

    name: str
    ours: bool = False

    @property
    def id(self) -> str:
        return f"container:{self.name}"

    @property
    def makes(self) -> tuple[str, ...]:
        return ()

    def want(self) -> State:
        return {"container": "absent"}

    def look(self) -> tuple[Call, ...]:
        return (Call("look_docker", ("container", self.name, "-")),)

    def seen(self, report: Report) -> State:
        seen = container(report, self.name)
        if seen is None or (self.ours and "provision.spec" not in (seen[0]["Config"].get("Labels") or {})):
            return {"container": "absent"}
        return {"container": f"of {seen[0]['Config']['Image']}"}

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield Call("container_remove", (self.name,), keeps=(("container", self.name, ""),))
