"""What a spec says of the host itself: packages, repositories, files, accounts, services."""

# No postponed annotations: pydantic would compile and evaluate each of them at every start.

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from provision.spec.values import (
    AbsolutePath,
    Content,
    Fingerprints,
    Line,
    Mode,
    Model,
    PackageName,
    Url,
    UserName,
    Version,
    Word,
)


class Package(Model):
    """One package: installed (at any version unless pinned) or absent."""

    version: Version | None = Field(None, description="A pin: the whole version, or its beginning up to a separator.")
    hold: bool = Field(True, description="Whether a pinned package is held, so that nobody's upgrade moves it.")
    absent: bool = False


class Repository(Model):
    """A package repository with the key that signs it."""

    url: Url
    suites: list[Word] = Field(default=[], description="Suites; the host's own codename when empty.")
    components: list[Word] = Field(default=["main"], min_length=1)
    key_url: Url | None = Field(None, description="Where the host fetches the signing key.")
    key: str | None = Field(
        None, description="The signing key itself, ASCII-armoured; or `host`: one that the host trusts already (apk)."
    )
    fingerprint: Fingerprints = Field(
        default=[],
        description="Of the keys that may sign it (one, or a list); any other key is refused. Any key, when not given.",
    )

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if (self.key_url is None) == (self.key is None):
            raise ValueError("needs either key_url or key")
        if self.key is not None and self.key != "host" and "-----BEGIN PGP PUBLIC KEY BLOCK-----" not in self.key:
            raise ValueError("key must be an ASCII-armoured PGP public key block")
        return self


class File(Model):
    """A file with exactly these bytes, from one of content, template and src; or none at all."""

    content: Content | None = None
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
    def _one_source(self) -> Self:
        given = [name for name in ("content", "template", "src") if getattr(self, name) is not None]
        if self.absent and given:
            raise ValueError(f"absent goes with no {given[0]}")
        if not self.absent and len(given) != 1:
            raise ValueError(
                "needs one of content, template and src" + (f", not {' and '.join(given)}" if given else "")
            )
        return self


class User(Model):
    """A user account. Membership in ``groups`` is added, other memberships are left alone."""

    uid: Annotated[int, Field(ge=0, le=4294967294)] | None = None
    groups: list[UserName] = []
    shell: AbsolutePath | None = None
    home: AbsolutePath | None = None
    comment: Line | None = None
    system: bool = False
    absent: bool = Field(False, description="Remove the account; its home stays.")


class Service(Model):
    """A service of the host's service manager. What is not given is left alone."""

    enabled: bool | None = None
    running: bool | None = None
    watch: list[AbsolutePath] = Field(default=[], description="Files whose change it must load.")
    on_change: Literal["restart", "reload"] = "restart"


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
