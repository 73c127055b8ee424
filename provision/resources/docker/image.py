"""An image on a host: from a registry, from an archive of the controller's, built there, or none.

A name is a place for an image, and the image is its digest: that is what is compared. A tag without a pin is compared
with what its registry has for it now, where that is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from provision.lines import BLANK
from provision.model import LONG, Blob, Call, Drift, HostReport, State
from provision.remote.protocol import WireError, parsed
from provision.resources.docker.inspected import Image, familiar, image, repository
from provision.resources.obstacle import Unfixable

_AS_IS = "as in its registry"
#: What a pin may be (``images.*.digest``).
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class PulledImage(Struct, frozen=True):
    """``digest`` pins it. With ``by``, the host that pushes it in this very run, the pin is that host's word
    (``None`` until it has pushed). ``follows``: whether a tag is compared with its registry."""

    reference: str
    digest: str | None = None
    by: str = ""
    follows: bool = False

    @property
    def id(self) -> str:
        return f"image:{self.reference}"

    @property
    def makes(self) -> tuple[str, ...]:
        """Images are data; they go by ``absent``, or by ``prune``."""
        return ()

    def want(self) -> State:
        if self.by:
            return {"image": "present", "digest": f"as pushed by {self.by}"}
        if self.digest is not None:
            return {"image": "present", "digest": self.digest}
        return {"image": "present", "tag": _AS_IS} if self._asks else {"image": "present"}

    def look(self) -> tuple[Call, ...]:
        return _looks(self.reference, self._asks)

    def seen(self, report: HostReport) -> State:
        found = image(report, self.reference)
        if found is None:
            return {}
        state = {"image": "present"}
        digest = digest_of(found, self.reference)
        if self.digest is not None and f"{repository(self.reference)}@{self.digest}" in found.digests:
            return {**state, "digest": self.want()["digest"]}
        state["digest"] = digest or "none: it is from no registry"
        if self._asks:
            state["tag"] = _tag(report, self.reference, found)
        return state

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield Call(
            "image_pull",
            (self.reference, self.digest or "-"),
            renews=(self.id,),
            keeps=(("image", self.reference, ""),),
            pulls=(self.reference,),
            late=1 if self.by else 0,
            limit=LONG,
        )

    @property
    def _asks(self) -> bool:
        return self.follows and self.digest is None and not self.by and "@" not in self.reference


class LoadedImage(Struct, frozen=True):
    """From an archive that ``docker save`` has written. ``ids`` are what its config and its manifest have for hashes:
    an image's id in docker's own store, and in containerd's. ``blob`` is what is sent to the host. ``content``, ``tag``
    and ``parts`` are those of :class:`provision.remote.uploads.Archive`; where the archive is ``shared``, images after
    this one are from it too."""

    reference: str
    ids: tuple[str, ...]
    blob: Blob
    push: bool = False
    content: str = ""
    tag: str = ""
    parts: tuple[str, ...] = ()
    shared: bool = False

    @property
    def id(self) -> str:
        return f"image:{self.reference}"

    @property
    def makes(self) -> tuple[str, ...]:
        return ()

    def want(self) -> State:
        return {"image": self.ids[0], **({"pushed": _AS_IS} if self.push else {})}

    def look(self) -> tuple[Call, ...]:
        return _looks(self.reference, self.push)

    def seen(self, report: HostReport) -> State:
        found = image(report, self.reference)
        if found is None:
            return {}
        state = {"image": self.ids[0] if self._is(found) else found.id}
        return {**state, "pushed": _tag(report, self.reference, found, self.parts)} if self.push else state

    def fix(self, drift: Drift) -> Iterator[Call]:
        kept = (("image", self.reference, ""),)
        # What is of this very image already need not be made anew.
        renews = (self.id, *(f"{self.id} {one}" for one in self.ids))
        if "image" in drift:
            words = (self.reference, self.blob.name, "keep" if self.shared else "-", self.tag, *self.ids)
            yield Call("image_load", words, renews=renews, keeps=kept, sends=(self.blob,), limit=LONG)
        if self.push:
            yield Call("image_push", (self.reference,), limit=LONG)

    def _is(self, found: Image) -> bool:
        made = bool(self.content) and found.of_containerd and found.content == self.content
        return made or found.id in self.ids


class BuiltImage(Struct, frozen=True):
    """Built of a folder of the controller's. ``context`` is the hash of all that decides what it becomes, and a label
    of the image has it; ``blob`` is what is sent to the host."""

    reference: str
    context: str
    blob: Blob
    dockerfile: str = "Dockerfile"
    target: str = ""
    args: tuple[tuple[str, str], ...] = ()
    push: bool = False

    @property
    def id(self) -> str:
        return f"image:{self.reference}"

    @property
    def makes(self) -> tuple[str, ...]:
        return ()

    def want(self) -> State:
        return {"built of": self.context, **({"pushed": _AS_IS} if self.push else {})}

    def look(self) -> tuple[Call, ...]:
        return _looks(self.reference, self.push)

    def seen(self, report: HostReport) -> State:
        found = image(report, self.reference)
        if found is None:
            return {}
        state = {"built of": (found.config.get("Labels") or {}).get("provision.context", "something else")}
        return {**state, "pushed": _tag(report, self.reference, found)} if self.push else state

    def fix(self, drift: Drift) -> Iterator[Call]:
        if "built of" in drift:
            args = (f"{name}={value}" for name, value in self.args)
            words = (self.reference, self.blob.name, self.context, self.dockerfile, self.target, *args)
            kept = (("image", self.reference, "long"),)
            yield Call("image_build", words, renews=(self.id,), keeps=kept, sends=(self.blob,), limit=LONG)
        if self.push:
            yield Call("image_push", (self.reference,), limit=LONG)


class NoImage(Struct, frozen=True):
    reference: str

    @property
    def id(self) -> str:
        return f"image:{self.reference}"

    @property
    def makes(self) -> tuple[str, ...]:
        return ()

    def want(self) -> State:
        return {"image": "absent"}

    def look(self) -> tuple[Call, ...]:
        return (Call("look_docker", ("image", self.reference, "-")),)

    def seen(self, report: HostReport) -> State:
        return {"image": "absent" if image(report, self.reference) is None else "present"}

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield Call("image_remove", (self.reference,), keeps=(("image", self.reference, "brief"),), limit=LONG)


class ImageBefore(Struct, frozen=True):
    """The image that a name stood for before a run; by its id, if the host still has it."""

    reference: str
    image_id: str

    @property
    def id(self) -> str:
        return f"image:{self.reference}"

    @property
    def makes(self) -> tuple[str, ...]:
        return ()

    def want(self) -> State:
        return {"image": self.image_id}

    def look(self) -> tuple[Call, ...]:
        names = (self.reference, self.image_id)
        return tuple(Call("look_docker", ("image", name, "-")) for name in names)

    def seen(self, report: HostReport) -> State:
        found = image(report, self.reference)
        there = "yes" if image(report, self.image_id) is not None else "no"
        return {"there": there} if found is None else {"there": there, "image": found.id}

    def fix(self, drift: Drift) -> Iterator[Call]:
        if drift.seen["there"] == "no":
            raise Unfixable(f"the image that {self.reference} was before is not on the host any more ({self.image_id})")
        kept = (("image", self.reference, ""),)
        yield Call("image_tag", (self.image_id, self.reference), renews=(self.id,), keeps=kept)


def digest_of(found: Image, reference: str) -> str:
    """The digest that an image has in its repository; empty for one that was never pulled or pushed."""
    prefix = f"{repository(reference)}@"
    digests = (one.removeprefix(prefix) for one in sorted(found.digests) if one.startswith(prefix))
    return next((digest for digest in digests if _DIGEST.fullmatch(digest)), "")


def _looks(reference: str, asks: bool) -> tuple[Call, ...]:
    """``asks``: what its registry has for it, too."""
    here = Call("look_docker", ("image", reference, "-"))
    return (here, Call("look_moved", (reference,))) if asks else (here,)


def _tag(report: HostReport, reference: str, found: Image, parts: tuple[str, ...] = ()) -> str:
    """What the registry has for a tag, against what the host has: the image, or one of its platforms' (``parts``)
    where docker has pushed only that, for it has no others."""
    answer = report.get("moved", reference)
    if answer is None:
        return "the registry was not asked"
    head, said = _answer(answer[0])
    if said is None:
        return f"its registry can't be asked: {head[-200:] or 'no answer'}"
    digest = _digest(said)
    if not digest:
        message = said.get("message", "no digest")
        return f"not there: {message}" if " 404 " in f"{head} " else f"its registry can't be asked: {message}"
    same = f"{repository(reference)}@{digest}" in found.digests or digest in parts
    return _AS_IS if same else f"moved: {familiar(reference)} is {digest}"


def digest_in_registry(report: HostReport, reference: str) -> str:
    """The digest that a registry said a tag has; empty where it was not asked, or did not say."""
    answer = report.get("moved", reference)
    _, said = _answer(answer[0]) if answer is not None else ("", None)
    return _digest(said or {})


def _digest(said: dict[str, Any]) -> str:
    """The digest in a registry's answer; empty for what is none."""
    descriptor = said.get("Descriptor")
    digest = str(descriptor.get("digest")) if isinstance(descriptor, dict) else ""
    return digest if _DIGEST.fullmatch(digest) else ""


def _answer(text: str) -> tuple[str, dict[str, Any] | None]:
    """The head of a registry's answer (or all of it), and its JSON."""
    head, _, body = text.replace("\r", "").partition("\n\n")
    try:
        said = parsed(body)
    except WireError:
        return (body or head).strip(BLANK), None
    return head, said if isinstance(said, dict) else {}
