"""A container: what it is made from, field by field, and that it runs; or its absence."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from msgspec.structs import replace

from provision import spec
from provision.model import LONG, USUAL, Call, Drift, HostReport, Impact, Kept, State, Withheld
from provision.remote.protocol import WireError, parsed
from provision.resources import declaration as d
from provision.resources.base import Base
from provision.resources.docker.fields import daemon_logs, declared, found, stop_timeout, words
from provision.resources.docker.inspected import Inspected, container, image
from provision.resources.obstacle import Unfixable
from provision.secrets.secret import each, holds, recalled, reveal

_BEFORE = " before its change"
#: One escape of JSON. It matches whole escapes, so that the ``\b`` at the end of ``\\b`` does not count as one.
_ESCAPE = re.compile(r"\\.")
_BEFORE_GO_1_22 = {r"\b": r"\u0008", r"\f": r"\u000c"}
#: Seconds that docker gives a container to stop where none are declared (docs.docker.com: docker container stop).
_DOCKERS = 10
#: What a step of this verb does to a container, in words.
_DONE = {"stop": "is stopped", "restart": "is restarted"}


def container_put(
    name: str,
    *,
    running: bool,
    within: int,
    steady: int,
    networks: Sequence[str],
    secrets: Mapping[str, str],
    words: Sequence[str],
    differs: tuple[str, ...],
    limit: int,
) -> Call:
    """Make a container from the ``words`` of ``docker create``. An existing container of that name, which ``differs``
    in these fields, is stopped, renamed and kept until the run has succeeded. ``networks`` are those that the new one
    joins after its creation. ``secrets`` are the variables whose values no plan shows. ``within`` and ``steady`` are in
    seconds."""
    hidden = tuple(word for pair in secrets.items() for word in pair)
    state = "running" if running else "created"
    head = (name, state, str(within), str(steady), " ".join(networks), str(len(secrets)))
    keys = ", ".join(differs)
    title = f"replace the container {name} ({keys})" if differs else f"create the container {name}"
    effect = f"recreated because of: {keys}" if differs else ""
    return _of_container("container_put", (*head, *hidden, *words), title, effect, limit)


def container_follow(reference: str, *, put: Call) -> Call:
    """Do ``put`` only where the name of its image stands for another image when the step runs."""
    return replace(
        put,
        function="container_follow",
        args=(reference, *put.args),
        title=f"{put.title} if {reference} then names another image",
        impact=Impact("stop", "", "recreated if its image name then names another image"),
    )


def container_state(
    name: str, *, verb: Literal["start", "restart", "stop"], within: int, steady: int, limit: int
) -> Call:
    words = (name, verb, str(within), str(steady))
    return _of_container("container_state", words, f"{verb} the container {name}", _DONE.get(verb, ""), limit)


def container_remove(name: str, *, limit: int) -> Call:
    return _of_container("container_remove", (name,), f"remove the container {name}", "is stopped and removed", limit)


def _of_container(function: str, words: tuple[str, ...], title: str, effect: str, limit: int) -> Call:
    """A step that changes the container of the first word. ``effect`` is what happens to it, if that stops it."""
    impact = Impact("stop", "", effect) if effect else None
    return Call(function, words, title, impact=impact, keeps=(Kept("container", words[0]),), limit=limit)


class Container(Base, frozen=True):
    """``declared`` is the container in the spec. A container whose fields differ is replaced. The old one is kept,
    stopped and renamed, until the new one is healthy and the whole run has succeeded."""

    kind = "container"
    entry = "container"
    place = d.Place.CONTAINERS

    name: str
    declared: spec.Container
    #: the id of the exact image, where its name may stand for another image now
    image: str = ""
    #: the declared daemon.json; ``None`` where no play declares it, so that docker's additions are not known
    daemon: Mapping[str, Any] | None = None

    def want(self) -> State:
        return declared(self.declared, daemon_logs(self.declared, self.daemon or {}))

    @property
    def _reference(self) -> str:
        return self.image or str(self.declared.image)

    def look(self) -> tuple[Call, ...]:
        """Reads its image too: a field that the container has and no spec declares may come from the image."""
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
        # If the name no longer stands for any image, each value that is not declared counts as the image's value.
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
        return {**state, "made by": "provision" if "provision.spec" in labels else "a third party"}

    def fix(self, drift: Drift) -> Iterator[Call]:
        one = self.declared
        if drift.seen and drift.seen["made by"] != "provision" and not one.adopt:
            raise Unfixable(
                f"the container {self.name} was not made by provision, and it differs in"
                f" {', '.join(drift.keys)} (adopt: true replaces it)"
            )
        limit = _limit(drift.seen.get("stop_timeout", "0")) + one.within
        if drift.keys == ("state",) and drift.seen["state"] in ("running", "stopped", "unhealthy"):
            yield container_state(
                self.name,
                verb="stop" if not one.running else "restart" if drift.seen["state"] == "unhealthy" else "start",
                within=one.within,
                steady=one.steady,
                limit=limit,
            )
            return
        put = container_put(
            self.name,
            running=one.running,
            within=one.within,
            steady=one.steady,
            networks=one.networks[1:],
            secrets={name: one.environment[name] for name in self._secrets},
            words=tuple(words(one, self.image)),
            differs=drift.keys if drift.seen else (),
            limit=limit,
        )
        # After the image step the name may stand for the image that the container already has: then nothing changes.
        renewed = drift.keys == ("image",) and drift.seen["image"].endswith(_BEFORE)
        yield container_follow(str(one.image), put=put) if renewed else put

    @property
    def _secrets(self) -> tuple[str, ...]:
        return tuple(name for name, value in self.declared.environment.items() if holds(value))

    @property
    def _variables(self) -> tuple[str, ...]:
        return tuple(f"environment {name}" for name in self._secrets)

    def _hashes(self) -> set[str]:
        """The possible hashes of the variables that the host does not show. Each hash is of docker's JSON, one variable
        a line. Every version of Go escapes U+2028 and U+2029. Go 1.22 changed the form of two control characters
        (encoding/json)."""
        pairs = (reveal(f"{name}={self.declared.environment[name]}") for name in self._secrets)
        text = "".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs)
        new = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
        old = _ESCAPE.sub(lambda found: _BEFORE_GO_1_22.get(found[0], found[0]), new)
        return {hashlib.sha256(one.encode("utf-8", "surrogateescape")).hexdigest() for one in (new, old)}


class NoContainer(Inspected, frozen=True):
    """Declared absent, or made by a play that no longer declares it: then only a container of provision is removed."""

    kind = "container"
    desired = ("container", "absent")
    place = d.Place.NEW_CONTAINERS

    name: str
    labelled: bool = False

    def seen(self, report: HostReport) -> State:
        seen = container(report, self.name)
        if seen is None or (self.labelled and "provision.spec" not in (seen[0]["Config"].get("Labels") or {})):
            return {"container": "absent"}
        config = seen[0]["Config"]
        return {"container": f"of {config['Image']}", "stop_timeout": stop_timeout(config)}

    def fix(self, drift: Drift) -> Iterator[Call]:
        limit = _limit(drift.seen["stop_timeout"])
        yield container_remove(self.name, limit=limit)


def _limit(stop_timeout: str) -> int:
    """How long a step may take that stops a container, in seconds. ``stop_timeout`` is the container's own: docker
    sends SIGKILL only after it. With -1 docker waits without limit (``docker stop --timeout``)."""
    seconds = _DOCKERS if stop_timeout == "docker's" else int(stop_timeout)
    return USUAL + (seconds if seconds >= 0 else LONG)


def _restored(line: d.Line, record: d.Record) -> d.Restored:
    """A container's label has the spec that provision made it from, and the record has its image. provision can't
    recreate a container that it did not make."""
    name = line.rest
    if line.word == "absent":
        yield NoContainer(name)
        return
    made = any(one.kind == "made" and one.rest == name for one in record.lines)
    text = record.report.fields("made_of", name)[0] if made else ""
    image, _, label = text.partition("\n")
    if not label:
        raise Unfixable(f"the container {name} was not made by provision, and can't be recreated")
    try:
        before = spec.Container.model_validate(each(parsed(label), partial(recalled, referred=record.secrets)))
    except LookupError as error:
        (token,) = error.args
        message = f"the container {name} had the secret {token}, which this host's spec no longer refers to"
        raise Unfixable(f"{message}; it can't be recreated") from error
    except (ValueError, WireError) as error:
        raise Unfixable(
            f"the label of the container {name} is not what provision wrote; it can't be recreated"
        ) from error
    running = line.word.startswith(("running", "restarting"))
    yield Container(name, before.model_copy(update={"running": running, "adopt": True}), image)


_LINES = {"container": d.RecordLine("undo_container", _restored), "made": d.RecordLine()}
DECLARATION = d.Declaration(
    kinds={"container": d.Kind("keep_container", _LINES, d.Stage.OBJECTS)},
    entries={"container": d.Entry(lambda rest, before, watchers: NoContainer(rest, labelled=True), field="containers")},
)
