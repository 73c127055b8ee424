"""Custom tests: the fixture `host` is testinfra's, `spec` is the host's spec from the playbook."""

from typing import Any

from testinfra.host import Host


def test_docker_goes_by_the_name_of_its_host(host: Host, spec: dict[str, Any]) -> None:
    assert host.check_output("docker info --format '{{.Name}}'") == spec["hostname"]
