"""Package repositories: the declared ones, and Docker's from the mirror."""

from __future__ import annotations

from collections.abc import Iterator

from provision.desire.setting import Setting
from provision.distros import DISTRIBUTIONS
from provision.model import Resource
from provision.resources.apt_source import AptSource, Entry, Keyring, OtherEntries
from provision.resources.file import File
from provision.resources.openpgp import fingerprints
from provision.spec import Repository

#: The name of Docker's own repository: the file names that Docker's pages give.
DOCKER = "docker"


def repositories(at: Setting) -> Iterator[Resource]:
    for name, repository in at.spec.repositories.items():
        yield from _repository(at, name, repository, "apt/repository.sources.j2")
    if at.spec.engine is not None:
        declared = at.spec.engine
        url = f"{declared.package_mirror}/linux/{DISTRIBUTIONS[at.platform.id].repository}"
        repository = Repository(
            url=url, components=[declared.channel], key_url=f"{url}/gpg", fingerprint=declared.fingerprint
        )
        yield from _repository(at, DOCKER, repository, "apt/docker.sources.j2")


def source_files(at: Setting) -> tuple[str, ...]:
    """Our own source files, whose indexes must be fresh before packages are installed."""
    names = [*at.spec.repositories, *([DOCKER] if at.spec.engine is not None else [])]
    return tuple(_source(name) for name in names)


def _source(name: str) -> str:
    return f"/etc/apt/sources.list.d/{name}.sources"


def _repository(at: Setting, name: str, declared: Repository, template: str) -> Iterator[Resource]:
    key_path, path = f"/etc/apt/keyrings/{name}.asc", _source(name)
    suites = tuple(declared.suites) or (at.platform.codename,)
    entry = Entry(declared.url, suites, tuple(declared.components), key_path)
    yield OtherEntries(path, entry)
    if declared.key is not None:
        _check_key(at, name, declared, declared.key)
        yield File(key_path, declared.key.encode())
    else:
        needs = {
            "certificates": any(str(url).startswith("https:") for url in (declared.url, declared.key_url)),
            "gpg": declared.fingerprint is not None,
        }
        tools = {tool: at.flavour.tools[tool] for tool, needed in needs.items() if needed}
        yield Keyring(key_path, str(declared.key_url), declared.fingerprint, tools, at.options.lock_timeout)
    content = at.render(template, uri=declared.url, suites=suites, components=declared.components, signed_by=key_path)
    yield AptSource(path, content, entry)


def _check_key(at: Setting, name: str, declared: Repository, key: str) -> None:
    """A key that stands in the spec is checked here, before any host is touched."""
    try:
        found = fingerprints(key.encode())
    except ValueError as error:
        raise at.error(f"the key {error}", "repositories", name, "key") from error
    if declared.fingerprint is not None and found != [declared.fingerprint]:
        raise at.error(f"the key has the fingerprint {' '.join(found)}", "repositories", name, "fingerprint")
