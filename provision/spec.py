"""The spec: what a host should be, as typed models. Its JSON Schema is what ``provision schema`` prints.

Values are checked here so strictly that nothing a shell could trip over ever gets further: a name that may
stand on a command line has the alphabet that its own tool allows (useradd(8), sysctl(8), deb-version(7)).
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic.functional_validators import AfterValidator

from provision.secret import hidden, holds


class _Model(BaseModel):
    # Built at first use: only the outermost model ever validates anything.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


def _pattern(expression: str, what: str) -> AfterValidator:
    compiled = re.compile(expression)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"{value!r} is not {what}")
        return value

    return AfterValidator(check)


def _absolute(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError(f"{value!r} is not an absolute path (it must begin with /)")
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise ValueError(f"{value!r} holds control characters")
    if ".." in PurePosixPath(value).parts or str(PurePosixPath(value)) != value:
        raise ValueError(f"{value!r} is not in its shortest form (no .., no //, no / at the end)")
    return value


def _octal(value: Any) -> Any:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not re.fullmatch(r"0?[0-7]{3,4}", text) or int(text, 8) > 0o7777:
        raise ValueError(f"{value!r} is not an octal mode such as 0644")
    return f"{int(text, 8):04o}"


def _sysctl_value(value: Any) -> Any:
    if isinstance(value, bool):
        return str(int(value))
    text = str(value) if isinstance(value, int) else value
    if isinstance(text, str) and not re.fullmatch(r"[^\x00-\x1f\x7f]+", text):
        raise ValueError("must be one line of text")
    return " ".join(text.split()) if isinstance(text, str) else text


def _fingerprint(value: str) -> str:
    packed = re.sub(r"[\s:]", "", value).upper()
    if not re.fullmatch(r"[0-9A-F]{40}|[0-9A-F]{64}", packed):
        raise ValueError("must be the whole fingerprint: 40 (or 64) hexadecimal digits, blanks allowed")
    return packed


def _host_name(value: str) -> str:
    label = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    if len(value) > 253 or not re.fullmatch(rf"{label}(\.{label})*", value):
        raise ValueError(f"{value!r} is not a host name (RFC 1123: letters, digits, hyphens and dots)")
    return value


def _url(value: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~%/+\-]*)?", value):
        raise ValueError(f"{value!r} is not an http:// or https:// URL without credentials, query or blanks")
    return value.rstrip("/")


def _proxy_url(value: str) -> str:
    scheme, separator, rest = value.partition("://")
    credentials, at, address = rest.rpartition("@")
    if not at:
        return _url(value)
    user, colon, password = credentials.partition(":")
    if not re.fullmatch(r"[A-Za-z0-9._~%-]+", user) or (colon and not hidden(password)):
        raise ValueError("takes its password as a secret: http://USER:{{ a_variable_that_is_!secret }}@HOST:PORT")
    _url(f"{scheme}{separator}{address}")
    return value


def _line(value: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in value) or ":" in value:
        raise ValueError("must be one line without a colon")
    return value


def _host_or_network(value: str) -> str:
    if not re.fullmatch(r"\*|[A-Za-z0-9.*:/\[\]-]+", value):
        raise ValueError(f"{value!r} is not a host, domain, address or network")
    return value


def _pem_or_name(value: str) -> str:
    begun = value.lstrip().startswith("-----BEGIN ")
    if begun and "-----END " not in value:
        raise ValueError("is PEM that breaks off: it has no END line")
    if not begun and ("\n" in value or not value):
        raise ValueError("must be PEM text (-----BEGIN ...) or the name of a file in files/")
    return value


AbsolutePath = Annotated[str, AfterValidator(_absolute)]
Mode = Annotated[str, BeforeValidator(_octal, json_schema_input_type=str | int)]
Url = Annotated[str, AfterValidator(_url)]
ProxyUrl = Annotated[str, AfterValidator(_proxy_url)]
Fingerprint = Annotated[str, AfterValidator(_fingerprint)]
HostName = Annotated[str, AfterValidator(_host_name)]
SysctlValue = Annotated[str, BeforeValidator(_sysctl_value, json_schema_input_type=str | int | bool)]
UserName = Annotated[str, _pattern(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}", "a user or group name (letters, digits, _ . -)")]
SysctlKey = Annotated[
    str, _pattern(r"[A-Za-z0-9_-]+([./][A-Za-z0-9_:@-]+)+", "a sysctl key such as net.ipv4.ip_forward")
]
ModuleName = Annotated[str, _pattern(r"[A-Za-z0-9_-]{1,55}", "the name of a kernel module")]
PackageName = Annotated[str, _pattern(r"[A-Za-z0-9][A-Za-z0-9.+_-]*", "the name of a package")]
Version = Annotated[str, _pattern(r"[A-Za-z0-9][A-Za-z0-9.+~:-]*", "a version such as 26.1.5")]
UnitName = Annotated[str, _pattern(r"[A-Za-z0-9][A-Za-z0-9:_.@-]*", "the name of a service")]
RepositoryName = Annotated[str, _pattern(r"[A-Za-z0-9][A-Za-z0-9_-]*", "a repository's name (letters, digits, _ -)")]
Word = Annotated[str, _pattern(r"[A-Za-z0-9][A-Za-z0-9._/+-]*", "a word without blanks")]
NoProxy = Annotated[str, AfterValidator(_host_or_network)]
Pem = Annotated[str, AfterValidator(_pem_or_name)]
RegistryHost = Annotated[
    str, _pattern(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?", "a registry (host, or host:port)")
]
Line = Annotated[str, StringConstraints(max_length=200), AfterValidator(_line)]


class Package(_Model):
    """One package: installed (at any version unless pinned) or absent."""

    version: Version | None = Field(None, description="A pin: the whole version, or its beginning up to a separator.")
    hold: bool = Field(True, description="Whether a pinned package is held, so that nobody's upgrade moves it.")
    absent: bool = False


class Repository(_Model):
    """A package repository with the key that signs it."""

    url: Url
    suites: list[Word] = Field(default=[], description="Suites; the host's own codename when empty.")
    components: list[Word] = Field(default=["main"], min_length=1)
    key_url: Url | None = Field(None, description="Where the host fetches the signing key.")
    key: str | None = Field(
        None, description="The signing key itself, ASCII-armoured; or `host`: one that the host trusts already (apk)."
    )
    fingerprint: Fingerprint | None = Field(None, description="The key's fingerprint; another key is refused.")

    @model_validator(mode="after")
    def _one_key(self) -> Repository:
        if (self.key_url is None) == (self.key is None):
            raise ValueError("needs either key_url or key")
        if self.key is not None and self.key != "host" and "-----BEGIN PGP PUBLIC KEY BLOCK-----" not in self.key:
            raise ValueError("key must be an ASCII-armoured PGP public key block")
        return self


class File(_Model):
    """A file with exactly these bytes, from one of content, template and src; or none at all."""

    content: str | None = None
    template: str | None = Field(
        None, description="A jinja2 template in templates/ beside the playbook, or a shipped one."
    )
    src: str | None = Field(
        None, description="A file in files/ beside the playbook (or an absolute path), byte for byte."
    )
    owner: UserName = "root"
    group: UserName = "root"
    mode: Mode = "0644"
    absent: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> File:
        given = [name for name in ("content", "template", "src") if getattr(self, name) is not None]
        if self.absent and given:
            raise ValueError(f"absent goes with no {given[0]}")
        if not self.absent and len(given) != 1:
            raise ValueError(
                "needs one of content, template and src" + (f", not {' and '.join(given)}" if given else "")
            )
        return self


class User(_Model):
    """A user account. Membership in ``groups`` is added, other memberships are left alone."""

    uid: Annotated[int, Field(ge=0, le=4294967294)] | None = None
    groups: list[UserName] = []
    shell: AbsolutePath | None = None
    home: AbsolutePath | None = None
    comment: Line | None = None
    system: bool = False
    absent: bool = Field(False, description="Remove the account; its home stays.")


class Service(_Model):
    """A service of the host's service manager. What is not given is left alone."""

    enabled: bool | None = None
    running: bool | None = None
    watch: list[AbsolutePath] = Field(default=[], description="Files whose change it must load.")
    on_change: Literal["restart", "reload"] = "restart"


class Proxy(_Model):
    """How the daemon reaches registries, where it can't do so directly."""

    http: ProxyUrl | None = Field(None, description="A password in it must be a secret.")
    https: ProxyUrl | None = None
    no_proxy: list[NoProxy] = Field(default=[], description="Hosts, domains and networks that need no proxy.")
    place: Literal["unit", "daemon"] = Field(
        "unit", description="A drop-in of docker's unit, or the key proxies of daemon.json (from 23.0 on)."
    )

    @model_validator(mode="after")
    def _not_shown(self) -> Proxy:
        if self.place == "daemon" and self.secret:
            raise ValueError("daemon.json is shown in plans and by docker info; with a password it needs place: unit")
        return self

    @property
    def secret(self) -> bool:
        """Whether a password is in it."""
        return holds(f"{self.http}{self.https}")


class Registry(_Model):
    """What the daemon shows a registry, and believes of it: PEM text, or names of files in files/."""

    ca: Pem | None = Field(None, description="The authorities that may sign the registry's certificate.")
    cert: Pem | None = Field(None, description="The certificate that the daemon shows the registry.")
    key: Pem | None = Field(None, description="Its private key; written 0600 and never shown.")

    @model_validator(mode="after")
    def _both(self) -> Registry:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key go together")
        if self.ca is None and self.cert is None:
            raise ValueError("needs ca, or cert and key")
        return self


class Firewall(_Model):
    """The host's own firewall around containers."""

    forward: Literal["accept", "drop"] | None = Field(
        None, description="The policy of iptables' FORWARD chain, live and at boot."
    )
    firewalld: bool = Field(False, description="firewalld runs, with a zone for docker's networks.")


class Health(_Model):
    """What must hold after a change of the daemon, or the host puts the change back."""

    steady: Annotated[int, Field(ge=0, le=120)] = Field(
        2, description="Seconds that a daemon must have run, as one and the same process, to count as started."
    )
    mirrors: bool = Field(False, description="Whether the names of the registry mirrors must resolve on the host.")


class Engine(_Model):
    """Docker Engine, from Docker's own packages or the distribution's, and its daemon.json."""

    source: Literal["docker", "distribution"] | None = Field(
        None, description="Whose packages; Docker's where it publishes any, when not given."
    )
    package_mirror: Url = Field(
        "https://download.docker.com", description="The URL under which linux/debian, linux/centos ... stand."
    )
    fingerprint: Fingerprint | None = Field(None, description="Of the mirror's signing key; another key is refused.")
    channel: Literal["stable", "test", "nightly"] = "stable"
    version: Version | None = Field(None, description="A pin for docker-ce and docker-ce-cli.")
    containerd_version: Version | None = None
    buildx_version: Version | None = None
    compose_version: Version | None = None
    hold: bool = Field(True, description="Whether what has a pin is held, so that nobody's upgrade moves it.")
    plugins: list[Literal["buildx", "compose"]] = ["buildx", "compose"]
    users: list[UserName] = Field(default=[], description="Members of the docker group (which is as good as root).")
    daemon: dict[str, Any] | None = Field(None, description="/etc/docker/daemon.json: exactly these keys.")
    containerd_root: AbsolutePath | None = Field(
        None, description="Where containerd keeps images and snapshots; data-root does not move them."
    )
    existing_store: Literal["refuse", "leave"] = Field(
        "refuse", description="Whether images and containers that the engine would no longer see stop the run."
    )
    proxy: Proxy | None = None
    registries: dict[RegistryHost, Registry] = Field(
        default={}, description="Certificates by registry, in /etc/docker/certs.d."
    )
    firewall: Firewall | None = None
    health: Health = Health()

    @model_validator(mode="after")
    def _json_only(self) -> Engine:
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
    elif isinstance(value, str) and holds(value):
        raise ValueError(f"{path} is a secret; daemon.json is shown in plans and by docker info, so it takes none")
    elif (
        not isinstance(value, (str, int, float, type(None))) or value != value or value in (float("inf"), -float("inf"))
    ):
        raise ValueError(f"{path} is a {type(value).__name__}, which JSON has not; put it into quotes")


def _named(value: Any) -> Any:
    """``[curl, jq]`` is short for ``{curl: {}, jq: {}}``; ``curl: "8.*"``-like text is short for its version."""
    if isinstance(value, list):
        if not all(isinstance(item, str) for item in value):
            raise ValueError("a list of packages holds names; to give versions or absent, write a mapping")
        return dict.fromkeys(value, Package())
    if isinstance(value, dict):
        return {
            name: Package()
            if item is None
            else {"absent": True}
            if item == "absent"
            else {"version": item}
            if isinstance(item, str)
            else item
            for name, item in value.items()
        }
    return value


Packages = Annotated[
    dict[PackageName, Package],
    BeforeValidator(_named, json_schema_input_type=list[str] | dict[str, Package | str | None]),
]


class Spec(_Model):
    """What a host should be. Everything that is not declared is left alone."""

    hostname: HostName | None = None
    packages: Packages = {}
    repositories: dict[RepositoryName, Repository] = {}
    sysctl: dict[SysctlKey, SysctlValue] = {}
    modules: list[ModuleName] = Field(default=[], description="Kernel modules, loaded now and at boot.")
    files: dict[AbsolutePath, File] = {}
    users: dict[UserName, User] = {}
    services: dict[UnitName, Service] = {}
    engine: Engine | None = None
    risky: list[AbsolutePath | UnitName] = Field(
        default=[],
        description="Paths (and what is below them) and services whose change must be confirmed by coming in anew.",
    )
