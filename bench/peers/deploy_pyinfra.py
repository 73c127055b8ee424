"""The same declared result as bench.project, for pyinfra."""

from pyinfra import host
from pyinfra.operations import apt, files, server, systemd

folder = host.data.files
server.hostname(hostname=host.data.wanted_name)
files.put(src=f"{folder}/sysctl.conf", dest="/etc/sysctl.d/90-bench.conf", mode="644")
daemon = files.put(src=f"{folder}/daemon.json", dest="/etc/docker/daemon.json", mode="644")
apt.packages(packages=["docker-ce"])
systemd.service(service="docker", running=True, enabled=True)
systemd.service(
    service="docker",
    reloaded=host.data.how == "reloaded",
    restarted=host.data.how == "restarted",
    _if=daemon.did_change,
)
