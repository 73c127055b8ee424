"""The spec: what a host should be, as typed models. Its JSON Schema is what ``provision schema`` prints."""

# No postponed annotations: pydantic would compile and evaluate each of them at every start.

from pydantic import Field

from provision.spec.containers import Build, Compose, Container, Image, Network, Prune, Volume
from provision.spec.engine import Engine, Health, Login, Proxy, Registry
from provision.spec.registry import PrivateRegistry
from provision.spec.system import File, Package, Packages, Repository, Service, User
from provision.spec.values import (
    AbsolutePath,
    ImageName,
    LongerName,
    MachineName,
    Model,
    ModuleName,
    ObjectName,
    ProjectName,
    RepositoryName,
    SysctlKey,
    SysctlValue,
    UnitName,
    UserName,
)

__all__ = [
    "Build",
    "Compose",
    "Container",
    "Engine",
    "File",
    "Health",
    "Image",
    "Login",
    "Network",
    "Package",
    "PrivateRegistry",
    "Proxy",
    "Prune",
    "Registry",
    "Repository",
    "Service",
    "Spec",
    "User",
    "Volume",
]


class Spec(Model):
    """What a host should be. Everything that is not declared is left alone."""

    hostname: MachineName | None = None
    packages: Packages = {}
    repositories: dict[RepositoryName, Repository] = {}
    sysctl: dict[SysctlKey, SysctlValue] = {}
    modules: list[ModuleName] = Field(default=[], description="Kernel modules, loaded now and at boot.")
    files: dict[AbsolutePath, File] = {}
    users: dict[UserName, User] = {}
    services: dict[UnitName, Service] = {}
    engine: Engine | None = None
    registry: PrivateRegistry | None = Field(None, description="Makes this host a registry of images.")
    networks: dict[ObjectName, Network] = {}
    volumes: dict[LongerName, Volume] = {}
    images: dict[ImageName, Image] = {}
    containers: dict[LongerName, Container] = {}
    compose: dict[ProjectName, Compose] = {}
    prune: Prune | None = Field(None, description="Which images nobody uses go by themselves.")
    risky: list[AbsolutePath | UnitName] = Field(
        default=[],
        description="Paths (and what is below them) and services whose change must be confirmed by coming in anew.",
    )
