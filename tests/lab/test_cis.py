"""The CIS benchmark's checks pass on a hardened host, and fail for each way of softening it."""

from __future__ import annotations

import re
import shlex
from typing import Any

from tests.lab.conftest import LabHost, Outcome, engine, wrap
from tests.lab.test_surroundings import CERTIFICATE, KEY

#: The daemon for the benchmark, as hardened as a host of the lab can be.
_HARDENED: dict[str, Any] = {
    "icc": False,
    "no-new-privileges": True,
    "userland-proxy": False,
    "live-restore": True,
    "log-driver": "journald",
    "userns-remap": "default",
    "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1024, "Hard": 2048}},
}


def _changed(old: str, new: str) -> str:
    return f"sed -i 's/{old}/{new}/' /etc/docker/daemon.json"


def _edit(old: str, new: str) -> str:
    return _changed(old, new) + "; systemctl restart docker"


def _added(text: str) -> str:
    return f"sed -i '1a {text},' /etc/docker/daemon.json"


_DROPIN = "/etc/systemd/system/docker.service.d/zz.conf"
_SOCKET = "/etc/systemd/system/docker.socket.d/zz.conf"
_NO_DROPIN = f"rm {_DROPIN}; systemctl daemon-reload"


def _started_with(flags: str) -> str:
    command = f"/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock {flags}"
    unit = f"[Service]\nExecStart=\nExecStart={command}\n"
    return (
        f"mkdir -p {_DROPIN.rpartition('/')[0]}; printf %s {shlex.quote(unit)} >{_DROPIN};"
        " systemctl daemon-reload; systemctl restart docker"
    )


#: Another file for dockerd, which differs from daemon.json in its log level.
_OTHER_FILE = 'cd /etc/docker; sed \'1a "log-level": "debug",\' daemon.json >other.json; '

#: How the host is broken, the ids that must fail then, and how it is repaired (besides daemon.json and a restart).
_CIS: list[tuple[str, set[str], str]] = [
    ("useradd -G docker mallory", {"1_1_2"}, "userdel mallory"),
    ("useradd -g docker mallory", {"1_1_2"}, "userdel mallory"),
    (_edit('"icc": false', '"icc": true'), {"2.2"}, ""),
    (_added('"log-level": "debug"'), {"2.3"}, ""),
    (_added('"iptables": false'), {"2.4"}, ""),
    (_added('"insecure-registries": ["192.0.2.1:5000"]') + "; systemctl restart docker", {"2.5"}, ""),
    (_added('"cgroup-parent": "/x"'), {"2.10"}, ""),
    (_added('"storage-opts": ["dm.basesize=20G"]'), {"2.11"}, ""),
    (_edit('"log-driver": "journald"', '"log-driver": "local"'), {"2.13"}, ""),
    (_edit('"no-new-privileges": true', '"no-new-privileges": false'), {"2.14"}, ""),
    (_edit('"live-restore": true', '"live-restore": false'), {"2.15"}, ""),
    (_changed('"userland-proxy": false', '"userland-proxy": true'), {"2.16"}, ""),
    (_added('"seccomp-profile": "unconfined"') + "; systemctl restart docker", {"2.17"}, ""),
    (_added('"experimental": true') + "; systemctl restart docker", {"2.18"}, ""),
    (_changed("default-ulimits", "x"), {"2.8"}, ""),
    (_edit('"userns-remap": "default"', '"userns-remap": ""'), {"2.9"}, ""),
    (_started_with("-H tcp://127.0.0.1:2375"), {"2.7"}, _NO_DROPIN),
    (
        (
            f"mkdir -p {_SOCKET.rpartition('/')[0]}; printf '[Socket]\\nListenStream=127.0.0.1:2375\\n' >{_SOCKET};"
            " systemctl daemon-reload; systemctl stop docker docker.socket; systemctl restart docker"
        ),
        {"2.7"},
        f"rm {_SOCKET}; systemctl daemon-reload; systemctl stop docker docker.socket",
    ),
    (_started_with("-l debug"), {"2.3"}, _NO_DROPIN),
    (_started_with("-D"), {"2.3"}, _NO_DROPIN),
    (_started_with("--log-level info"), set(), _NO_DROPIN),
    (_OTHER_FILE + _started_with("--config-file /etc/docker/other.json"), {"2.3"}, _NO_DROPIN),
    (
        _OTHER_FILE + "chown deploy other.json; " + _started_with("--config-file=/etc/docker/other.json"),
        {"2.3", "3.17"},
        _NO_DROPIN,
    ),
    ("sed -i /CONTENT_TRUST/d /etc/environment", {"4.5"}, "echo DOCKER_CONTENT_TRUST=1 >>/etc/environment"),
    # A swarm does not accept live-restore, and 2.15 leaves swarms out.
    (
        _edit('"live-restore": true', '"live-restore": false') + "; docker swarm init >/dev/null",
        {"5.1", "7.2", "7.3", "7.5"},
        "docker swarm leave --force",
    ),
    *(
        (how, {id}, heal)
        for path, owner, mode, right in (
            ("/usr/lib/systemd/system/docker.service", "3.1", "3.2", "644"),
            ("/usr/lib/systemd/system/docker.socket", "3.3", "3.4", "644"),
            ("/etc/docker", "3.5", "3.6", "755"),
            ("/run/docker.sock", "3.15", "3.16", "660"),
            ("/etc/docker/daemon.json", "3.17", "3.18", "644"),
            ("/run/containerd/containerd.sock", "3.23", "3.24", "660"),
        )
        for how, id, heal in (
            (f"chown deploy {path}", owner, f"chown root {path}"),
            (f"chmod 777 {path}", mode, f"chmod {right} {path}"),
        )
    ),
    *(
        (f"mkdir -p {folder}; touch {folder}/{name}; chmod {right} {folder}/{name}; {how} {folder}/{name}", ids, heal)
        for folder, name, owner, mode, right, audit in (
            ("/etc/docker/certs.d/r", "ca.crt", {"3.7"}, {"3.8"}, "444", set()),
            ("/etc/default", "docker", {"3.19"}, {"3.20"}, "644", {"1.1.10"}),
            ("/etc/sysconfig", "docker", {"3.22"}, {"3.21"}, "644", {"1.1.13"}),
        )
        for how, ids, heal in (
            ("chown deploy", owner | audit, f"rm {folder}/{name}"),
            ("chmod 777", mode | audit, f"rm {folder}/{name}"),
        )
    ),
    *(
        (
            f"touch /tmp/t; chmod {right} /tmp/t; " + _added(f'"{option}": "/tmp/t"') + f"; {how}",
            {id},
            "rm /tmp/t",
        )
        for option, owner, mode, right in (
            ("tlscacert", "3.9", "3.10", "444"),
            ("tlscert", "3.11", "3.12", "444"),
            ("tlskey", "3.13", "3.14", "400"),
        )
        for how, id in (("chown deploy /tmp/t", owner), ("chmod 666 /tmp/t", mode))
    ),
]


#: The options of a container that passes the benchmark. Then options that are used instead or in addition, and the ids
#: that must fail for them. With userns-remap, only a container with `--userns host` may use the host's namespaces and
#: devices.
_GOOD = {
    "memory": "--memory 64m",
    "cpu": "--cpu-shares 512",
    "root": "--read-only",
    "pids": "--pids-limit 32",
    "network": "--network own",
}
_CONTAINERS: dict[str, tuple[str, str, set[str]]] = {
    "good": ("", "", set()),
    "cpus": ("cpu", "--cpus 1", set()),
    "tries": ("", "--restart on-failure:5", set()),
    "below": ("", "-v /etc/docker:/x:ro", set()),
    "user": ("", "--user 0:1000", {"4.1"}),
    "capability": ("", "--cap-add NET_ADMIN", {"5.4"}),
    "privileged": ("", "--userns host --privileged", {"5.5", "5.31"}),
    "etc": ("", "-v /etc:/x:ro", {"5.6"}),
    "sshd": ("", "--entrypoint sshd", {"5.7"}),
    "port": ("", "-p 127.0.0.1:80:80", {"5.8"}),
    "network": ("network", "--userns host --network host", {"5.10", "5.31"}),
    "memory": ("memory", "", {"5.11"}),
    "cpu": ("cpu", "", {"5.12"}),
    "writable": ("root", "", {"5.13"}),
    "everywhere": ("", "-p 8080:80", {"5.14"}),
    "always": ("", "--restart always", {"5.15"}),
    "retries": ("", "--restart on-failure:6", {"5.15"}),
    "forever": ("", "--restart on-failure", {"5.15"}),
    "processes": ("", "--userns host --pid host", {"5.16", "5.31"}),
    "ipc": ("", "--userns host --ipc host", {"5.17", "5.31"}),
    "device": ("", "--userns host --device /dev/null:/dev/x", {"5.18", "5.31"}),
    "propagation": ("", "-v /srv:/x:shared", {"5.20"}),
    "uts": ("", "--uts host", {"5.21"}),
    "seccomp": ("", "--security-opt seccomp=unconfined", {"5.22"}),
    "cgroup": ("", "--cgroup-parent x", {"5.25"}),
    "gains": ("", "--security-opt no-new-privileges=false", {"5.26"}),
    "healthless": ("", "--no-healthcheck", {"5.27"}),
    "pids": ("pids", "", {"5.29"}),
    "bridge": ("network", "", {"5.30"}),
    "users": ("", "--userns host", {"5.31"}),
    "socket": ("", "-v /run/docker.sock:/socket", {"5.32"}),
    "run": ("", "-v /run:/x", {"5.32"}),
}
#: An image of the host's own programs. The classic builder, which needs no plugin, writes the history.
_IMAGES = """
set -e
unset DOCKER_CONTENT_TRUST
export DOCKER_BUILDKIT=0
mkdir -p /tmp/image/bin /tmp/image/x && cd /tmp/image
for program in sh sleep; do
    path=$(command -v $program)
    cp -L "$path" bin/
    for file in $(ldd "$path" | grep -o '/[^ )]*'); do mkdir -p ".${file%/*}"; cp -L "$file" ".$file"; done
done
cp bin/sleep bin/sshd
tar -c . | docker import --change 'USER 1000' - i-healthless
tar -c . | docker import --change 'USER 1000' --change 'HEALTHCHECK CMD :' - i-good
printf 'FROM i-good\nADD x /x\n' | docker build -q -t i-adds -f - .
printf 'FROM i-good\nCOPY x /x\nRUN : apt-get -q update\n' | docker build -q -t i-updates -f - .
printf 'FROM i-good\nRUN : "apt-get update && apt-get install -y ADD x"\n' | docker build -q -t i-installs -f - .
docker network create own
"""

#: An authorization plugin that allows everything (docs.docker.com/engine/extend/plugins_authorization).
_PLUGIN = r"""
use IO::Socket::UNIX;
mkdir "/run/docker/plugins";
my $server = IO::Socket::UNIX->new(Local => "/run/docker/plugins/lenient.sock", Listen => 20) or die $!;
while (my $client = $server->accept) {
    my ($path, $length) = ("", 0);
    while (my $line = <$client>) {
        $path = $1 if $line =~ m{^POST (\S+)};
        $length = $1 if $line =~ /^Content-Length: (\d+)/i;
        last if $line =~ /^\r?$/;
    }
    read $client, my $body, $length;
    my $answer = $path =~ /Activate/ ? '{"Implements":["authz"]}' : '{"Allow":true}';
    print $client "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " . length($answer) . "\r\n\r\n$answer";
    close $client;
}
"""
_RELOAD = """
reloads() { docker events --since 1 --until "$(date +%s)" --filter type=daemon --filter event=reload | wc -l; }
before=$(reloads)
systemctl reload docker
until [ "$(reloads)" -gt "$before" ]; do sleep 0.1; done
"""


def hardened(host: LabHost, **more: Any) -> dict[str, Any]:
    (host.folder / "files").mkdir(exist_ok=True)
    (host.folder / "files/client.key").write_text(KEY)
    registries = {"registry.example:5000": {"ca": CERTIFICATE, "cert": CERTIFICATE, "key": "client.key"}}
    return {"engine": {**engine(**_HARDENED), "registries": registries, **more}}


def ids(host: LabHost) -> set[str]:
    return {_id(check) for check in host.provision("verify", "--suite", "cis").failed}


def _falsify(host: LabHost, edit: str) -> None:
    """Edit the daemon's answer (sed(1)) on its way."""
    wrap(host, f"""info) /usr/bin/docker "$@" | sed {shlex.quote(edit)}; exit ;;""")


def names(outcome: Outcome, start: str) -> dict[str, set[str]]:
    """The objects with this prefix that failed checks name -> the ids of these checks."""
    found: dict[str, set[str]] = {}
    for event in outcome.all("check.done"):
        if event["outcome"] == "failed":
            for name in re.findall(rf"\b{start}-([a-z]+)", event["message"]):
                found.setdefault(name, set()).add(_id(event["check"]))
    return found


def test_the_benchmark_of_containers_and_images(host: LabHost) -> None:
    outcome = host.apply(hardened(host))
    assert outcome.code == 0, outcome.out
    before = ids(host)
    assert not {id for id in before if id.startswith(("4.6", "4.7", "4.9"))}, "the host has no image or container yet"
    host.sh(_IMAGES)
    for name, (without, more, _) in _CONTAINERS.items():
        options = " ".join(option for key, option in _GOOD.items() if key != without)
        image = "i-good" if "entrypoint" in more else "i-good sleep"
        host.sh(f"docker run -d --name c-{name} {options} {more} {image} 1000 2>&1")
    assert len(host.sh("docker ps -q").split()) == len(_CONTAINERS)
    checked = host.provision("verify", "--suite", "cis")
    assert names(checked, "c") == {name: found for name, (_, _, found) in _CONTAINERS.items() if found}
    assert names(checked, "i") == {"healthless": {"4.6"}, "adds": {"4.9"}, "updates": {"4.7"}}
    wanted = set().union(*(found for _, _, found in _CONTAINERS.values()), {"4.6", "4.7", "4.9"})
    assert {_id(check) for check in checked.failed} - before == wanted
    # Security modules that the lab's kernel does not have, so they confine no container.
    _falsify(host, r's/"SecurityOptions":\[/&"name=apparmor","name=selinux","name=rootless",/')
    falsified = host.provision("verify", "--suite", "cis")
    assert {_id(check) for check in falsified.failed} - before - wanted == {"5.2", "5.3"}
    assert [e["outcome"] for e in falsified.all("check.done") if _id(e["check"]) == "2.1"] == ["passed"]
    assert [e["outcome"] for e in checked.all("check.done") if _id(e["check"]) == "2.1"] == ["skipped"]
    # With containerd's image store, containerd's own directory also needs a partition.
    _falsify(host, 's/"Backing Filesystem","[^"]*"/"driver-type","io.containerd.snapshotter.v1"/')
    assert ids(host) - before - wanted == set()
    host.sh(
        "docker rm -f $(docker ps -aq) >/dev/null; set -e; mkdir -p /etc/containerd /srv/c;"
        " printf 'version = 2\nroot = \"/srv/c\"\n'"
        " >/etc/containerd/config.toml; systemctl restart containerd"
    )
    assert "1.1.1" in ids(host)
    host.sh("rm /usr/local/bin/docker")
    assert "1.1.1" not in ids(host)


def test_the_benchmark_fails_for_each_fault_and_passes_on_a_hardened_host(host: LabHost) -> None:
    spec = hardened(host)
    outcome = host.apply(spec)
    assert outcome.code == 0, outcome.out
    host.sh("echo DOCKER_CONTENT_TRUST=1 >>/etc/environment")
    before = ids(host)
    # auditd needs a separate kernel (see the virtual machine's tests). The lab has no authorization plugin.
    assert {id for id in before if not id.startswith("1.1.")} == {"2.12"}
    assert "1.1.3" in before
    wrong = []
    host.sh("cp -p /etc/docker/daemon.json /root/d.json")
    for script, predicted, heal in _CIS:
        host.sh(script)
        seen = ids(host) - before
        print(f"{script[:60]!r:62} predicted {sorted(predicted)} failed {sorted(seen)}")
        if seen != predicted:
            wrong.append((script, predicted, seen))
        host.sh(f"cp -p /root/d.json /etc/docker/daemon.json; {heal or ':'}")
        if "systemctl restart docker" in script:
            host.sh("systemctl reset-failed docker; systemctl restart docker")
    assert not wrong
    for field, false_value, difference in (
        ("Driver", '"aufs"', {"2.6"}),
        ("Authorization", '["p"]', {"2.12"}),
        ("DockerRootDir", '"/etc"', {"1.1.1"}),
    ):
        _falsify(host, f's#"{field}":[^,}}]*#"{field}":{false_value}#')
        assert ids(host) ^ before == difference
    host.sh("rm /usr/local/bin/docker")
    # A plugin is in force from the daemon's start or its last reload on. `docker info` may show something else later.
    host.sh(f"printf %s {shlex.quote(_PLUGIN)} >/root/lenient.pl; systemd-run -q --unit=lenient perl /root/lenient.pl")
    host.sh("until [ -S /run/docker/plugins/lenient.sock ]; do sleep 0.1; done")
    declared = _added('"authorization-plugins": ["lenient"]')
    for script, decides in (
        (f"{declared}; {_RELOAD}", True),
        ("systemctl reset-failed docker; systemctl restart docker", True),
        (f"cp -p /root/d.json /etc/docker/daemon.json; {_RELOAD}", False),
        (declared, False),
    ):
        host.sh(script)
        assert ids(host) == (before - {"2.12"} if decides else before), script
    assert host.docker_info("Plugins.Authorization") == "[lenient]", "the daemon's answer is that of its start"
    # The spec's pin decides which version is up to date.
    assert host.provision("verify", "--suite", "cis", "--check", "1_2_2").failed == set()
    outdated = hardened(host, version="1.2")
    pinned = host.provision("verify", "--suite", "cis", "--check", "1_2_2", spec=outdated)
    assert {_id(check) for check in pinned.failed} == {"1_2_2"}


def _id(check: str) -> str:
    """``cis 2.3 title``, or the name of a separate test: ``cis_1_1_2_title``."""
    found = re.match(r"cis[ _](\d+([._])\d+(\2\d+)?)", check)
    assert found, check
    return found[1]
