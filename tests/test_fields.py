"""A container's fields: a value that docker adds to, merges or writes in another form equals its declaration."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provision import spec
from provision.planning.plan import drift
from provision.remote.protocol import Seen
from provision.resources.docker.container import Container
from tests.test_cases import frames

#: What docker shows of a container whose declaration has only the image.
BARE: dict[str, Any] = {"RestartPolicy": {"Name": "unless-stopped"}, "LogConfig": {"Type": "json-file", "Config": {}}}
LOG = {"log": {"driver": "json-file", "options": {"max-size": "5m"}}}


def differs(declared: dict[str, Any], host: dict[str, Any], daemon: dict[str, Any] | None) -> set[str]:
    """The fields in which a container differs from its declaration."""
    one = Container("web", spec.Container.model_validate({"image": "app:1", **declared}), daemon=daemon)
    whole = {
        "Name": "/web",
        "Image": "sha256:aa",
        "Status": "running",
        "HostConfig": {**BARE, **host},
        "Networks": {"bridge": {}},
        "Config": {"Image": "app:1", "Labels": {"provision.spec": "{}"}},
    }
    seen = [
        ["docker", "image", '{"Id":"sha256:aa","RepoTags":["app:1"],"RepoDigests":[],"Config":{}}'],
        ["container", "web", json.dumps(whole), "", ""],
    ]
    found = drift(one, Seen.of(frames({"seen": seen})))
    return set(found.keys) if found is not None else set()


EVERY = "0.0.0.0"  # noqa: S104 - shown by docker, not bound to


def ports(address: str, outer: str = "8080", inner: str = "80/tcp") -> dict[str, Any]:
    return {"PortBindings": {inner: [{"HostIp": address, "HostPort": outer}]}}


@pytest.mark.parametrize(
    ("declared", "host", "fields"),
    [
        ({}, {}, set()),
        ({"privileged": True}, {"Privileged": True, "SecurityOpt": ["label=disable"]}, set()),
        ({"privileged": True, "security": ["label=disable"]}, {"Privileged": True, "SecurityOpt": []}, {"security"}),
        ({}, {"SecurityOpt": ["label=disable"]}, {"security"}),
        ({"ports": ["8080:80"]}, ports(""), set()),
        ({"ports": ["0.0.0.0:8080:80"]}, ports(EVERY), set()),
        ({"ports": ["8080:80"]}, ports(EVERY), {"ports"}),
        ({"ports": ["0.0.0.0:8080:80"]}, ports(""), {"ports"}),
        ({"ports": ["[::1]:8080:80"]}, ports("::1"), set()),
        ({"ports": ["[0:0::1]:08080:080/udp"]}, ports("::1", inner="80/udp"), set()),
        ({"ports": ["127.0.0.1:8080:80"]}, ports("127.0.0.2"), {"ports"}),
        ({"tmpfs": ["/t:size=1m", "/run"]}, {"Tmpfs": {"/run": "", "/t": "size=1m"}}, set()),
        ({"tmpfs": ["/t:size=1m"]}, {"Tmpfs": {"/t": "size=2m"}}, {"tmpfs"}),
        ({"tmpfs": ["/t"]}, {"Tmpfs": {"/t": "size=2m"}}, {"tmpfs"}),
    ],
)
def test_values_in_dockers_form_equal_the_declared_ones(
    declared: dict[str, Any], host: dict[str, Any], fields: set[str]
) -> None:
    assert differs(declared, host, {}) == fields


def logs(driver: str = "json-file", **options: str) -> dict[str, Any]:
    return {"LogConfig": {"Type": driver, "Config": {key.replace("_", "-"): value for key, value in options.items()}}}


OPTIONS = {"log-opts": {"max-size": "10m", "max-file": "3"}}


@pytest.mark.parametrize(
    ("daemon", "host", "fields"),
    [
        ({}, logs(max_size="5m"), set()),
        (OPTIONS, logs(max_size="5m", max_file="3"), set()),
        (OPTIONS, logs(max_size="5m"), {"log"}),
        ({}, logs(max_size="5m", max_file="3"), {"log"}),
        (OPTIONS, logs(max_size="10m", max_file="3"), {"log"}),
        # For another log driver docker merges only the options of the cache.
        ({**OPTIONS, "log-driver": "local"}, logs(max_size="5m"), set()),
        ({**OPTIONS, "log-driver": "local"}, logs(max_size="5m", max_file="3"), {"log"}),
        ({"log-driver": "syslog", "log-opts": {"cache-max-file": "2"}}, logs(max_size="5m", cache_max_file="2"), set()),
        ({"log-opts": "nonsense"}, logs(max_size="5m"), set()),
    ],
)
def test_log_options_of_the_daemon_are_merged(daemon: dict[str, Any], host: dict[str, Any], fields: set[str]) -> None:
    assert differs(LOG, host, daemon) == fields


@pytest.mark.parametrize(
    ("host", "fields"),
    [
        (logs(max_size="5m", max_file="3"), set()),
        (logs(max_size="10m", max_file="3"), {"log"}),
        (logs(max_file="3"), {"log"}),
        (logs("local", max_size="5m"), {"log"}),
    ],
)
def test_without_a_declared_daemon_its_log_options_are_unknown(host: dict[str, Any], fields: set[str]) -> None:
    assert differs(LOG, host, None) == fields
