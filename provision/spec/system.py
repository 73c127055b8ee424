"""The part of a spec for the host itself: packages, repositories, files, accounts, services."""

# No postponed annotations: with them pydantic would compile and evaluate each annotation at every start.

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from provision.spec import values as v


class Package(v.Model):
    """One package: installed (at any version unless pinned) or absent."""

    version: v.Version | None = Field(None, description="A pin: the whole version, or its beginning up to a separator.")
    hold: bool = Field(
        True, description="Whether a pinned package is held, so that a manual upgrade does not change it."
    )
    absent: bool = Field(False, description="Remove the package.")


class Repository(v.Model):
    """A package repository with the key that signs it."""

    url: v.Url = Field(description="Where the repository is.")
    suites: list[v.Word] = Field(default=[], description="Suites; default: the host's codename.")
    components: list[v.Word] = Field(default=["main"], min_length=1, description="Components of an apt repository.")
    key_url: v.Url | None = Field(None, description="Where the host fetches the signing key.")
    key: str | None = Field(
        None, description="The signing key itself, ASCII-armoured; or `host`: a key that the host already trusts (apk)."
    )
    fingerprint: v.Fingerprints = Field(
        default=[],
        description="Fingerprints of the keys that may sign it (one, or a list); any other key is refused. "
        "Default: any key.",
    )

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if (self.key_url is None) == (self.key is None):
            raise ValueError("needs either key_url or key")
        if self.key is not None and self.key != "host" and "-----BEGIN PGP PUBLIC KEY BLOCK-----" not in self.key:
            raise ValueError("key must be an ASCII-armoured PGP public key block")
        return self


class File(v.Model):
    """A file with exactly these bytes, from one of content, template and src; or no file (absent)."""

    content: v.Content | None = Field(None, description="The text of the file.")
    template: str | None = Field(
        None, description="A jinja2 template in templates/ next to the playbook, or a shipped one."
    )
    src: str | None = Field(
        None, description="A file in files/ next to the playbook (or an absolute path), byte for byte."
    )
    owner: v.UserName = Field("root", description="The account that owns it.")
    group: v.UserName = Field("root", description="Its group.")
    mode: v.Mode = Field("0644", description="Its permissions.")
    absent: bool = Field(False, description="Remove the file.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in ("content", "template", "src") if getattr(self, name) is not None]
        if self.absent and given:
            raise ValueError(f"absent allows no {given[0]}")
        if not self.absent and len(given) != 1:
            raise ValueError(
                "needs one of content, template and src" + (f", not {' and '.join(given)}" if given else "")
            )
        return self


class User(v.Model):
    """A user account. Memberships in ``groups`` are added; other memberships are left unchanged."""

    uid: Annotated[int, Field(ge=0, le=4294967294)] | None = Field(None, description="The number of the account.")
    groups: list[v.UserName] = Field(default=[], description="Additional groups.")
    shell: v.AbsolutePath | None = Field(None, description="Its login shell.")
    home: v.AbsolutePath | None = Field(None, description="Its home directory.")
    comment: v.Line | None = Field(None, description="Its full name (the GECOS field).")
    system: bool = Field(False, description="Make a system account (useradd --system).")
    absent: bool = Field(False, description="Remove the account; its home stays.")


class Service(v.Model):
    """A service of the host's service manager. A field that is not given is left unchanged."""

    enabled: bool | None = Field(None, description="Whether it starts at boot.")
    running: bool | None = Field(None, description="Whether it runs now.")
    watch: list[v.AbsolutePath] = Field(default=[], description="Files that it must load again when they change.")
    on_change: Literal["restart", "reload"] = Field(
        "restart", description="How it loads a changed file: by a reload or a restart."
    )


def _named(value: Any) -> Any:
    """``[curl, jq]`` is short for ``{curl: {}, jq: {}}``; ``curl: "8.*"``-like text is short for its version."""
    if isinstance(value, list):
        if not all(isinstance(item, str) for item in value):
            raise ValueError("a list of packages has only names; to give versions or absent, write a mapping")
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
    dict[v.PackageName, Package],
    BeforeValidator(_named, json_schema_input_type=list[str] | dict[str, Package | str | None]),
]
