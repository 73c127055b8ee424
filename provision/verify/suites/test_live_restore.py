"""Containers outlive their daemon where live-restore is declared. A test container does, by its process id."""

from __future__ import annotations

import pytest
from testinfra.host import Host

from provision.verify import docker, services
from provision.verify.declared import Named


def after(host: Host) -> None:
    """Called after a host's checks, even if they failed."""
    docker.clean(host)


@pytest.mark.disruptive
def test_container_survives_a_restart_of_the_daemon(host: Host, live_restore: Named) -> None:
    loaded = host.check_output("docker info --format '{{.LiveRestoreEnabled}}'")
    assert loaded == "true", (
        "the daemon has not loaded live-restore; it was not restarted, because that would stop every container"
    )
    state = "docker inspect --format '{{.State.Status}} {{.State.Pid}}' %s"
    with docker.running(host) as name:
        before = host.check_output(state, name)
        daemon = services.dockerd(host)
        services.restart_docker(host)
        assert services.dockerd(host) != daemon
        assert host.check_output(state, name) == before
        assert host.file(f"/proc/{before.split()[1]}").is_directory
