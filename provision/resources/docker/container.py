"""A container: what it is made of, field by field, and that it runs; or none."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from provision import spec
from provision.model import LONG, USUAL, Call, Drift, HostReport, State, Withheld
from provision.resources.docker.fields import daemon_logs, declared, found, stop_timeout, words
from provision.resources.docker.inspected import container, image
from provision.resources.obstacle import Unfixable
from provision.secrets.secret import holds, reveal

_BEFORE = " before its change"
#: One escape of JSON's: so that the end of another one is not taken for one.
_ESCAPE = re.compile(r"\\.")
_BEFORE_GO_1_22 = {r"\b": r"\u0008", r"\f": r"\u000c"}
#: Seconds that docker gives a container to stop where none are declared (docs.docker.com: docker container stop).
_DOCKERS = 10


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

    def seen(self, report: HostReport) -> State:
        seen = container(report, self.name)
        if seen is None:
            return {}
        whole, variables, hidden = seen
        reference = str(self.declared.image)
        own = image(report, self._reference)
        # Where its image has no name any more nothing can be told apart from it.
        config = own.config if own is not None else {**whole["Config"], "Env": variables}
        logs = daemon_logs(self.declared, self.daemon) if self.daemon is not None else None
        state = found(self.declared, whole, variables, config, report.salt, logs)
        state |= dict.fromkeys(self._variables, Withheld("another secret"))
        if self._secrets and hidden in self._hashes():
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
        limit = _limit(drift.seen.get("stop_timeout", "0")) + one.within
        if drift.keys == ("state",) and drift.seen["state"] in ("running", "stopped", "unhealthy"):
            verb = "stop" if not one.running else "restart" if drift.seen["state"] == "unhealthy" else "start"
            yield Call("container_state", (self.name, verb, str(one.within), str(one.steady)), keeps=kept, limit=limit)
            return
        hidden = tuple(word for name in self._secrets for word in (name, one.environment[name]))
        state = "running" if one.running else "created"
        head = (
            self.name,
            state,
            str(one.within),
            str(one.steady),
            " ".join(one.networks[1:]),
            str(len(self._secrets)),
            *hidden,
        )
        # A name that comes back may well stand for the image that the container is of.
        renewed = drift.keys == ("image",) and drift.seen["image"].endswith(_BEFORE)
        function, first = ("container_follow", (str(one.image),)) if renewed else ("container_put", ())
        yield Call(function, (*first, *head, *words(one, self.image)), keeps=kept, limit=limit)

    @property
    def _secrets(self) -> tuple[str, ...]:
        return tuple(name for name, value in self.declared.environment.items() if holds(value))

    @property
    def _variables(self) -> tuple[str, ...]:
        return tuple(f"environment {name}" for name in self._secrets)

    def _hashes(self) -> set[str]:
        """As the host makes it of the variables that it does not show: docker's JSON, a line each. Go has escaped
        U+2028 and U+2029 ever since, and writes two of the control characters in another way from 1.22 on
        (encoding/json)."""
        pairs = (reveal(f"{name}={self.declared.environment[name]}") for name in self._secrets)
        text = "".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs)
        new = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
        old = _ESCAPE.sub(lambda found: _BEFORE_GO_1_22.get(found[0], found[0]), new)
        return {hashlib.sha256(one.encode("utf-8", "surrogateescape")).hexdigest() for one in (new, old)}


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

    def seen(self, report: HostReport) -> State:
        seen = container(report, self.name)
        if seen is None or (self.ours and "provision.spec" not in (seen[0]["Config"].get("Labels") or {})):
            return {"container": "absent"}
        config = seen[0]["Config"]
        return {"container": f"of {config['Image']}", "stop_timeout": stop_timeout(config)}

    def fix(self, drift: Drift) -> Iterator[Call]:
        limit = _limit(drift.seen["stop_timeout"])
        yield Call("container_remove", (self.name,), keeps=(("container", self.name, ""),), limit=limit)


def _limit(stop_timeout: str) -> int:
    """How long a step may take that stops a container of this ``stop_timeout``, as it is on the host: docker sends
    SIGKILL only then. -1 has docker wait for ever (``docker stop --timeout``)."""
    seconds = _DOCKERS if stop_timeout == "docker's" else int(stop_timeout)
    return USUAL + (seconds if seconds >= 0 else LONG)
