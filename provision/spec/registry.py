"""The part of a spec for a host that is a registry of images."""

# No postponed annotations: with them pydantic would compile and evaluate each annotation at every start.

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from provision.spec import values as v


class Tls(v.Model):
    """The registry's certificate: a given one, or one by the authority that `provision secrets ca` makes."""

    ca: v.Option | None = Field(
        None, description="The name of a certificate authority managed by provision, in ca/ next to the playbook."
    )
    names: list[v.HostName] = Field(default=[], description="Additional names and addresses in its certificate.")
    cert: v.Pem | None = Field(None, description="PEM text (with the chain), or the name of a file in files/.")
    key: v.PrivateKey | None = Field(None, description="Its private key.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key need each other")
        if (self.ca is None) == (self.cert is None):
            raise ValueError("needs either ca, or cert and key")
        return self


class RegistryUser(v.Model):
    """An account that may log in to the registry."""

    password: v.SecretText = Field(description="Its password, as a secret; the host gets its bcrypt hash.")


class Upstream(v.Model):
    """A registry whose images this one serves and caches (docs: registry as a pull-through cache)."""

    url: v.Url = Field(description="The upstream registry, such as https://registry-1.docker.io.")
    user: v.UserName | None = Field(None, description="The account there.")
    password: v.SecretText | None = Field(None, description="Its password, as a secret.")

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password need each other")
        return self


class Collection(v.Model):
    """Garbage collection: removes layers that no image refers to any more. The registry is stopped meanwhile."""

    every: v.Calendar = Field("weekly", description="systemd.time(7): daily, weekly, monthly.")
    untagged: bool = Field(False, description="Remove images without a tag too.")


class PrivateRegistry(v.Model):
    """A registry: the distribution's package (Debian's docker-registry), or the registry's image as a container."""

    name: v.HostName = Field(description="The name (or address) under which hosts reach it.")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(5000, description="The port that it listens on.")
    source: Literal["package", "container"] = Field("package", description="Where the registry comes from.")
    image: v.ImageName = Field("registry:2", description="The image, where source is container.")
    storage: v.AbsolutePath = Field(
        "/var/lib/docker-registry", description="The directory in which the registry stores images."
    )
    delete: bool = Field(True, description="Whether images may be removed over its API.")
    upload_age: v.Duration = Field("168h", description="The age at which unfinished uploads are removed.")
    cache: Annotated[int, Field(ge=0)] = Field(
        10000, description="How many layer descriptors are cached in memory (no limit before version 3.0); 0: none."
    )
    tls: Tls | None = Field(None, description="Without it the registry speaks plain HTTP.")
    users: dict[v.UserName, RegistryUser] = Field(
        default={}, description="Accounts that may log in; without any, every client is served."
    )
    read_only: bool = Field(False, description="Refuse pushes.")
    proxy: Upstream | None = Field(None, description="Make it a pull-through cache of another registry.")
    collect: Collection | None = Field(None, description="When layers that no image uses are removed.")
    debug_port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        None, description="Prometheus' metrics and the health page, on the loopback address."
    )
