"""The part of a spec for what runs in the engine: networks, volumes, images, containers, compose projects."""

# No postponed annotations: with them pydantic would compile and evaluate each annotation at every start.

from ipaddress import ip_address, ip_interface, ip_network
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from provision.spec import values as v


class Network(v.Model):
    """A Docker network. It cannot be changed in place: it is replaced, and its containers join the new one."""

    driver: v.Option = Field("bridge", description="The network driver.")
    subnet: v.Cidr | None = Field(None, description="Its address range; default: docker's choice.")
    gateway: v.Address | None = Field(None, description="The host's address in it.")
    internal: bool = Field(False, description="Without access to other networks.")
    options: dict[v.Option, v.Text] = Field(default={}, description="Options of the driver.")
    labels: dict[v.Label, v.Text] = Field(default={}, description="Labels.")
    absent: bool = Field(False, description="Remove the network.")

    @model_validator(mode="after")
    def _within(self) -> Self:
        if self.gateway is not None and self.subnet is None:
            raise ValueError("gateway needs subnet")
        if self.subnet is None:
            return self
        try:
            network = ip_network(self.subnet, strict=False)
            gateway = ip_address(self.gateway) if self.gateway is not None else None
        except ValueError as error:
            raise ValueError(str(error)) from error
        if str(network) != self.subnet and ip_interface(self.subnet).ip != network.network_address:
            raise ValueError(f"subnet {self.subnet} is an address in a network", f"the network is {network}")
        if gateway is not None and gateway not in network:
            raise ValueError(f"gateway {gateway} is outside of the subnet {network}")
        return self


class Volume(v.Model):
    """A volume. Only `absent` removes its data."""

    driver: v.Option = Field("local", description="The volume driver.")
    options: dict[v.Option, v.Text] = Field(default={}, description="Options of the driver.")
    labels: dict[v.Label, v.Text] = Field(default={}, description="Labels.")
    absent: bool = Field(False, description="Remove it with all its data; a rollback cannot restore the data.")


class Build(v.Model):
    """An image that the host builds from a directory on the controller."""

    folder: str = Field(description="A directory next to the playbook (or in files/); its .dockerignore counts.")
    dockerfile: str = Field("Dockerfile", description="The Dockerfile's name in the directory.")
    args: dict[v.Variable, v.Text] = Field(default={}, description="Build arguments.")
    target: v.Option | None = Field(None, description="The stage to build.")


class Image(v.Model):
    """An image: from a registry, from an archive on the controller, built on the host, or absent."""

    digest: v.Digest | None = Field(None, description="A pin; overrides the lock file.")
    moved: Literal["pull", "ignore"] = Field(
        "pull",
        description="Whether a tag without a pin is compared with its registry, and pulled again when it has changed.",
    )
    archive: str | None = Field(None, description="A file of docker save, in files/ next to the playbook.")
    build: Build | None = Field(None, description="Build it on the host.")
    push: bool = Field(
        False, description="Push it; hosts that use this image are processed after this one, and get it by its digest."
    )
    absent: bool = Field(False, description="Remove the name.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in ("digest", "archive", "build", "absent") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} contradict each other")
        if self.push and not (self.archive or self.build):
            raise ValueError("push needs build or archive: an image from a registry is already there")
        return self


class HealthCheck(v.Model):
    """How docker checks that a container is healthy (docs.docker.com: HEALTHCHECK)."""

    command: v.Text | list[v.Text] = Field(
        description="Text for the container's shell, or a list of words; none disables the image's own check."
    )
    interval: v.Duration = Field("30s", description="Time between two checks.")
    timeout: v.Duration = Field("30s", description="Time that one check may take.")
    start_period: v.Duration = Field("0s", description="Time after the start in which failures do not count.")
    retries: Annotated[int, Field(ge=1, le=100)] = Field(3, description="Failures in a row that make it unhealthy.")


#: moby, daemon/daemon_unix.go, linuxMinMemory.
_LEAST_MEMORY = 6 * 1024**2


class Log(v.Model):
    """Where the output of a container goes."""

    driver: v.Option = Field("json-file", description="The logging driver.")
    options: dict[v.Option, v.Text] = Field(default={}, description="Its options, such as max-size.")


class Container(v.Model):
    """A container. A field that is not declared has the value of the image or of docker. A change replaces the
    container. If the new one is not healthy, the old one is started again."""

    image: v.ImageName | None = Field(None, description="Its image; required unless absent.")
    command: v.Argv | None = Field(None, description="Its command; default: the image's.")
    entrypoint: v.Argv | None = Field(None, description="Its entrypoint; default: the image's.")
    environment: dict[v.Variable, v.Value] = Field(
        default={}, description="Secrets are never arguments of a process; docker inspect shows them to root."
    )
    ports: list[v.Port] = Field(default=[], description="Published ports.")
    volumes: list[v.Bind] = Field(default=[], description="Volumes and directories of the host.")
    tmpfs: list[v.Tmpfs] = Field(
        default=[], description="Paths of temporary file systems, with mount options after a colon: /run:size=64m."
    )
    networks: list[v.ObjectName] = Field(default=[], description="The default bridge, when none is given.")
    hostname: v.MachineName | None = Field(None, description="Its host name.")
    user: v.Text | None = Field(None, description="The user that it runs as.")
    workdir: v.AbsolutePath | None = Field(None, description="Its working directory.")
    memory: v.Size | None = Field(None, description="Its memory limit.")
    memory_swap: v.Size | None = Field(
        None, description="The limit of memory and swap together; equal to memory: no swap."
    )
    cpus: Annotated[float, Field(gt=0)] | Annotated[int, Field(gt=0)] | None = Field(
        None, description="Its CPU limit, such as 0.5."
    )
    pids: Annotated[int, Field(gt=0)] | None = Field(None, description="Its limit of processes.")
    restart: Literal["no", "always", "unless-stopped", "on-failure"] = Field(
        "unless-stopped", description="When dockerd restarts it."
    )
    log: Log | None = Field(None, description="Where its output is written; default: the daemon's log driver.")
    cap_add: list[v.Capability] = Field(default=[], description="Additional capabilities.")
    cap_drop: list[v.Capability] = Field(default=[], description="Capabilities to drop.")
    security: list[v.Text] = Field(default=[], description="Security options such as no-new-privileges.")
    privileged: bool = Field(False, description="Give it root's rights on the host.")
    read_only: bool = Field(False, description="Make its root file system read-only.")
    init: bool = Field(False, description="Run an init process in it (docker run --init).")
    stop_timeout: Annotated[int, Field(ge=0, le=3600)] | None = Field(
        None, description="Seconds between SIGTERM and SIGKILL; docker's default: 10."
    )
    health: HealthCheck | None = Field(None, description="Its health check; default: the image's.")
    labels: dict[v.Label, v.Text] = Field(default={}, description="Labels.")
    running: bool = Field(True, description="Whether it runs.")
    steady: Annotated[int, Field(ge=0, le=600)] = Field(
        2, description="Seconds that a container without a health check must run to count as healthy."
    )
    within: Annotated[int, Field(ge=1, le=3600)] = Field(
        120, description="Seconds within which a new container must be healthy."
    )
    adopt: bool = Field(False, description="Replace a third-party container of this name.")
    absent: bool = Field(False, description="Stop and remove it; its volumes stay.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.absent == (self.image is not None):
            raise ValueError("absent allows no image" if self.absent else "needs image (or absent)")
        if self.memory is not None and 0 < v.in_bytes(self.memory) < _LEAST_MEMORY:
            raise ValueError(f"memory {self.memory} is less than docker allows", "at least 6m")
        if self.memory_swap is not None and self.memory is None:
            raise ValueError("memory_swap needs memory")
        if self.memory and self.memory_swap and v.in_bytes(self.memory_swap) < v.in_bytes(self.memory):
            message = f"memory_swap {self.memory_swap} is less than memory {self.memory}"
            raise ValueError(message, "it is the limit of memory and swap together")
        if len(self.networks) > 1 and {"host", "none"} & set(self.networks):
            raise ValueError("the networks host and none allow no other network")
        if self.ports and self.networks in (["host"], ["none"]):
            raise ValueError(f"ports can't be published on the network {self.networks[0]}")
        if reserved := [name for name in self.labels if name.startswith("provision.")]:
            raise ValueError(f"the label {reserved[0]} is reserved for provision")
        return self


class Compose(v.Model):
    """A project of docker compose: its file, and the variables for it."""

    content: v.Content | None = Field(None, description="The text of the compose file.")
    template: str | None = Field(None, description="A jinja2 template in templates/ that makes the compose file.")
    src: str | None = Field(None, description="A compose file in files/ next to the playbook.")
    environment: dict[v.Variable, v.Value] = Field(
        default={}, description="For ${NAME} in the file; kept next to it, readable by root only."
    )
    within: Annotated[int, Field(ge=1, le=3600)] = Field(
        120, description="Seconds within which all services must be healthy."
    )
    absent: bool = Field(False, description="Stop and remove it; its volumes stay.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in ("content", "template", "src") if getattr(self, name) is not None]
        if self.absent and given:
            raise ValueError(f"absent allows no {given[0]}")
        if not self.absent and len(given) != 1:
            raise ValueError("needs one of content, template and src")
        return self


class Prune(v.Model):
    """A timer on the host removes images that no container uses and no spec names."""

    after: v.Duration = Field("168h", description="Time since the image was pulled or tagged.")
    free: v.Size | None = Field(None, description="Only where less than this is free at data-root.")
    every: v.Calendar = Field("daily", description="How often: daily, weekly, hourly (systemd.time(7)).")
