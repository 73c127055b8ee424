"""A check that fails shows no content that some users of the host may not read, in none of pytest's reports."""

from __future__ import annotations

import importlib
import json
from types import SimpleNamespace
from typing import Any

import pytest

from provision.verify.declared.objects import FileBytes, Named

# As in the plugin: a failed assertion shows the values on both sides.
for _name in ("settings", "registry"):
    pytest.register_assert_rewrite(f"provision.verify.suites.test_{_name}")
settings: Any = importlib.import_module("provision.verify.suites.test_settings")
registry: Any = importlib.import_module("provision.verify.suites.test_registry")

OLD, NEW = "hush-old", "hush-new"


def host(mode: int, folder: int = 0o755, content: str = OLD) -> Any:
    def file(path: str) -> Any:
        own = mode if path in ("/srv/env", "/etc/docker/daemon.json", "/root/.docker/config.json") else folder
        return SimpleNamespace(
            is_file=True, is_symlink=False, mode=own, user="root", content=content.encode(), content_string=content
        )

    return SimpleNamespace(file=file)


def said(check: Any, *words: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        check(*words)
    return str(caught.value)


@pytest.mark.parametrize(
    ("mode", "folder", "declared", "shown"),
    [
        (0o600, 0o755, 0o644, False),
        (0o644, 0o700, 0o644, False),
        (0o644, 0o755, 0o600, False),
        (0o644, 0o755, 0o644, True),
    ],
)
def test_a_failed_check_does_not_show_a_private_file(mode: int, folder: int, declared: int, shown: bool) -> None:
    named = Named("/srv/env", FileBytes(NEW.encode(), "root", "root", declared, False))
    words = said(settings.test_file_content, host(mode, folder), named)
    assert (OLD in words) is shown
    assert (NEW in words) is shown
    settings.test_file_content(host(mode, folder, NEW), named)


@pytest.mark.parametrize(("mode", "shown"), [(0o600, False), (0o644, True)])
def test_a_failed_check_does_not_show_the_values_of_a_private_daemon_json(mode: int, shown: bool) -> None:
    daemon = Named("daemon.json", {"labels": [NEW]})
    words = said(settings.test_daemon_json, host(mode, content=json.dumps({"labels": [OLD]})), daemon)
    assert (OLD in words) is shown


def test_a_failed_check_does_not_show_a_file_of_logins() -> None:
    login = Named("root at reg.example", ("root", "/root/.docker/config.json"))
    assert OLD not in said(registry.test_login, host(0o600), login)
