"""Steps that change images in docker's store. Containers and projects that use them have separate steps."""

from __future__ import annotations

from collections.abc import Sequence

from provision.model import LONG, Blob, Call, Kept, Risk


def image_pull(reference: str, *, digest: str | None, renews: str, late: bool) -> Call:
    """``renews`` is the id of the resource. With ``late`` the digest may be unknown until the step runs."""
    return Call(
        "image_pull",
        (reference, digest or "-"),
        title=f"pull the image {reference}",
        risk=Risk.NONE,
        renews=(renews,),
        keeps=(Kept("image", reference),),
        pulls=(reference,),
        late=1 if late else 0,
        live=True,
        limit=LONG,
    )


def image_push(reference: str) -> Call:
    return Call("image_push", (reference,), title=f"push the image {reference}", risk=Risk.NONE, limit=LONG)


def image_load(
    reference: str, *, blob: Blob, tag: str, ids: Sequence[str], shared: bool, renews: tuple[str, ...]
) -> Call:
    """Load ``reference`` from an archive, in which its name is ``tag``. With ``shared`` a later step loads from it
    too."""
    return Call(
        "image_load",
        (reference, blob.name, "keep" if shared else "-", tag, *ids),
        title=f"load the image {reference}",
        risk=Risk.NONE,
        renews=renews,
        keeps=(Kept("image", reference),),
        sends=(blob,),
        limit=LONG,
    )


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
    return Call(
        "image_build",
        (reference, blob.name, context, dockerfile, target, *(f"{name}={value}" for name, value in args)),
        title=f"build the image {reference}",
        risk=Risk.NONE,
        renews=(renews,),
        keeps=(Kept("image", reference, "long"),),
        sends=(blob,),
        limit=LONG,
    )


def image_tag(image_id: str, *, reference: str, renews: str) -> Call:
    return Call(
        "image_tag",
        (image_id, reference),
        title=f"restore the name {reference} of the image {image_id[:19]}",
        risk=Risk.NONE,
        renews=(renews,),
        keeps=(Kept("image", reference),),
    )


def image_remove(reference: str) -> Call:
    return Call(
        "image_remove",
        (reference,),
        title=f"remove the image {reference}",
        risk=Risk.NONE,
        keeps=(Kept("image", reference, "brief"),),
        limit=LONG,
    )
