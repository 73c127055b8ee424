"""An engine that no Debian release has yet, as a new installation gets it: with containerd's image store."""

from __future__ import annotations

from tests.lab.conftest import LabHost, newer_engine


def test_a_new_installation_is_in_the_desired_state(host: LabHost) -> None:
    spec = {"engine": newer_engine()}
    assert host.apply(spec).counts == {"changed": 1}
    assert host.apply(spec).counts == {"ok": 1}
    assert host.docker_info("ServerVersion") == spec["engine"]["version"]
    assert "containerd" in host.docker_info("DriverStatus"), "a new installation has containerd's image store"
