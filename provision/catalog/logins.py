"""Logins at registries, for accounts of the host: in docker's own file, which only the account may read."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

from provision.catalog.context import CompileContext
from provision.model import Resource
from provision.resources.file import File
from provision.resources.folder import Folder
from provision.secrets import secret

#: The name of Docker Hub for docker's client (docker/cli, registry.IndexServer).
_HUB = "https://index.docker.io/v1/"


def logins(ctx: CompileContext, root: bool) -> Iterator[Resource]:
    """The whole of an account's ``.docker/config.json``. Root's comes before the others: the daemon's pulls need it."""
    accounts: dict[str, dict[str, str]] = {}
    registries = ctx.spec.engine.registries if ctx.spec.engine is not None else {}
    for name, registry in registries.items():
        login = registry.login
        for account in login.accounts if login is not None else ():
            if login is not None and (account == "root") == root:
                pair = secret.derived(f"login_{login.user}", login.password, _basic(login.user))
                accounts.setdefault(account, {})[_HUB if name == "docker.io" else name] = pair
    for account, found in accounts.items():
        home = _home(ctx, account)
        auths = {name: {"auth": pair} for name, pair in found.items()}
        # The form that docker's client writes. The look parses the same form.
        content = json.dumps({"auths": auths}, indent="\t", ensure_ascii=False) + "\n"
        path = f"{home}/.docker/config.json"
        if path in ctx.spec.files:
            raise ctx.error("engine.registries declares this file too", "files", path)
        yield Folder(f"{home}/.docker", account, _group(account), "0700")
        yield File(path, content.encode(), account, _group(account), "0600", secret=True)


def _basic(user: str) -> secret.Derivation:
    def encoded(password: str) -> str:
        return base64.b64encode(f"{user}:{password}".encode("utf-8", "surrogateescape")).decode()

    return secret.Derivation("basic", user, encoded)


def _home(ctx: CompileContext, account: str) -> str:
    if account == "root":
        return "/root"
    declared = ctx.spec.users.get(account)
    return (declared.home if declared is not None else None) or f"/home/{account}"


def _group(account: str) -> str:
    """The account's own group, as useradd(8) makes it."""
    return account
