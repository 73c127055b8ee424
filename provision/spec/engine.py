"""The part of a spec for the engine: its packages, daemon.json, and what the host provides for it."""

# No postponed annotations: with them pydantic would compile and evaluate each annotation at every start.

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from provision.secrets.secret import holds
from provision.spec import values as v


class Proxy(v.Model):
    """How the daemon reaches registries that it cannot reach directly."""

    http: v.ProxyUrl | None = Field(None, description="The proxy's URL; a password in it must be a secret.")
    https: v.ProxyUrl | None = Field(None, description="As http, for https:// registries.")
    no_proxy: list[v.NoProxy] = Field(
        default=[], description="Hosts, domains and networks that are reached without the proxy."
    )
    place: Literal["unit", "daemon"] = Field(
        "unit", description="A drop-in of docker's unit, or the key proxies of daemon.json (from 23.0 on)."
    )

    @model_validator(mode="after")
    def _not_shown(self) -> Self:
        if self.place == "daemon" and self.secret:
            raise ValueError("daemon.json is shown in plans and by docker info; with a password it needs place: unit")
        return self

    @property
    def secret(self) -> bool:
        """True if it contains a password."""
        return holds(f"{self.http}{self.https}")


class Login(v.Model):
    """An account at a registry, for accounts of the host: in their .docker/config.json, 0600."""

    user: v.UserName = Field(description="The account at the registry.")
    password: v.SecretText = Field(description="Its password, as a secret.")
    accounts: list[v.UserName] = Field(default=["root"], description="Accounts of the host that get the login.")


class Registry(v.Model):
    """A registry: the certificates that the daemon trusts and sends (PEM text, or names of files in files/), and the
    login."""

    ca: v.Pem | None = Field(None, description="The authorities that may sign the registry's certificate.")
    authority: v.Option | None = Field(
        None, description="The name of a certificate authority managed by provision, in ca/ next to the playbook."
    )
    cert: v.Pem | None = Field(None, description="The certificate that the daemon shows the registry.")
    key: v.PrivateKey | None = Field(None, description="Its private key; written 0600 and never shown.")
    login: Login | None = Field(None, description="The logins of the host's accounts at the registry.")
    pulls: Annotated[int, Field(ge=1, le=10000)] = Field(
        20, description="How many hosts may pull from it at the same time."
    )

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key need each other")
        if self.ca is not None and self.authority is not None:
            raise ValueError("ca and authority contradict each other")
        return self


class Firewall(v.Model):
    """The host's own firewall around containers."""

    forward: Literal["accept", "drop"] | None = Field(
        None, description="The policy of iptables' FORWARD chain, live and at boot."
    )
    firewalld: bool = Field(False, description="firewalld runs, with a zone for docker's networks.")


class Health(v.Model):
    """The checks after a change of the daemon. If one fails, the host rolls the change back."""

    steady: Annotated[int, Field(ge=0, le=120)] = Field(
        2, description="Seconds that the daemon must run as one process after a change that started it."
    )
    mirrors: bool = Field(False, description="Whether the names of the registry mirrors must resolve on the host.")


class Engine(v.Model):
    """Docker Engine, from Docker's own packages or the distribution's, or as it is installed, and its daemon.json."""

    source: Literal["docker", "distribution", "installed"] | None = Field(
        None,
        description="The source of the packages. Default: Docker, where Docker publishes any. With "
        "`installed` the engine came with the image: provision does not change packages and repositories.",
    )
    package_mirror: v.Url = Field(
        "https://download.docker.com", description="The URL that has linux/debian, linux/centos ..."
    )
    fingerprint: v.Fingerprints = Field(
        default=[],
        description="Fingerprints of the keys that may sign the mirror's packages (one, or a list); any other key is "
        "refused. Default: the keys that Docker publishes.",
    )
    channel: Literal["stable", "test", "nightly"] = Field("stable", description="The channel of the mirror.")
    version: v.Version | None = Field(None, description="A pin for docker-ce and docker-ce-cli.")
    containerd_version: v.Version | None = Field(None, description="A pin for containerd.io.")
    buildx_version: v.Version | None = Field(None, description="A pin for the buildx plugin.")
    compose_version: v.Version | None = Field(None, description="A pin for the compose plugin.")
    hold: bool = Field(
        True, description="Whether pinned packages are held, so that a manual upgrade does not change them."
    )
    plugins: list[Literal["buildx", "compose"]] = Field(
        default=["buildx", "compose"], description="Docker's own plugins that are installed."
    )
    users: list[v.UserName] = Field(default=[], description="Members of the docker group (equal to root's rights).")
    daemon: dict[str, Any] | None = Field(None, description="/etc/docker/daemon.json: exactly these keys.")
    containerd_root: v.AbsolutePath | None = Field(
        None, description="The directory in which containerd stores images and snapshots; data-root does not move them."
    )
    existing_store: Literal["refuse", "leave"] = Field(
        "refuse", description="Whether the run stops when the engine would no longer see its images and containers."
    )
    bridge_change: Literal["refuse", "stop"] = Field(
        "refuse",
        description="What happens where containers run under live-restore, and docker's bridge is to change (`bip`, "
        "`mtu`, `ipv6` ...): the change is refused, or the containers are stopped and started again.",
    )
    proxy: Proxy | None = Field(None, description="How the daemon reaches registries.")
    registries: dict[v.RegistryHost, Registry] = Field(
        default={}, description="Certificates by registry, in /etc/docker/certs.d."
    )
    firewall: Firewall | None = Field(None, description="The host's firewall around containers.")
    health: Health = Field(Health(), description="The checks after a change of the daemon.")

    @model_validator(mode="after")
    def _no_pins(self) -> Self:
        pins = ("version", "containerd_version", "buildx_version", "compose_version")
        given = [name for name in pins if getattr(self, name) is not None]
        if self.source == "installed" and given:
            raise ValueError(f"source: installed leaves packages alone, so {' and '.join(given)} must be left out")
        return self

    @model_validator(mode="after")
    def _json_only(self) -> Self:
        _check_json(self.daemon, "daemon")
        if self.proxy is not None and self.proxy.place == "daemon" and "proxies" in (self.daemon or {}):
            raise ValueError("proxy and daemon.proxies both declare the daemon's proxies")
        return self


def _check_json(value: Any, path: str) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _check_json(item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_json(item, f"{path}[{index}]")
    elif (
        not isinstance(value, (str, int, float, type(None))) or value != value or value in (float("inf"), -float("inf"))
    ):
        raise ValueError(f"{path} is a {type(value).__name__}, which JSON does not support; put it in quotes")
