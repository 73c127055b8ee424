"""The spec: what a host should have, as typed models. ``provision schema`` prints their JSON Schema."""

# No postponed annotations: with them pydantic would compile and evaluate each annotation at every start.

from pydantic import Field

from provision.spec import values as v
from provision.spec.containers import Build, Compose, Container, Image, Network, Prune, Volume
from provision.spec.engine import Engine, Health, Login, Proxy, Registry
from provision.spec.registry import PrivateRegistry
from provision.spec.system import File, Package, Packages, Repository, Service, User

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


class Spec(v.Model):
    """The desired state of a host. Everything that is not declared is left unchanged."""

    hostname: v.MachineName | None = Field(
        None, description="The host's name: live, in /etc/hostname, and resolvable through /etc/hosts."
    )
    packages: Packages = Field(default={}, description="Packages: a list of names, or a mapping of names to versions.")
    repositories: dict[v.RepositoryName, Repository] = Field(default={}, description="Package repositories by name.")
    sysctl: dict[v.SysctlKey, v.SysctlValue] = Field(default={}, description="Kernel settings, live and at boot.")
    modules: list[v.ModuleName] = Field(default=[], description="Kernel modules, loaded now and at boot.")
    files: dict[v.AbsolutePath, File] = Field(default={}, description="Files by path.")
    users: dict[v.UserName, User] = Field(default={}, description="Accounts by name.")
    services: dict[v.UnitName, Service] = Field(default={}, description="Services by unit name.")
    engine: Engine | None = Field(None, description="Docker Engine; `{}` is enough to install it.")
    registry: PrivateRegistry | None = Field(None, description="Makes this host a registry of images.")
    networks: dict[v.ObjectName, Network] = Field(default={}, description="Docker networks by name.")
    volumes: dict[v.LongerName, Volume] = Field(default={}, description="Docker volumes by name.")
    images: dict[v.ImageName, Image] = Field(default={}, description="Images by name and tag.")
    containers: dict[v.LongerName, Container] = Field(default={}, description="Containers by name.")
    compose: dict[v.ProjectName, Compose] = Field(default={}, description="Compose projects by name.")
    prune: Prune | None = Field(None, description="When the host itself removes unused images.")
    risky: list[v.AbsolutePath | v.UnitName] = Field(
        default=[],
        description="Paths (and what is below them) and services whose change must be confirmed by a new login.",
    )
