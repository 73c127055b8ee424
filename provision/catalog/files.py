"""Files. Root's come before the packages, so that a service starts with the right files; others' after their users."""

from __future__ import annotations

from collections.abc import Iterator

from provision.catalog.setting import Setting
from provision.model import Resource
from provision.resources.file import File, NoFile
from provision.secrets.secret import marked, whole
from provision.text.yamlfile import locate

#: The largest file that is sent inside a script, in bytes. A larger file belongs into a package or an image.
LARGEST = 16 * 1024 * 1024


def files_of_root(at: Setting) -> Iterator[Resource]:
    for path, declared in at.spec.files.items():
        if declared.absent:
            yield NoFile(path, at.watchers.get(path, ()))
        elif (declared.owner, declared.group) == ("root", "root"):
            yield _file(at, path)


def files_of_others(at: Setting) -> Iterator[Resource]:
    for path, declared in at.spec.files.items():
        if not declared.absent and (declared.owner, declared.group) != ("root", "root"):
            yield _file(at, path)


def _file(at: Setting, path: str) -> File:
    declared = at.spec.files[path]
    return File(
        path,
        content(at, path),
        declared.owner,
        declared.group,
        declared.mode,
        at.watchers.get(path, ()),
        # A file is sent unchanged: text in it that looks like a token is not a token.
        literal=declared.src is not None,
    )


def content(at: Setting, path: str) -> bytes:
    """The bytes of a declared file. Raises :class:`SpecError` for a template or a source that gives none."""
    declared = at.spec.files[path]
    if declared.content is not None:
        return declared.content.encode()
    if declared.template is not None:
        where = locate(at.own.source, ("files", path, "template"))
        text = at.context.templates.render(declared.template, at.own.scope, where)
        return (whole(text, where, f"files.{path}.template") if marked(text) else text).encode()
    found = at.read(str(declared.src), "files", path, "src")
    if len(found) > LARGEST:
        raise at.error(f"{declared.src} is larger than 16 MiB", "files", path, "src", hint="install it by a package")
    return found
