"""Files that a spec declares: who can read what is in them."""

from __future__ import annotations

from collections.abc import Iterator

from provision.declare import Context, Wish
from provision.disclosure import open_mode
from provision.lint.finding import Finding
from provision.lint.rules import finding
from provision.secret import holds
from provision.spec import File


def lint(wishes: list[Wish], context: Context) -> Iterator[Finding]:
    for wish in wishes:
        for path, file in wish.spec.files.items():
            if not file.absent and open_mode(file.mode) and _holds_secret(wish, context, file):
                declared = wish.source["files"]
                where = declared[path].where.get("mode") or declared.where[path]
                message = f"{path} holds a secret, and its mode {file.mode} lets every account of the host read it"
                yield finding("SP406", where, message, 'mode: "0600"')


def _holds_secret(wish: Wish, context: Context, file: File) -> bool:
    """In its text as it is written to the host. Text in ``src`` is sent as it is, so no value is put into it."""
    if file.template is not None:
        return holds(context.templates.render(file.template, wish.scope))
    return file.content is not None and holds(file.content)
