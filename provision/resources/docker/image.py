"""An image on a host: from a registry, from an archive on the controller, built on the host, or absent.

A name can stand for different images over time, but a digest identifies one image, so digests are compared. If the spec
asks for it, a tag without a pin is compared with the image that its registry has for it now.

Images are data, so no manifest names them: only ``absent`` or ``prune`` removes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from provision.lines import BLANK
from provision.model import LONG, Blob, Call, Drift, HostReport, Kept, Risk, State
from provision.remote.protocol import WireError, parsed
from provision.resources import declaration as d
from provision.resources.base import Base
from provision.resources.docker.inspected import Image, Inspected, familiar, image, repository
from provision.resources.obstacle import Unfixable

_AS_IS = "as in its registry"
#: The form of a pin (``images.*.digest``).
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def _of_image(
    function: str, words: tuple[str, ...], title: str, reference: str, renews: tuple[str, ...] = (), keep: str = ""
) -> Call:
    return Call(function, words, title, Risk.NONE, renews=renews, keeps=(Kept("image", reference, keep),))


def image_pull(reference: str, *, digest: str | None, renews: str, late: bool) -> Call:
    """``renews`` is the id of the resource. With ``late`` the digest may be unknown until the step runs."""
    call = _of_image("image_pull", (reference, digest or "-"), f"pull the image {reference}", reference, (renews,))
    return replace(call, pulls=(reference,), late=1 if late else 0, live=True, limit=LONG)


def image_push(reference: str) -> Call:
    return Call("image_push", (reference,), title=f"push the image {reference}", risk=Risk.NONE, limit=LONG)


def image_load(
    reference: str, *, blob: Blob, tag: str, ids: Sequence[str], shared: bool, renews: tuple[str, ...]
) -> Call:
    """Load ``reference`` from an archive, in which its name is ``tag``. With ``shared`` a later step loads from it
    too."""
    words = (reference, blob.name, "keep" if shared else "-", tag, *ids)
    call = _of_image("image_load", words, f"load the image {reference}", reference, renews)
    return replace(call, sends=(blob,), limit=LONG)


def image_build(
    reference: str,
    *,
    blob: Blob,
    context: str,
    dockerfile: str,
    target: str,
    args: Sequence[tuple[str, str]],
    renews: str,
) -> Call:
    """``context`` is the hash of all that determines the image."""
    words = (reference, blob.name, context, dockerfile, target, *(f"{name}={value}" for name, value in args))
    call = _of_image("image_build", words, f"build the image {reference}", reference, (renews,), "long")
    return replace(call, sends=(blob,), limit=LONG)


def image_tag(image_id: str, *, reference: str, renews: str) -> Call:
    title = f"restore the name {reference} of the image {image_id[:19]}"
    return _of_image("image_tag", (image_id, reference), title, reference, (renews,))


def image_remove(reference: str) -> Call:
    call = _of_image("image_remove", (reference,), f"remove the image {reference}", reference, keep="brief")
    return replace(call, limit=LONG)


class Named(Base, frozen=True):
    """The image that a name stands for."""

    kind = "image"
    place = d.Place.IMAGES

    reference: str


class PulledImage(Named, frozen=True):
    """``digest`` pins the image. ``by`` is the host that pushes it in the same run. The pin is then the digest that
    this host reports (``None`` until it has pushed). ``follows`` says whether a tag is compared with its registry."""

    digest: str | None = None
    by: str = ""
    follows: bool = False

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
        state["digest"] = digest or "none: it is not from a registry"
        if self._asks:
            state["tag"] = _tag(report, self.reference, found)
        return state

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield image_pull(self.reference, digest=self.digest, renews=self.id, late=bool(self.by))

    @property
    def _asks(self) -> bool:
        return self.follows and self.digest is None and not self.by and "@" not in self.reference


class LoadedImage(Named, frozen=True):
    """An image from an archive that ``docker save`` has written. ``ids`` are the hashes of its config and of its
    manifest: an image's id in docker's own store, and in containerd's. ``blob`` is what is sent to the host.
    ``content``, ``tag`` and ``parts`` are those of :class:`provision.remote.uploads.Archive`. With ``shared``, images
    after this one come from the same archive."""

    ids: tuple[str, ...]
    blob: Blob
    push: bool = False
    content: str = ""
    tag: str = ""
    parts: tuple[str, ...] = ()
    shared: bool = False

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
        # A container that already runs this exact image need not be replaced.
        renews = (self.id, *(f"{self.id} {one}" for one in self.ids))
        if "image" in drift:
            yield image_load(
                self.reference, blob=self.blob, tag=self.tag, ids=self.ids, shared=self.shared, renews=renews
            )
        if self.push:
            yield image_push(self.reference)

    def _is(self, found: Image) -> bool:
        made = bool(self.content) and found.of_containerd and found.content == self.content
        return made or found.id in self.ids


class BuiltImage(Named, frozen=True):
    """An image that the host builds from a directory of the controller. ``context`` is the hash of all that determines
    the image; the image has it as a label. ``blob`` is what is sent to the host."""

    context: str
    blob: Blob
    dockerfile: str = "Dockerfile"
    target: str = ""
    args: tuple[tuple[str, str], ...] = ()
    push: bool = False

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
            yield image_build(
                self.reference,
                blob=self.blob,
                context=self.context,
                dockerfile=self.dockerfile,
                target=self.target,
                args=self.args,
                renews=self.id,
            )
        if self.push:
            yield image_push(self.reference)


class NoImage(Inspected, frozen=True):
    kind = "image"
    desired = ("image", "absent")
    place = d.Place.NEW_NETWORKS

    reference: str

    def seen(self, report: HostReport) -> State:
        return {"image": "absent" if image(report, self.reference) is None else "present"}

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield image_remove(self.reference)


class ImageBefore(Named, frozen=True):
    """The image that a name stood for before a run: by its id, if the host still has it."""

    image_id: str

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
            raise Unfixable(f"the former image of {self.reference} is no longer on the host ({self.image_id})")
        yield image_tag(self.image_id, reference=self.reference, renews=self.id)


def digest_of(found: Image, reference: str) -> str:
    """The digest that an image has in its repository; empty for an image that was never pulled or pushed."""
    prefix = f"{repository(reference)}@"
    digests = (one.removeprefix(prefix) for one in sorted(found.digests) if one.startswith(prefix))
    return next((digest for digest in digests if _DIGEST.fullmatch(digest)), "")


def _looks(reference: str, asks: bool) -> tuple[Call, ...]:
    """With ``asks`` also the call that asks the registry for the tag's digest."""
    here = Call("look_docker", ("image", reference, "-"))
    return (here, Call("look_moved", (reference,))) if asks else (here,)


def _tag(report: HostReport, reference: str, found: Image, parts: tuple[str, ...] = ()) -> str:
    """Compares what the registry has for a tag with the host's image. Where the image lacks some platforms, docker may
    have pushed a single platform: ``parts`` are the digests of its platforms."""
    answer = report.get("moved", reference)
    if answer is None:
        return "the registry was not queried"
    head, said = _answer(answer[0])
    if said is None:
        return f"its registry gave no digest: {head[-200:] or 'no answer'}"
    digest = _digest(said)
    if not digest:
        message = said.get("message", "no digest")
        return f"not in its registry: {message}" if " 404 " in f"{head} " else f"cannot query its registry: {message}"
    same = f"{repository(reference)}@{digest}" in found.digests or digest in parts
    return _AS_IS if same else f"moved: {familiar(reference)} is {digest}"


def digest_in_registry(report: HostReport, reference: str) -> str:
    """The digest that a registry reported for a tag; empty where it was not asked, or did not report one."""
    answer = report.get("moved", reference)
    _, said = _answer(answer[0]) if answer is not None else ("", None)
    return _digest(said or {})


def _digest(said: dict[str, Any]) -> str:
    """The digest in a registry's answer; empty where the answer has no valid one."""
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


#: Images that the run added stay: they disturb nothing.
_LINE = d.RecordLine(
    "undo_image",
    lambda line, record: [] if line.word == "absent" else [ImageBefore(line.rest, line.word)],
    lambda line, report: f"image {line.rest}, which the run added" if line.word == "absent" else "",
)
DECLARATION = d.Declaration(
    kinds={"image": d.Kind("keep_image", {"image": _LINE, "spare": d.RecordLine("undo_spare")}, d.Stage.OBJECTS)}
)
