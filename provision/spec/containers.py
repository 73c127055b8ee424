"""What a spec says of what runs in the engine: networks, volumes, images, containers, compose projects."""

# No postponed annotations: pydantic would compile and evaluate each of them at every start.

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from provision.spec.values import (
    AbsolutePath,
    Address,
    Argv,
    Bind,
    Capability,
    Cidr,
    Content,
    Digest,
    Duration,
    ImageName,
    Label,
    MachineName,
    Model,
    ObjectName,
    Option,
    Port,
    Size,
    Text,
    Tmpfs,
    Value,
    Variable,
)


class Network(Model):
    """A network of docker's. It can't be changed in place: it is made anew, and its containers join it again."""

    driver: Option = "bridge"
    subnet: Cidr | None = None
    gateway: Address | None = None
    internal: bool = Field(False, description="Without a way out.")
    options: dict[Option, Text] = {}
    labels: dict[Label, Text] = {}
    absent: bool = False

    @model_validator(mode="after")
    def _within(self) -> Self:
        if self.gateway is not None and self.subnet is None:
            raise ValueError("gateway needs subnet")
        return self


class Volume(Model):
    """A volume. What is in it is removed by `absent` and by nothing else."""

    driver: Option = "local"
    options: dict[Option, Text] = {}
    labels: dict[Label, Text] = {}
    absent: bool = Field(False, description="Remove it, with all that is in it; no rollback brings that back.")


class Build(Model):
    """An image built on the host, of a folder of the controller's."""

    folder: str = Field(description="A folder beside the playbook (or in files/); its .dockerignore counts.")
    dockerfile: str = "Dockerfile"
    args: dict[Variable, Text] = {}
    target: Option | None = None


class Image(Model):
    """An image: from a registry, from an archive of the controller's, built, or absent."""

    digest: Digest | None = Field(None, description="A pin; goes before that of the lock file.")
    moved: Literal["pull", "ignore"] = Field(
        "pull", description="Whether a tag without a pin is compared with its registry, and pulled where it moved."
    )
    archive: str | None = Field(None, description="What docker save has written, in files/ beside the playbook.")
    build: Build | None = None
    push: bool = Field(False, description="Push it; hosts that use this image come after this one, by its digest.")
    absent: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in ("digest", "archive", "build", "absent") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} contradict each other")
        if self.push and not (self.archive or self.build):
            raise ValueError("push needs build or archive: what is from a registry is there already")
        return self


class HealthCheck(Model):
    """How docker sees that a container is well (docs.docker.com: HEALTHCHECK)."""

    command: Text | list[Text] = Field(
        description="Text for the container's shell, or a list of words; none switches the image's own check off."
    )
    interval: Duration = "30s"
    timeout: Duration = "30s"
    start_period: Duration = "0s"
    retries: Annotated[int, Field(ge=1, le=100)] = 3


class Log(Model):
    driver: Option = "json-file"
    options: dict[Option, Text] = {}


class Container(Model):
    """A container. What is not declared is as docker or the image has it; a change makes it anew, and what was there
    serves again unless the new one is well."""

    image: ImageName | None = None
    command: Argv | None = None
    entrypoint: Argv | None = None
    environment: dict[Variable, Value] = Field(
        default={}, description="Secrets never stand in an argument; docker inspect shows them to root."
    )
    ports: list[Port] = []
    volumes: list[Bind] = []
    tmpfs: list[Tmpfs] = Field(default=[], description="Paths, with mount options after a colon: /run:size=64m.")
    networks: list[ObjectName] = Field(default=[], description="docker's own bridge when none is given.")
    hostname: MachineName | None = None
    user: Text | None = None
    workdir: AbsolutePath | None = None
    memory: Size | None = None
    memory_swap: Size | None = Field(None, description="Memory and swap together; as much as memory: no swap.")
    cpus: Annotated[float, Field(gt=0)] | Annotated[int, Field(gt=0)] | None = None
    pids: Annotated[int, Field(gt=0)] | None = None
    restart: Literal["no", "always", "unless-stopped", "on-failure"] = "unless-stopped"
    log: Log | None = None
    cap_add: list[Capability] = []
    cap_drop: list[Capability] = []
    security: list[Text] = Field(default=[], description="Security options such as no-new-privileges.")
    privileged: bool = False
    read_only: bool = False
    init: bool = False
    stop_timeout: Annotated[int, Field(ge=0, le=3600)] | None = None
    health: HealthCheck | None = None
    labels: dict[Label, Text] = {}
    running: bool = True
    steady: Annotated[int, Field(ge=0, le=600)] = Field(
        2, description="Seconds that a container without a health check must run to count as well."
    )
    within: Annotated[int, Field(ge=1, le=3600)] = Field(
        120, description="Seconds within which a new container must be well."
    )
    adopt: bool = Field(False, description="Replace a container of this name that somebody else made.")
    absent: bool = False

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.absent == (self.image is not None):
            raise ValueError("absent goes with no image" if self.absent else "needs image (or absent)")
        if self.memory_swap is not None and self.memory is None:
            raise ValueError("memory_swap needs memory")
        if len(self.networks) > 1 and {"host", "none"} & set(self.networks):
            raise ValueError("host and none stand alone among the networks")
        if self.ports and self.networks in (["host"], ["none"]):
            raise ValueError(f"ports can't be published on the network {self.networks[0]}")
        if reserved := [name for name in self.labels if name.startswith("provision.")]:
            raise ValueError(f"the label {reserved[0]} is one of ours")
        return self


class Compose(Model):
    """A project of docker compose's: its file, and the variables that it is rendered with."""

    content: Content | None = None
    template: str | None = None
    src: str | None = Field(None, description="A compose file in files/ beside the playbook.")
    environment: dict[Variable, Value] = Field(
        default={}, description="For ${NAME} in the file; kept beside it, readable by root only."
    )
    within: Annotated[int, Field(ge=1, le=3600)] = Field(120, description="Seconds within which all must be well.")
    absent: bool = Field(False, description="Down, without its volumes.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in ("content", "template", "src") if getattr(self, name) is not None]
        if self.absent and given:
            raise ValueError(f"absent goes with no {given[0]}")
        if not self.absent and len(given) != 1:
            raise ValueError("needs one of content, template and src")
        return self


class Prune(Model):
    """Images that no container uses and no spec names go, by a timer of the host's."""

    after: Duration = Field("168h", description="Time since the image was pulled or tagged.")
    free: Size | None = Field(None, description="Only where less than this is free at data-root.")
    every: Option = Field("daily", description="systemd.time(7): daily, weekly, hourly.")
