"""Files: root's before the packages, so that a service's first start is right; others' after their users exist."""

from __future__ import annotations

from collections.abc import Iterator

from provision import engine
from provision.desire.setting import Setting
from provision.model import Resource
from provision.resources.file import File, NoFile
from provision.yamlfile import locate

#: The longest that is sent inside a script, in bytes; more belongs into a package or an image.
LARGEST = 16 * 1024 * 1024


def files_of_root(at: Setting) -> Iterator[Resource]:
    for path, declared in at.spec.files.items():
        if declared.absent:
            yield NoFile(path, at.watchers.get(path, ()))
        elif (declared.owner, declared.group) == ("root", "root"):
            yield _file(at, path)
    if at.spec.engine is not None and at.spec.engine.daemon is not None:
        yield _daemon_json(at, at.spec.engine.daemon)


def files_of_others(at: Setting) -> Iterator[Resource]:
    for path, declared in at.spec.files.items():
        if not declared.absent and (declared.owner, declared.group) != ("root", "root"):
            yield _file(at, path)


def _file(at: Setting, path: str) -> File:
    declared = at.spec.files[path]
    return File(path, _content(at, path), declared.owner, declared.group, declared.mode, at.watchers.get(path, ()))


def _content(at: Setting, path: str) -> bytes:
    declared = at.spec.files[path]
    if declared.content is not None:
        return declared.content.encode()
    if declared.template is not None:
        where = locate(at.wish.source, ("files", path, "template"))
        return at.context.templates.render(declared.template, at.wish.scope, where).encode()
    try:
        content = at.context.read(str(declared.src))
    except OSError as error:
        raise at.error(f"{declared.src} can't be read: {error.strerror}", "files", path, "src") from error
    if content is None:
        looked = ", ".join(str(folder) for folder in at.context.files)
        raise at.error(f"no such file: {declared.src}", "files", path, "src", hint=f"looked in {looked}")
    if len(content) > LARGEST:
        raise at.error(f"{declared.src} is larger than 16 MiB", "files", path, "src", hint="ship it as a package")
    return content


def _daemon_json(at: Setting, daemon: dict[str, object]) -> File:
    """Exactly the declared keys; a file that says the same in another form is left as it is."""
    if engine.DAEMON_JSON in at.spec.files:
        raise at.error("engine.daemon declares this file too", "files", engine.DAEMON_JSON)
    content = at.render("daemon.json.j2", daemon=engine.canonical(daemon).decode())
    watching = at.watchers.get(engine.DAEMON_JSON, ())
    return File(engine.DAEMON_JSON, content, watchers=watching, same=engine.same)
