"""The environment of an engine: packages of other publishers, proxies, certificates, firewalls, and the location of its
data."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from provision.text.formats import SYSTEMD
from tests.lab.conftest import LabHost, NewHost, Outcome, engine

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nhush-hush\n-----END PRIVATE KEY-----\n"


def applied(outcome: Outcome, status: str = "changed") -> None:
    assert outcome.counts == {status: 1}, outcome.out + outcome.err


def failed(host: LabHost, suite: str = "settings") -> set[str]:
    return {check.split()[0] for check in host.provision("verify", "--suite", suite).failed}


@pytest.mark.parametrize("suite", ["trixie", "bookworm", "ubuntu"])
def test_the_distributions_engine_is_replaced_by_dockers(new_host: NewHost, suite: str) -> None:
    host = new_host(suite)
    dockers = engine(**{"live-restore": True})
    own = {**dockers, "source": "distribution"}
    applied(host.apply({"engine": own}))
    applied(host.apply(), "ok")
    assert host.sh("dpkg-query -W -f '${db:Status-Abbrev}' docker.io") == "ii"
    assert host.provision("verify").failed == set()
    host.sh("docker volume create kept")
    # One transaction for each change: the host is without an engine only during the transaction, and the data stays.
    applied(host.apply({"engine": dockers}))
    assert host.sh("docker volume ls -q") == "kept"
    assert host.sh("dpkg-query -W -f '${db:Status-Abbrev}' docker-ce") == "ii"
    assert host.provision("verify").failed == set()
    applied(host.apply({"engine": own}))
    assert host.sh("docker volume ls -q") == "kept"
    assert not host.sh("ls /etc/apt/sources.list.d").count("docker"), "its archive is no longer declared"
    applied(host.apply(), "ok")
    assert failed(host) == set()


def test_docker_on_a_host_with_openrc(new_host: NewHost) -> None:
    """A look-alike with a real OpenRC: services, their stamps, the boot, and what is no longer declared."""
    host = new_host("devuan")
    daemon = engine(**{"live-restore": True, "labels": ["a=1"]})["daemon"]
    spec: dict[str, Any] = {
        "hostname": "openrc.example",
        "sysctl": {"net.ipv4.ip_forward": 1},
        "users": {"alice": {}},
        "engine": {
            "plugins": [],
            "version": "26.1",
            "users": ["alice"],
            "daemon": daemon,
            "firewall": {"forward": "drop"},
        },
    }
    applied(host.apply(spec))
    applied(host.apply(), "ok")
    checked = host.provision("verify", "--disruptive")
    assert checked.failed == set(), checked.out
    before = host.sh("cat /run/docker.pid")
    # An operator's own edit and restart is found and undone.
    host.sh("sed -i s/a=1/a=2/ /etc/docker/daemon.json && rc-service docker restart && sleep 3")
    assert host.docker_info("Labels") == "[a=2]"
    applied(host.apply())
    assert host.docker_info("Labels") == "[a=1]"
    assert host.sh("cat /run/docker.pid") != before
    # The variables that OpenRC gives to a service's script are part of its state.
    before = host.sh("cat /run/docker.pid")
    applied(host.apply({**spec, "files": {"/etc/conf.d/docker": {"content": "rc_nicelevel=1\n"}}}))
    assert host.sh("cat /run/docker.pid") != before
    applied(host.apply(spec))
    # A rollback ends the programs of its run, and not the supervisor of a service that the run has restarted.
    fails = {
        "files": {"/etc/conf.d/docker": {"content": "rc_nicelevel=2\n"}},
        "images": {"registry.invalid/none:1": {}},
    }
    undone = host.apply({**spec, **fails})
    assert (undone.counts, undone.done["restored"]) == ({"rolled_back": 1}, "complete"), undone.out
    assert "service:docker svc_settle" in undone.done["error"]["done"], undone.out
    assert host.sh("cat /proc/$(cat /run/supervise-docker.pid)/comm; pgrep -c '^dockerd$'") == "supervise-daemo\n1"
    applied(host.apply(spec), "ok")
    # A crashed daemon is started again, although OpenRC reports it as started.
    host.sh("rc-service docker stop; rc-update -q del docker default")
    planned = host.plan()
    assert planned.counts == {"changed": 1}
    applied(host.apply())
    assert failed(host) == set()
    spec["engine"].pop("firewall")
    applied(host.apply(spec))
    assert host.sh("iptables -S FORWARD").startswith("-P FORWARD ACCEPT")
    assert host.sh("ls /etc/init.d /etc/runlevels/default").count("provision") == 0
    applied(host.apply(), "ok")
    proxied = {**spec, "engine": {**spec["engine"], "proxy": {"http": "http://proxy.example:3128"}}}
    refused = host.apply(proxied)
    assert (refused.code, refused.done["error"]["kind"]) == (3, "unsuited")
    proxied["engine"]["proxy"]["place"] = "daemon"
    applied(host.apply(proxied))
    assert host.docker_info("HTTPProxy") == "http://proxy.example:3128"


def test_a_changed_proxy_restarts_docker_once(docker_host: LabHost) -> None:
    host, url = docker_host, "http://proxy.example:3128/a%2Fb"
    proxy = {"http": url, "https": url, "no_proxy": ["10.0.0.0/8", ".example"]}
    declared = {**engine(), "proxy": proxy}
    applied(host.apply({"engine": declared}))
    assert host.docker_info("HTTPProxy") == url, "systemd would have expanded %2F"
    assert host.docker_info("NoProxy") == "10.0.0.0/8,.example"
    applied(host.apply(), "ok")
    assert host.provision("verify", "--suite", "daemon").failed == set()
    # Changed by hand, and loaded by the daemon.
    host.sh("sed -i s/3128/3129/ /etc/systemd/system/docker.service.d/provision.conf")
    host.sh("systemctl daemon-reload && systemctl restart docker")
    assert failed(host, "daemon") == {"daemon_proxy"}
    applied(host.apply())
    assert host.docker_info("HTTPProxy") == url
    # The setting moves to daemon.json: the drop-in is removed, with one restart for both.
    starts = "journalctl -q -o cat -u docker | grep -c '^Started docker'"
    before = int(host.sh(starts))
    applied(host.apply({"engine": {**engine(), "proxy": {**proxy, "place": "daemon"}}}))
    assert host.docker_info("HTTPProxy") == url
    assert int(host.sh(starts)) == before + 1
    assert host.sh("ls /etc/systemd/system/docker.service.d") == ""
    assert host.provision("verify", "--suite", "daemon").failed == set()
    applied(host.apply({"engine": engine()}))
    assert host.docker_info("HTTPProxy") == ""
    applied(host.apply(), "ok")


#: Values with characters that have a meaning in a URL, in a file of variables, in a unit or in a shell.
PASSWORD = "s3cret%2F/p@ss:w#rd?'\"\\$HOME `x`\n é😀\\"


def test_systemd_reads_each_value_unchanged(docker_host: LabHost) -> None:
    """systemd itself reads values of all kinds from the file that EnvironmentFile= names."""
    values = [
        PASSWORD,
        "it's",
        "\\",
        "end\\",
        "\\n\\",
        "a\nb\n",
        " both ",
        "$X ${X} %h %%",
        '"quoted"',
        "#x ;y",
        "",
        "\t",
    ]
    lines = "".join(f"V{number}={SYSTEMD.encode(value)}\n" for number, value in enumerate(values))
    docker_host.sh(f"echo {base64.b64encode(lines.encode()).decode()} | base64 -d >/tmp/values")
    read = "systemd-run -q --wait --pipe -p EnvironmentFile=/tmp/values env -0 | base64 -w 0"
    found = dict(
        entry.split("=", 1) for entry in base64.b64decode(docker_host.sh(read)).decode().split("\0") if "=" in entry
    )
    assert [found.get(f"V{number}") for number in range(len(values))] == values


def test_a_proxy_password_is_private_and_its_change_restarts_docker(
    docker_host: LabHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = docker_host
    monkeypatch.setenv("PROXY_PASSWORD", PASSWORD)
    (host.folder / "group_vars").mkdir()
    (host.folder / "group_vars/all.yml").write_text("proxy_password: !secret {env: PROXY_PASSWORD}\n")
    url = "http://user:{{ proxy_password }}@proxy.example:3128"
    spec = {"engine": {**engine(), "proxy": {"http": url, "https": url}}}
    outcome = host.apply(spec)
    applied(outcome)
    assert "s3cret" not in outcome.out
    (line,) = host.sh("tr '\\0' '\\n' </proc/$(pidof dockerd)/environ | grep ^HTTPS_PROXY=").splitlines()
    had = urlsplit(line.partition("=")[2])
    assert (had.username, unquote(str(had.password)), had.netloc.rpartition("@")[2]) == (
        *("user", PASSWORD, "proxy.example:3128"),
    )
    assert host.sh("stat -c %a /etc/docker/proxy.env") == "600"
    assert "s3cret" not in host.sh("cat /etc/systemd/system/docker.service.d/*; systemctl cat docker; docker info")
    applied(host.apply(), "ok")
    assert failed(host, "daemon") == set()
    # A new password restarts the daemon. Without a password the file is removed.
    pid = host.dockerd_pid()
    monkeypatch.setenv("PROXY_PASSWORD", "an0ther")
    applied(host.apply())
    assert host.dockerd_pid() != pid
    applied(host.apply({"engine": engine()}))
    assert host.sh("ls /etc/docker/proxy.env 2>/dev/null || echo none") == "none"
    applied(host.apply(), "ok")


def test_certificates_of_a_registry_are_written_and_upgraded(docker_host: LabHost) -> None:
    host = docker_host
    (host.folder / "files").mkdir()
    (host.folder / "files/client.key").write_text(KEY)
    pid = host.dockerd_pid()
    registries = {"registry.example:5000": {"ca": CERTIFICATE, "cert": CERTIFICATE, "key": "client.key"}}
    spec = {"engine": {**engine(), "registries": registries}}
    planned = host.plan(spec)
    first = host.apply()
    applied(first)
    assert host.dockerd_pid() == pid, "dockerd reads them at each pull"
    assert host.sh("stat -c '%a %n' /etc/docker/certs.d/registry.example:5000/*").splitlines() == [
        "444 /etc/docker/certs.d/registry.example:5000/ca.crt",
        "444 /etc/docker/certs.d/registry.example:5000/client.cert",
        "400 /etc/docker/certs.d/registry.example:5000/client.key",
    ]
    applied(host.apply(), "ok")
    assert failed(host) == set()
    # The files in the form of earlier versions: changed once, and in the desired state from then on.
    host.sh("cd /etc/docker/certs.d/registry.example:5000; chmod 0644 ca.crt client.cert; chmod 0600 client.key")
    assert host.plan().counts == {"changed": 1}
    applied(host.apply())
    applied(host.apply(), "ok")
    assert failed(host) == set()
    host.sh("echo >>/etc/docker/certs.d/registry.example:5000/client.key")
    checked, again = host.provision("verify", "--suite", "settings"), host.plan()
    assert {check.split()[0] for check in checked.failed} == {"certificate"}
    assert again.counts == {"changed": 1}
    for outcome in (planned, first, checked, again):
        assert "hush" not in outcome.out + outcome.err
    applied(host.apply({"engine": engine()}))
    assert host.sh("ls /etc/docker/certs.d/registry.example:5000") == ""


def test_the_forward_policy_is_set_and_restored(docker_host: LabHost) -> None:
    host = docker_host
    assert host.apply({"sysctl": {"net.ipv4.ip_forward": 1}, "engine": engine()}).code == 0
    spec = {"sysctl": {"net.ipv4.ip_forward": 1}, "engine": {**engine(), "firewall": {"forward": "drop"}}}
    host.sh("iptables -P FORWARD ACCEPT")
    applied(host.apply(spec))
    applied(host.apply(), "ok")
    assert host.provision("verify").failed == set(), "containers still reach other networks"
    back = host.provision("verify", "--reboot", "--suite", "settings", "--suite", "foundation")
    assert back.failed == set()
    assert host.sh("iptables -S FORWARD").startswith("-P FORWARD DROP")
    host.sh("iptables -P FORWARD ACCEPT")
    assert failed(host) == {"forward_policy_live"}
    host.sh("systemctl disable -q provision-forward")
    assert failed(host) == {"forward_policy_live", "forward_policy_at_boot"}
    applied(host.apply())
    assert failed(host) == set()
    spec["engine"].pop("firewall")
    applied(host.apply(spec, "--no-lint"))
    assert host.sh("iptables -S FORWARD").startswith("-P FORWARD ACCEPT")
    assert host.sh("ls /etc/systemd/system /etc/systemd/system/multi-user.target.wants").count("provision") == 0
    applied(host.apply(), "ok")


def test_settings_that_a_running_docker_needs_are_not_removed(host: LabHost) -> None:
    declared = {"sysctl": {"net.ipv4.ip_forward": 1}, "engine": {**engine(), "firewall": {"forward": "drop"}}}
    assert host.sh("sysctl -n net.ipv4.ip_forward") == "0"
    applied(host.apply(declared))
    # With a key that needs a restart: otherwise dockerd would switch forwarding on again, and the plan would never be
    # empty.
    applied(host.apply({"engine": engine(mtu=1400)}, "--no-lint"))
    assert host.sh("sysctl -n net.ipv4.ip_forward") == "1"
    assert host.sh("iptables -S FORWARD").startswith("-P FORWARD DROP")
    applied(host.apply(), "ok")


def test_docker_and_firewalld(docker_host: LabHost) -> None:
    host = docker_host
    spec = {"engine": {**engine(), "firewall": {"firewalld": True}}}
    applied(host.apply(spec))
    applied(host.apply(), "ok")
    checked = host.provision("verify")
    assert checked.failed == set(), "containers reach each other and the outside through firewalld"
    # A reload loads a change of the zone, and docker's own rules are there after it.
    host.sh("sed -i s/ACCEPT/DROP/ /etc/firewalld/zones/docker.xml && firewall-cmd -q --reload")
    assert failed(host) == {"firewalld_zone"}
    applied(host.apply())
    assert host.provision("verify").failed == set()


def test_a_moved_data_root_that_leaves_images_behind_is_refused(docker_host: LabHost) -> None:
    host = docker_host
    host.sh("tar -C /usr/share -c zoneinfo/UTC base-files | docker import - kept:1")
    pid, before = host.dockerd_pid(), host.sh("sha256sum /etc/docker/daemon.json")
    moved = engine(**{"data-root": "/srv/docker"})
    refused = host.apply({"engine": moved})
    assert (refused.code, refused.counts) == (3, {"failed": 1})
    assert refused.done["error"]["kind"] == "unsuited"
    assert "images of vfs in /var/lib/docker" in refused.done["error"]["message"] or (
        "images of overlay2 in /var/lib/docker" in refused.done["error"]["message"]
    )
    assert (host.dockerd_pid(), host.sh("sha256sum /etc/docker/daemon.json")) == (pid, before)
    left = {"engine": {**moved, "existing_store": "leave"}}
    applied(host.apply(left))
    assert host.docker_info("DockerRootDir") == "/srv/docker"
    applied(host.apply(), "ok")
    # The engine uses it now: provision no longer asks about the data in the old place.
    applied(host.apply({"engine": moved}), "ok")
    host.sh("mkdir /mnt/small && mount -t tmpfs -o size=100m none /mnt/small")
    small = host.apply({"engine": {**engine(**{"data-root": "/mnt/small/docker"}), "existing_store": "leave"}})
    assert "/mnt/small/docker: 100 MiB free; it needs 1 GiB" in small.done["error"]["message"]


def test_data_root_and_containerds_root_are_moved_together(host: LabHost) -> None:
    spec = {"engine": {**engine(**{"data-root": "/srv/docker"}), "containerd_root": "/srv/containerd"}}
    applied(host.apply(spec))
    applied(host.apply(), "ok")
    checked = host.provision("verify", "--suite", "daemon", "--suite", "settings")
    assert checked.failed == set(), checked.out
    assert "/srv/containerd/" in host.sh("ls -l /proc/$(systemctl show -p MainPID --value containerd)/fd")
    # By hand, to another place, and loaded by the daemon.
    host.sh("sed -i s,/srv/containerd,/opt/containerd, /etc/containerd/config.toml && systemctl restart containerd")
    assert failed(host, "daemon") == {"containerd_root"}
    # The data that the engine has written there since is not left behind silently either.
    assert "its data was in /opt/containerd" in host.apply().done["error"]["message"]
    spec["engine"]["existing_store"] = "leave"
    applied(host.apply(spec))
    assert failed(host, "daemon") == set()


def test_the_network_service_of_el7_is_restarted_once(new_host: NewHost) -> None:
    """The order of the reference setup: the setting, then the network service and docker; and no second time without a
    change."""
    host = new_host("el7")
    since = "systemctl show -p ActiveEnterTimestampMonotonic --value network"
    applied(host.apply({"engine": engine()}))
    began, pid = host.sh(since), host.dockerd_pid()
    spec = {"sysctl": {"net.ipv4.ip_forward": 1}, "engine": engine()}
    applied(host.apply(spec))
    network, docker = host.sh(since), host.dockerd_pid()
    assert int(network) > int(began)
    assert docker != pid
    applied(host.apply(), "ok")
    # The file is written, and the run killed before the restart: a later run still restarts docker.
    host.sh("touch -d '+1 second' /etc/sysctl.d/99-zz-provision-docker-hosts.conf")
    applied(host.apply())
    assert int(host.sh(since)) > int(network)


def test_a_host_without_the_network_service_needs_no_change(new_host: NewHost) -> None:
    host = new_host("el7")
    host.sh("systemctl disable -q --now network; rm /usr/lib/systemd/system/network.service; systemctl daemon-reload")
    spec = {"sysctl": {"net.ipv4.ip_forward": 1}, "engine": engine()}
    applied(host.apply(spec))
    applied(host.apply(), "ok")
