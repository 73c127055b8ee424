"""Files and volumes of a host that containers and compose services mount, and that the spec does not have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from provision.errors import Where
from provision.lint import compose_projects
from provision.lint.compose_projects import Project
from provision.lint.finding import Finding
from provision.lint.ranges import Paths
from provision.lint.rules import finding
from provision.project.host_config import HostConfig
from provision.text.yamlfile import locate, nearest

#: Directories and files that a host has, or that other programs make (hier(7), file-hierarchy(7)).
_OF_HOST = re.compile(
    r"/(?:(?:proc|sys|dev|run|tmp|boot|usr|lib|lib64|bin|sbin|var/run|var/log|var/lib|var/cache|home|root|mnt|media)(?:/.*)?)?"
    r"|/etc(?:/(?:localtime|timezone|passwd|group|shadow|hosts|hostname|resolv\.conf|machine-id|os-release|fstab"
    r"|docker|provision|ssl|pki|ca-certificates|letsencrypt)(?:/.*)?)?"
)
#: The name of a file that a program reads.
_FILE = re.compile(
    r".*\.(?:conf|cfg|cnf|ini|json|ya?ml|toml|xml|env|properties|pem|crt|cer|key|sh|sql|txt|html|lua|py|js|hcl|rules|list"
    r"|htpasswd|pub|tmpl)"
)

_Mount = tuple[str, str, bool, Where]


def lint(configs: list[HostConfig], projects: list[Project]) -> Iterator[Finding]:
    of_host: dict[int, list[_Mount]] = {}
    for project in projects:
        for service, one, _ in project.services():
            owner = f"compose.{project.name}.services.{service}"
            found = [(owner, path, only, project.where(place)) for path, only, place in compose_projects.mounts(one)]
            of_host.setdefault(id(project.config), []).extend(found)
    for config in configs:
        yield from _volumes(config)
        yield from _missing(config, [*_of_containers(config), *of_host.get(id(config), [])])


def _of_containers(config: HostConfig) -> Iterator[_Mount]:
    for name, container in config.spec.containers.items():
        for number, text in enumerate(container.volumes):
            path, _, options = (*text.split(":", 2), "", "")[:3]
            where = locate(config.source, ("containers", name, "volumes", number))
            if path.startswith("/") and where is not None and not container.absent:
                yield f"containers.{name}", path, "ro" in options.split(","), where


def _volumes(config: HostConfig) -> Iterator[Finding]:
    """docker makes an undeclared volume without a message. A name like that of a declared one is a misspelling."""
    declared = {name: None for name, one in config.spec.volumes.items() if not one.absent}
    for name, container in config.spec.containers.items():
        for number, text in enumerate(container.volumes):
            volume = text.partition(":")[0]
            where = locate(config.source, ("containers", name, "volumes", number))
            if volume.startswith("/") or volume in declared or where is None or container.absent:
                continue
            if hint := nearest(volume, declared):
                message = f"containers.{name} mounts the volume {volume}, which the spec does not declare"
                yield finding("SP415", where, message, hint)


def _missing(config: HostConfig, mounts: list[_Mount]) -> Iterator[Finding]:
    """A path that must have content: that of a file, or one that no container of the host may write."""
    files = {path: file for path, file in config.spec.files.items() if not file.absent}
    shipped = Paths(str(PurePosixPath(path)) for path in files)
    written = Paths(str(PurePosixPath(path)) for _, path, only, _ in mounts if not only and not _FILE.fullmatch(path))
    for owner, path, only, where in mounts:
        path = str(PurePosixPath(path))
        file = _FILE.fullmatch(path)
        if shipped.inside(path) or not (file or only) or _OF_HOST.fullmatch(path):
            continue
        if written.cover(path) or written.inside(path):
            continue
        message = (
            f"{owner} mounts {path}, which the spec does not ship: docker makes an empty directory if it is missing"
        )
        yield finding("SP415", where, message, nearest(path, files) or f"files: {{{path}: ...}}")
