"""The files that a spec declares: which users can read their content."""

from __future__ import annotations

from collections.abc import Iterator

from provision.lint.finding import Finding
from provision.lint.rules import finding
from provision.project.host_config import Context, HostConfig
from provision.secrets.disclosure import open_mode
from provision.secrets.secret import holds
from provision.spec import File


def lint(configs: list[HostConfig], context: Context) -> Iterator[Finding]:
    for config in configs:
        for path, file in config.spec.files.items():
            if not file.absent and open_mode(file.mode) and _holds_secret(config, context, file):
                declared = config.source["files"]
                where = declared[path].where.get("mode") or declared.where[path]
                message = f"{path} holds a secret, and its mode {file.mode} lets every account of the host read it"
                yield finding("SP406", where, message, 'mode: "0600"')


def _holds_secret(config: HostConfig, context: Context, file: File) -> bool:
    """Whether the text contains a secret when it is written to the host. Text in ``src`` is sent unchanged, so it
    contains no secret value."""
    if file.template is not None:
        return holds(context.templates.render(file.template, config.scope))
    return file.content is not None and holds(file.content)
