"""verify reads the options of a running dockerd from its command line and its file as dockerd reads them."""

from __future__ import annotations

from typing import Any

import pytest

from provision.verify.dockerd_options import from_flags, options


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("-H fd:// --containerd=/run/c.sock", {"hosts": ["fd://"], "containerd": "/run/c.sock"}),
        ("-H fd:// -Htcp://127.0.0.1:2375", {"hosts": ["fd://", "tcp://127.0.0.1:2375"]}),
        ("-l debug", {"log-level": "debug"}),
        ("-ldebug", {"log-level": "debug"}),
        ("-l=debug", {"log-level": "debug"}),
        ("--log-level info", {"log-level": "info"}),
        ("--log-level=info", {"log-level": "info"}),
        ("-D", {"debug": True}),
        ("-D=false", {"debug": False}),
        ("-Dl warn", {"debug": True, "log-level": "warn"}),
        ("--iptables=false --icc=0", {"iptables": False, "icc": False}),
        ("--tlsverify --tlscacert /c.pem", {"tlsverify": True, "tlscacert": "/c.pem"}),
        ("--live-restore --log-level error", {"live-restore": True, "log-level": "error"}),
        ("--insecure-registry a:1 --insecure-registry=b:2", {"insecure-registries": ["a:1", "b:2"]}),
        ("--authorization-plugin p --storage-opt dm.x=1", {"authorization-plugins": ["p"], "storage-opts": ["dm.x=1"]}),
        (
            "--default-ulimit nofile=1:2 --log-opt tag=a=b",
            {"default-ulimits": {"nofile": "1:2"}, "log-opts": {"tag": "a=b"}},
        ),
        ("--cgroup-parent= --bip -", {"cgroup-parent": "", "bip": "-"}),
        ("--of-tomorrow --iptables=false", {"of-tomorrow": True, "iptables": False}),
        ("--of-tomorrow x --iptables=false", {"of-tomorrow": "x", "iptables": False}),
        ("-- --iptables=false", {}),
    ],
)
def test_flags_are_parsed_as_dockerd_does(line: str, found: dict[str, Any]) -> None:
    assert from_flags(["/usr/bin/dockerd", *line.split()]) == found


@pytest.mark.parametrize("line", ["--config-file /etc/other.json", "--config-file=/etc/other.json"])
def test_the_file_of_config_file_is_read(line: str) -> None:
    files = {"/etc/docker/daemon.json": '{"log-level": "info"}', "/etc/other.json": '{"log-level": "debug"}'}
    found = options(["dockerd", *line.split(), "--iptables=false"], files.get)
    assert found == {"config-file": "/etc/other.json", "log-level": "debug", "iptables": False}


@pytest.mark.parametrize("text", [None, "", "\n", "{}"])
def test_an_empty_or_missing_file_has_no_keys(text: str | None) -> None:
    assert options(["dockerd"], lambda path: text) == {"config-file": "/etc/docker/daemon.json"}
