"""Values that should be secret: files that others can read, and passwords in the clear."""

from __future__ import annotations

import re
from collections.abc import Iterator

from provision.lint import compose_projects
from provision.lint.compose_projects import Project
from provision.lint.finding import Finding
from provision.lint.rules import finding
from provision.project.host_config import Context, HostConfig
from provision.secrets.disclosure import open_mode
from provision.secrets.secret import holds
from provision.spec import File
from provision.text.yamlfile import locate

#: The name of a variable whose value is a password.
_PASSWORD = re.compile(
    r"(.*[_-])?(PASS|PASSWD|PASSWORD|PASSPHRASE|SECRET|TOKEN|API_?KEY|SECRET_?KEY|PRIVATE_?KEY)", re.I
)
#: Passwords of the connection (inventory/login.py).
_LOGINS = re.compile(r"ansible_(ssh_|become_|sudo_|su_)?pass(word)?|ansible_become_pass")


def lint(configs: list[HostConfig], context: Context, projects: list[Project]) -> Iterator[Finding]:
    yield from _in_the_clear(configs)
    yield from _in_services(projects)
    for config in configs:
        for path, file in config.spec.files.items():
            if not file.absent and open_mode(file.mode) and _holds_secret(config, context, file):
                declared = config.source["files"]
                where = declared[path].where.get("mode") or declared.where[path]
                message = f"{path} holds a secret, and its mode {file.mode} lets every account of the host read it"
                yield finding("SP406", where, message, 'mode: "0600"')


def _in_the_clear(configs: list[HostConfig]) -> Iterator[Finding]:
    for config in configs:
        raw = config.scope.raw
        for name in filter(_LOGINS.fullmatch, raw):
            place, value = raw.where.get(name), raw[name]
            if place is not None and isinstance(value, str) and value and not holds(value) and "{" not in value:
                yield finding("SP412", place, f"{name} is in the file in the clear", _SECRET)
        for kind, parts in (("containers", config.spec.containers), ("compose", config.spec.compose)):
            for key, part in parts.items():
                for name, value in part.environment.items():
                    if _is_password(name, value):
                        where = locate(config.source, (kind, key, "environment", name))
                        if where is not None:
                            message = f"{kind}.{key}.environment.{name} is in the file in the clear"
                            yield finding("SP412", where, message, _SECRET)
        for key, container in config.spec.containers.items():
            for name, value in (container.log.options if container.log is not None else {}).items():
                where = locate(config.source, ("containers", key, "log", "options", name))
                if where is not None and _is_password(name, value):
                    message = (
                        f"containers.{key}.log.options.{name} is in the file in the clear, and docker inspect shows it"
                    )
                    yield finding("SP412", where, message, "a log server without a password")


def _in_services(projects: list[Project]) -> Iterator[Finding]:
    """Variables of compose services. A variable of the project, which the spec can have as a secret, is none."""
    for project in projects:
        variables = frozenset(project.config.spec.compose[project.name].environment.values())
        for service, one, _ in project.services():
            for name, value, place in compose_projects.environment(one):
                if _is_password(name, value) and "$" not in value and value not in variables:
                    message = (
                        f"compose.{project.name}.services.{service}.environment.{name} is in the file in the clear"
                    )
                    hint = (
                        f"${{{name}}} here, and compose.{project.name}.environment: {{{name}: !secret {{env: {name}}}}}"
                    )
                    yield finding("SP412", project.where(place), message, hint)


def _is_password(name: str, value: str) -> bool:
    return bool(_PASSWORD.fullmatch(name) and value and not holds(value) and not value.startswith("/"))


_SECRET = "!secret {env: NAME}"  # noqa: S105 - the hint


def _holds_secret(config: HostConfig, context: Context, file: File) -> bool:
    """True if the text contains a secret when it is written to the host. Text in ``src`` is sent unchanged, so it
    contains no secret value."""
    if file.template is not None:
        return holds(context.templates.render(file.template, config.scope))
    return file.content is not None and holds(file.content)
