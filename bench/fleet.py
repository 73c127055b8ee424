"""A project with many hosts, for measurements without contact to a host: each has its own name and address."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml


def write(folder: Path, hosts: int, own: bool) -> Path:
    """Write the project, and return its directory. With ``own`` each host's spec has a value that no other host has
    (its hostname). Otherwise the specs of all hosts are equal."""
    folder.mkdir(parents=True)
    names = {f"n{number:05d}": {"ansible_host": _address(number)} for number in range(hosts)}
    inventory = {"all": {"vars": {"ansible_user": "root"}, "children": {"docker": {"hosts": names}}}}
    (folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
    (folder / "daemon.json").write_text(json.dumps({"log-driver": "local"}) + "\n")
    (folder / "sysctl.conf").write_text("net.ipv4.ip_forward = 1\n")
    docker = {"enabled": True, "running": True, "watch": ["/etc/docker/daemon.json"], "on_change": "restart"}
    spec: dict[str, Any] = {
        "files": {
            "/etc/sysctl.d/90-bench.conf": {"src": "sysctl.conf"},
            "/etc/docker/daemon.json": {"src": "daemon.json"},
        },
        "packages": ["docker-ce"],
        "services": {"docker": docker},
    }
    if own:
        spec["hostname"] = "{{ inventory_hostname }}"
    (folder / "site.yml").write_text(yaml.safe_dump([{"name": "Fleet", "hosts": "all", "spec": spec}]))
    return folder


def _address(number: int) -> str:
    return f"10.{number // 62_500}.{number // 250 % 250}.{number % 250 + 1}"
