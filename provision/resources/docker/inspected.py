"""How a look reports docker's objects: docker's own JSON, one object a line, and its message for a missing object."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Literal

from msgspec import Struct

from provision.lines import BLANK
from provision.model import Call, HostReport
from provision.remote.frames import typed
from provision.remote.protocol import parsed
from provision.remote.uploads import content, full_name
from provision.resources.base import Base
from provision.resources.docker import answers
from provision.resources.obstacle import Unfixable

Kind = Literal["container", "image", "network", "volume"]
#: How docker's client reports a missing object (docker/cli, "No such"; moby's own messages for networks and volumes).
_MISSING = re.compile(r"no such (container|image|object|network|volume)|network .* not found", re.IGNORECASE)

#: A repository and the hash of a manifest (distribution/reference, "digested-reference"; OCI image-spec, "Digests").
_DIGESTED = re.compile(r"(?:<none>|[A-Za-z0-9][A-Za-z0-9._:/\[\]-]*)@(?:<none>|[a-z0-9+._-]+:[0-9a-f]{32,128})")


class Inspected(Base, frozen=True):
    """An object of docker that a look reads by its name."""

    def look(self) -> tuple[Call, ...]:
        return (Call("look_docker", (self.kind, self.name, "-")),)


class Image(Struct, frozen=True):
    """An image on the host: its id, its names and digests, and the config that its containers get."""

    id: str
    tags: frozenset[str]
    digests: frozenset[str]
    config: dict[str, Any]
    layers: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """A description of its content, in the form that archives have too (:mod:`provision.remote.uploads`)."""
        return content(self.layers, self.config)

    @property
    def of_containerd(self) -> bool:
        """True if it is in containerd's store, where an image's id is the digest of its manifest."""
        return any(digest.endswith(f"@{self.id}") for digest in self.digests)


def thing(report: HostReport, kind: Literal["network", "volume"], name: str) -> dict[str, Any] | None:
    return next((one for one in _objects(report, kind) if one["Name"] == name), None)


def container(report: HostReport, name: str) -> tuple[dict[str, Any], tuple[str, ...], str] | None:
    """A container's JSON, its variables (``NAME=value``) without the secret ones, and the hash of the secret ones."""
    if (others := report.get("docker", "container")) is not None:
        _lines(others[0], "container")
    found = report.get("container", name)
    if found is None:
        return None
    whole, variables, sum_ = found
    lines = (typed(parsed(line), str, "a variable of a container") for line in variables.split("\n") if line)
    return _parsed(whole, "container"), tuple(lines), sum_


def image(report: HostReport, reference: str) -> Image | None:
    """The image that a name stands for on the host. Raises :class:`Unfixable` where docker reports an invalid digest:
    it would be written to a lock file, or used in a step."""
    wanted = {familiar(reference), f"{repository(reference)}@{reference.partition('@')[2]}"}
    for one in _objects(report, "image"):
        tags = frozenset(one.get("RepoTags") or [])
        digests = frozenset(one.get("RepoDigests") or [])
        if reference == one["Id"] or wanted & (tags | digests):
            if bad := next((each for each in sorted(map(str, digests)) if not _DIGESTED.fullmatch(each)), None):
                raise Unfixable(f"docker reports a malformed digest of {reference}: {bad[:100]!r}")
            return Image(one["Id"], tags, digests, one.get("Config") or {}, tuple(one.get("Layers") or ()))
    return None


def familiar(reference: str) -> str:
    """The name as docker lists it: without Docker Hub's own prefix, and with a tag."""
    return full_name(reference)


def repository(reference: str) -> str:
    """The name without tag and digest, as docker lists it."""
    name = familiar(reference).partition("@")[0]
    head, slash, tail = name.rpartition("/")
    return f"{head}{slash}{tail.partition(':')[0]}"


def registry(reference: str) -> str:
    """The registry of an image; ``docker.io`` where the name has none (distribution/reference, splitDockerDomain)."""
    first, slash, _ = reference.partition("/")
    return first if slash and (set(".:") & set(first) or first == "localhost") else "docker.io"


def _objects(report: HostReport, kind: str) -> tuple[dict[str, Any], ...]:
    found = report.get("docker", kind)
    return () if found is None else _lines(found[0], kind)


@lru_cache(maxsize=256)
def _lines(text: str, kind: str) -> tuple[dict[str, Any], ...]:
    """Raises :class:`Unfixable` for a line that is neither an object nor the message for a missing object."""
    objects = []
    # Split only at newlines: JSON may contain other line separators.
    for line in text.split("\n"):
        if line.startswith("{"):
            objects.append(_parsed(line, kind))
        elif line.strip(BLANK) and not _MISSING.search(line):
            raise Unfixable(f"docker can't list its objects: {line}")
    return tuple(objects)


@lru_cache(maxsize=1024)
def _parsed(line: str, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = typed(parsed(line), _ANSWERS[kind], f"a {kind}")
    return found


_ANSWERS: dict[str, Any] = {
    "container": answers.ContainerAnswer,
    "image": answers.ImageAnswer,
    "network": answers.NetworkAnswer,
    "volume": answers.VolumeAnswer,
}
