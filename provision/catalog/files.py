"""Files. Root's come before the packages, so that a service starts with the right files; others' after their users."""

from __future__ import annotations

from collections.abc import Iterator

from provision.catalog.context import CompileContext
from provision.model import Resource
from provision.resources.file import File, NoFile
from provision.secrets.secret import marked, whole
from provision.text.yamlfile import locate

#: The largest file that is sent inside a script, in bytes. A larger file belongs into a package or an image.
LARGEST = 16 * 1024 * 1024


def files_of_root(ctx: CompileContext) -> Iterator[Resource]:
    for path, declared in ctx.spec.files.items():
        if declared.absent:
            yield NoFile(path, ctx.watchers.get(path, ()))
        elif (declared.owner, declared.group) == ("root", "root"):
            yield _file(ctx, path)


def files_of_others(ctx: CompileContext) -> Iterator[Resource]:
    for path, declared in ctx.spec.files.items():
        if not declared.absent and (declared.owner, declared.group) != ("root", "root"):
            yield _file(ctx, path)


def _file(ctx: CompileContext, path: str) -> File:
    declared = ctx.spec.files[path]
    return File(
        path,
        content(ctx, path),
        declared.owner,
        declared.group,
        declared.mode,
        ctx.watchers.get(path, ()),
        # A file is sent unchanged: text in it that looks like a token is not a token.
        literal=declared.src is not None,
    )


def content(ctx: CompileContext, path: str) -> bytes:
    """The bytes of a declared file. Raises :class:`SpecError` for a template or a source that gives none."""
    declared = ctx.spec.files[path]
    if declared.content is not None:
        return declared.content.encode()
    if declared.template is not None:
        where = locate(ctx.own.source, ("files", path, "template"))
        text = ctx.context.render(declared.template, ctx.own.scope, where)
        return (whole(text, where, f"files.{path}.template") if marked(text) else text).encode()
    found = ctx.read(str(declared.src), "files", path, "src")
    if len(found) > LARGEST:
        raise ctx.error(f"{declared.src} is larger than 16 MiB", "files", path, "src", hint="install it by a package")
    return found
