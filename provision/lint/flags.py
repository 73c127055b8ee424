"""Flags of dockerd's command line whose key in daemon.json has another name, or that have no key.

dockerd looks up an unknown key among its flags, so it accepts these names. It decodes the file by keys, so it ignores
them (moby, ``daemon/config/config.go``, ``findConfigurationConflicts``).
"""

from __future__ import annotations

from msgspec import Struct

from provision.engine.keys import Version


class Flag(Struct, frozen=True):
    """``key`` is the name in daemon.json, or ``""``; ``since`` the first engine that has the flag."""

    key: str = ""
    since: Version = (0, 0)


FLAGS = {
    "add-runtime": Flag("runtimes"),
    "authorization-plugin": Flag("authorization-plugins"),
    "cdi-spec-dir": Flag("cdi-spec-dirs", (25, 0)),
    "cluster-store-opt": Flag("cluster-store-opts"),
    "config-file": Flag(),
    "default-address-pool": Flag("default-address-pools"),
    "default-network-opt": Flag("default-network-opts", (24, 0)),
    "default-ulimit": Flag("default-ulimits"),
    "dns-opt": Flag("dns-opts"),
    "exec-opt": Flag("exec-opts"),
    "feature": Flag("features", (28, 2)),
    "help": Flag(),
    "host": Flag("hosts"),
    "insecure-registry": Flag("insecure-registries"),
    "label": Flag("labels"),
    "log-opt": Flag("log-opts"),
    "node-generic-resource": Flag("node-generic-resources"),
    "registry-mirror": Flag("registry-mirrors"),
    "restart": Flag(),
    "storage-opt": Flag("storage-opts"),
    "validate": Flag("", (23, 0)),
    "version": Flag(),
}
