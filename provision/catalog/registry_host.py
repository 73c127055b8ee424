"""A host that is a registry: its configuration, certificates, accounts and clean-up, and the service that serves it.

The configuration follows distribution's docs/configuration.md. Debian's package runs it as ``docker-registry``.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

from provision import spec
from provision.catalog.context import REGISTRY_FOLDER, REGISTRY_READS, REGISTRY_UNIT, CompileContext
from provision.catalog.files import given
from provision.catalog.objects import image, timer
from provision.errors import UsageError
from provision.model import Resource
from provision.resources.docker.container import Container
from provision.resources.folder import Folder
from provision.resources.obstacle import Obstacle
from provision.resources.port import Listening
from provision.secrets import secret
from provision.secrets.authority import Wanted
from provision.spec import PrivateRegistry
from provision.text.formats import YAML

#: The account that Debian's package creates.
_ACCOUNT = "docker-registry"
_CONFIG = f"{REGISTRY_FOLDER}/config.yml"
#: The directory of the data in the registry's image (distribution/distribution, Dockerfile).
_INSIDE = "/var/lib/registry"


def registry_files(ctx: CompileContext) -> Iterator[Resource]:
    """After the packages, because the package creates its account."""
    declared = ctx.spec.registry
    if declared is None:
        return
    if declared.source == "package" and not ctx.platform.family.startswith("apt"):
        yield Obstacle(
            "registry", f"{ctx.platform.name} has no package {REGISTRY_UNIT}; set registry.source: container"
        )
        return
    group = "root" if declared.source == "container" else _ACCOUNT
    owner = group
    for part in declared.storage, REGISTRY_FOLDER:
        yield Folder(part, owner if part == declared.storage else "root", group, "0750")
    for name, (content, hidden) in _files(ctx, declared).items():
        mode = "0640" if hidden else "0644"
        yield ctx.file(f"{REGISTRY_FOLDER}/{name}", content, group=group, mode=mode, secret=hidden)


def registry_container(ctx: CompileContext) -> Iterator[Resource]:
    """Before all other containers: their images may come from this registry."""
    declared = ctx.spec.registry
    if declared is None or declared.source != "container":
        return
    if UNIT_NAME in ctx.spec.containers:
        raise ctx.error("registry declares this container too", "containers", UNIT_NAME)
    shown = [content for content, hidden in _files(ctx, declared).values() if not hidden]
    # Compared with the label that an earlier process of provision has set.
    whole = hashlib.sha256(b"".join(secret.stable_bytes(content) for content in shown)).hexdigest()
    yield image(ctx, declared.image)
    yield Container(
        UNIT_NAME,
        spec.Container(
            image=declared.image,
            command=["serve", _CONFIG],
            ports=[f"{declared.port}:{declared.port}"],
            volumes=[f"{REGISTRY_FOLDER}:{REGISTRY_FOLDER}:ro", f"{declared.storage}:{_INSIDE}"],
            # The registry reads its files when it starts: the label changes with them, so the container is replaced.
            labels={"files": whole[:16]},
        ),
    )


UNIT_NAME = "registry"


def _files(ctx: CompileContext, declared: PrivateRegistry) -> dict[str, tuple[bytes, bool]]:
    """Name -> content, and whether it is a secret."""
    storage = _INSIDE if declared.source == "container" else declared.storage
    proxy = declared.proxy
    password = ctx.written(proxy.password, YAML, "registry", "proxy", "password") if proxy and proxy.password else ""
    config = ctx.render_private(
        "registry/config.yml.j2", registry=declared, storage=storage, folder=REGISTRY_FOLDER, password=password
    )
    found = {"config.yml": (config, secret.holds(config))}
    if declared.users:
        lines = []
        for user, one in declared.users.items():
            hashed = secret.derived(f"htpasswd_{user}", one.password, _bcrypt(declared.name, user))
            lines.append(f"{user}:{hashed}\n")
        found["htpasswd"] = ("".join(lines).encode(), True)
    tls = declared.tls
    if tls is not None and tls.ca is not None:
        certificate, key = given(ctx, Wanted(tls.ca, declared.name, tuple(tls.names)))
        found["tls.crt"], found["tls.key"] = (certificate, False), (f"{key}\n".encode(), True)
    elif tls is not None and tls.cert is not None and tls.key is not None:
        found["tls.crt"] = ctx.pem(tls.cert, "registry", "tls", "cert"), False
        found["tls.key"] = ctx.pem(tls.key, "registry", "tls", "key"), True
    return found


#: bcrypt ignores the bytes of a password after this number, so a longer password would not be stronger.
_BCRYPT = 72


def _bcrypt(registry: str, user: str) -> secret.Derivation:
    """htpasswd's bcrypt. The same password always gets the same hash, because the file is compared by its content. A
    salt need not be secret: it must only differ between accounts."""

    salt = f"{registry}\0{user}"

    def hashed(password: str) -> str:
        import bcrypt

        data = password.encode("utf-8", "surrogateescape")
        if len(data) > _BCRYPT or b"\0" in data:
            key = f"spec.registry.users.{user}.password"
            raise UsageError(f"{key} must have {_BCRYPT} bytes at most, and no NUL (bcrypt)")
        digest = hashlib.sha256(f"provision htpasswd\0{salt}".encode()).digest()[:16]
        # bcrypt's own base64 alphabet (22 characters, of which the last one carries only two bits).
        bcrypt_alphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
        base64_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        text = base64.b64encode(digest).decode().rstrip("=").translate(str.maketrans(base64_alphabet, bcrypt_alphabet))
        return bcrypt.hashpw(data, f"$2b$10${text}".encode()).decode().replace("$2b$", "$2y$", 1)

    return secret.Derivation("bcrypt", salt, hashed, one_way=True)


def registry_answers(ctx: CompileContext) -> Iterator[Resource]:
    """The resources after this one may need the registry."""
    if ctx.spec.registry is not None:
        read = tuple(f"{REGISTRY_FOLDER}/{name}" for name in REGISTRY_READS)
        unit = REGISTRY_UNIT if ctx.spec.registry.source == "package" else UNIT_NAME
        yield Listening(ctx.spec.registry.port, unit, read)


def registry_collection(ctx: CompileContext) -> Iterator[Resource]:
    declared = ctx.spec.registry
    if declared is None or declared.collect is None:
        return
    collect = f"garbage-collect{' --delete-untagged' if declared.collect.untagged else ''} {_CONFIG}"
    if declared.source == "container":
        steps = (
            f"ExecStart=/usr/bin/docker stop {UNIT_NAME}",
            f"ExecStart=/usr/bin/docker run --rm --volumes-from {UNIT_NAME} {declared.image} {collect}",
            f"ExecStopPost=/usr/bin/docker start {UNIT_NAME}",
        )
    else:
        # An upload during the collection would be lost (distribution, docs/garbage-collection.md): stop the registry.
        steps = (
            f"ExecStart=/usr/bin/systemctl stop {REGISTRY_UNIT}",
            f"ExecStart=/usr/sbin/runuser -u {_ACCOUNT} -- /usr/bin/docker-registry {collect}",
            f"ExecStopPost=/usr/bin/systemctl start {REGISTRY_UNIT}",
        )
    yield from timer(
        ctx, "provision-registry-collect", "Remove layers that no image uses", declared.collect.every, steps
    )
