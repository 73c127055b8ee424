"""The running daemon is as the spec has it, by its own answer; and it has loaded the file that is on disk."""

from __future__ import annotations

import json
from typing import Any

import pytest
from testinfra.host import Host

from provision.verify.declared import Named

#: daemon.json key -> where `docker info` shows it (moby, api/types/system/info.go).
_INFO = {
    "data-root": "DockerRootDir",
    "debug": "Debug",
    "default-runtime": "DefaultRuntime",
    "experimental": "ExperimentalBuild",
    "live-restore": "LiveRestoreEnabled",
    "log-driver": "LoggingDriver",
    "storage-driver": "Driver",
}


def _json(host: Host, command: str) -> Any:
    return json.loads(host.check_output(command))


def test_daemon_answers(host: Host, engine: Named) -> None:
    assert _json(host, "docker version --format '{{json .Server}}'")["Version"]


def test_daemon_version(host: Host, pinned_engine: Named) -> None:
    version = _json(host, "docker version --format '{{json .Server}}'")["Version"]
    pin = pinned_engine.value.rpartition(":")[2].partition("-")[0]
    assert version == pin or version.startswith((f"{pin}.", f"{pin}+"))


def test_daemon_key(host: Host, daemon_key: Named) -> None:
    """Key by key, where the daemon shows the key."""
    key, wanted = daemon_key.name, daemon_key.value
    if key == "bip":
        config = _json(host, "docker network inspect bridge --format '{{json (index .IPAM.Config 0)}}'")
        address = host.interface("docker0").addresses
        assert config["Gateway"] == wanted.partition("/")[0]
        assert wanted.partition("/")[0] in address
        return
    if key == "mtu":
        options = _json(host, "docker network inspect bridge --format '{{json .Options}}'")
        assert options["com.docker.network.driver.mtu"] == str(wanted)
        return
    info = _json(host, "docker info --format '{{json .}}'")
    if key in _INFO:
        assert info[_INFO[key]] == wanted
    elif key == "exec-opts":
        driver = [option.partition("=")[2] for option in wanted if option.startswith("native.cgroupdriver=")]
        assert driver in ([], [info["CgroupDriver"]])
    elif key == "registry-mirrors":
        mirrors = [url.rstrip("/") for url in info["RegistryConfig"]["Mirrors"]]
        assert mirrors == [url.rstrip("/") for url in wanted]
    elif key == "insecure-registries":
        registry = info["RegistryConfig"]
        insecure = {name for name, index in registry["IndexConfigs"].items() if not index["Secure"]}
        assert set(wanted) <= insecure | set(registry["InsecureRegistryCIDRs"])
    elif key == "labels":
        assert sorted(info["Labels"]) == sorted(wanted)
    elif key == "userns-remap":
        assert any("userns" in option for option in info["SecurityOptions"])
    else:
        pytest.skip("docker info does not show it; test_daemon_has_loaded_its_file stands for it")


def test_daemon_has_loaded_its_file(host: Host, daemon: Named) -> None:
    """A file that was written but never loaded fails: the daemon must have started after its last change."""
    pid = host.check_output("systemctl show -p MainPID --value docker")
    changed = int(host.check_output("stat -c %Z /etc/docker/daemon.json"))
    now, age = host.check_output("date +%%s; ps -o etimes= -p %s", pid).split()
    # `ps` counts whole seconds, so the start is known to one second.
    assert changed <= int(now) - int(age) + 1, "daemon.json was changed after the daemon was started"
