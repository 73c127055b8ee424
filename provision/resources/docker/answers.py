"""The types of docker's own JSON, as its client prints it for ``docker inspect`` and ``docker info``.

Names and types are those of moby's ``api/types``. Go prints ``null`` for an empty map, list or pointer. The answers are
checked before any of their values is used; fields that are not listed are not used.
"""

from __future__ import annotations

from typing import Annotated, Any, NotRequired, TypedDict

from msgspec import Meta

#: Bytes, nanoseconds and counts: Go's int64, without negative values; -1 means "no limit" in some fields.
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
OrUnlimited = Annotated[int, Meta(ge=-1, le=2**63 - 1)]
#: Seconds until docker kills a container. -1: never.
Seconds = Annotated[int, Meta(ge=-1, le=2**31 - 1)]
#: A port, or a range of ports; empty for one that docker chooses (nat.PortBinding).
Ports = Annotated[str, Meta(pattern=r"\A([0-9]{1,5}(-[0-9]{1,5})?)?\Z")]
#: A port in the container, with its protocol (nat.Port).
Inner = Annotated[str, Meta(pattern=r"\A[0-9]{1,5}/(tcp|udp|sctp)\Z")]
Words = list[str] | None
Pairs = dict[str, str] | None


class Health(TypedDict):
    Test: NotRequired[Words]
    Interval: NotRequired[Count]
    Timeout: NotRequired[Count]
    StartPeriod: NotRequired[Count]
    Retries: NotRequired[Count]


class Config(TypedDict):
    """Of an image and of a container (container/config.go)."""

    User: NotRequired[str]
    Cmd: NotRequired[Words]
    Entrypoint: NotRequired[Words]
    Env: NotRequired[Words]
    WorkingDir: NotRequired[str]
    Hostname: NotRequired[str]
    Labels: NotRequired[Pairs]
    Healthcheck: NotRequired[Health | None]
    StopTimeout: NotRequired[Seconds | None]


class OwnConfig(Config):
    Image: str


class Binding(TypedDict):
    HostIp: NotRequired[str]
    HostPort: NotRequired[Ports]


class Policy(TypedDict):
    Name: NotRequired[str]
    MaximumRetryCount: NotRequired[Count]


class Logs(TypedDict):
    Type: str
    Config: NotRequired[Pairs]


class Mount(TypedDict):
    Target: str
    Source: NotRequired[str]


class HostConfig(TypedDict):
    """container/hostconfig.go."""

    RestartPolicy: Policy
    LogConfig: Logs
    PortBindings: NotRequired[dict[Inner, list[Binding] | None] | None]
    Binds: NotRequired[Words]
    Mounts: NotRequired[list[Mount] | None]
    Tmpfs: NotRequired[Pairs]
    Memory: NotRequired[Count]
    MemorySwap: NotRequired[OrUnlimited]
    NanoCpus: NotRequired[Count]
    PidsLimit: NotRequired[OrUnlimited | None]
    CapAdd: NotRequired[Words]
    CapDrop: NotRequired[Words]
    SecurityOpt: NotRequired[Words]
    Privileged: NotRequired[bool]
    ReadonlyRootfs: NotRequired[bool]
    Init: NotRequired[bool | None]


class ContainerAnswer(TypedDict):
    Image: str
    Status: str
    HostConfig: HostConfig
    Config: OwnConfig
    Name: NotRequired[str]
    Health: NotRequired[str]
    Networks: NotRequired[dict[str, Any] | None]


class ImageAnswer(TypedDict):
    Id: str
    RepoTags: NotRequired[Words]
    RepoDigests: NotRequired[Words]
    Config: NotRequired[Config | None]
    Layers: NotRequired[Words]


class Subnet(TypedDict):
    Subnet: NotRequired[str]
    Gateway: NotRequired[str]


class Ipam(TypedDict):
    Config: NotRequired[list[Subnet] | None]


class NetworkAnswer(TypedDict):
    Name: str
    Driver: str
    Internal: bool
    IPAM: NotRequired[Ipam | None]
    Options: NotRequired[Pairs]
    Labels: NotRequired[Pairs]


class VolumeAnswer(TypedDict):
    Name: str
    Driver: str
    Options: NotRequired[Pairs]
    Labels: NotRequired[Pairs]
