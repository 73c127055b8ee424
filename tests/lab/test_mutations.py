"""Changes by other parties on a Docker host that is in the desired state: each change is repaired or reported.

All changes are made on one host, one after the other. This test prints the table that is in docs/findings.md.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from msgspec import Struct

from provision.lab.store import MIRROR
from provision.secrets.authority import renew
from tests.lab.conftest import LabHost, engine

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
DROPINS = "/etc/systemd/system/docker.service.d"
SOURCE = "/etc/apt/sources.list.d/docker.sources"

SPEC: dict[str, Any] = {
    "hostname": "box",
    "packages": ["nftables"],
    "modules": ["overlay"],
    "sysctl": {"net.ipv4.ip_forward": 1},
    "users": {"alice": {}},
    "engine": {
        **engine(**{"live-restore": True, "data-root": "/srv/docker"}),
        "users": ["alice"],
        "firewall": {"forward": "drop"},
        "registries": {"one.example": {"ca": CERTIFICATE}, "two.example": {"authority": "lab"}},
    },
}


LOADED = ("daemon_json_file daemon.json", "daemon_has_loaded_its_file daemon.json")


class Mutation(Struct, frozen=True):
    """``script`` is what another party does. ``fails`` are the checks of verify that must fail, and no others.
    ``mended``: plan shows the change and apply repairs it. Otherwise it is a finding, and ``heal`` is what an operator
    does. ``shown``: plan shows what apply can't repair. Without ``fails`` docs/findings.md says why no check looks for
    it. ``packets``: verify also sends packets through the host's rules."""

    name: str
    script: str
    fails: frozenset[str]
    mended: bool = False
    heal: str = ""
    shown: bool = False
    packets: bool = False


def remedy(word: str) -> str:
    """The commands that docs/findings.md gives for a finding."""
    text = Path("docs/findings.md").read_text(encoding="utf-8")
    (item,) = re.findall(rf"^- \*\*{re.escape(word)}\.\*\*(.*?)(?=^- |\Z)", text, re.MULTILINE | re.DOTALL)
    commands = re.findall(r"`(systemctl [^`]+)`", item)
    assert commands
    return "; ".join(commands)


def finding(name: str, script: str, heal: str, *fails: str, shown: bool = False, packets: bool = False) -> Mutation:
    return Mutation(name, script, frozenset(fails), heal=heal, shown=shown, packets=packets)


def unseen(name: str, script: str, heal: str) -> Mutation:
    """A change for which docs/findings.md says, with the words of ``name``, why provision does not look for it."""
    return Mutation(name, script, frozenset(), heal=heal)


def mended(name: str, script: str, *fails: str) -> Mutation:
    return Mutation(name, script, frozenset(fails), mended=True)


_RESTART = "systemctl daemon-reload; systemctl reset-failed docker; systemctl restart docker"


def dropin(lines: str, then: str = _RESTART) -> str:
    return f"mkdir -p {DROPINS}; printf '[Service]\\n%b' '{lines}' >{DROPINS}/other.conf; {then}"


def flags(words: str, then: str = _RESTART) -> str:
    """A drop-in with further arguments for dockerd's own command line."""
    command = "$(sed -n 's/^ExecStart=//p' /lib/systemd/system/docker.service)"
    return (
        f"mkdir -p {DROPINS}; printf '[Service]\\nExecStart=\\nExecStart=%s {words}\\n' \"{command}\""
        f" >{DROPINS}/other.conf; {then}"
    )


def socket_dropin(lines: str, then: str = "") -> str:
    folder = "/etc/systemd/system/docker.socket.d"
    return f"mkdir -p {folder}; printf '[Socket]\\n%b\\n' '{lines}' >{folder}/other.conf; {then or _REOPEN}"


#: A socket is opened only while its service does not run.
_REOPEN = "systemctl daemon-reload; systemctl stop docker.socket docker; systemctl start docker.socket docker"
_NO_SOCKET_DROPIN = f"rm -r /etc/systemd/system/docker.socket.d; {_REOPEN}"
_NO_DROPIN = f"rm -r {DROPINS}/other.conf; {_RESTART}"

MUTATIONS = [
    mended(
        "Trusted: yes in docker.sources",
        f"echo 'Trusted: yes' >>{SOURCE}",
        "archive_signed sources",
    ),
    mended(
        "second source of the archive with trusted=yes",
        "sed -n 's/^URIs: *//p' " + SOURCE + " | sed 's|.*|deb [trusted=yes] & trixie stable|'"
        " >/etc/apt/sources.list.d/other.list",
        "archive_signed sources",
        "archive docker",
    ),
    finding(
        "another archive with trusted=yes",
        "echo 'deb [trusted=yes] http://other.example/debian ./' >/etc/apt/sources.list.d/other.list",
        "rm /etc/apt/sources.list.d/other.list",
        "archive_signed sources",
    ),
    mended(
        "extra key in the keyring",
        "cat /usr/share/keyrings/lab-archive.asc >>/etc/apt/keyrings/docker.asc",
        "archive_key docker",
    ),
    finding(
        "drop-in: -H tcp://",
        flags("-H tcp://127.0.0.1:2375"),
        _NO_DROPIN,
        "daemon_command docker",
        "daemon_listens engine",
        "unit_unchanged docker",
    ),
    finding(
        "drop-in: -H tcp://, not started yet",
        flags("-H tcp://127.0.0.1:2375", "systemctl daemon-reload"),
        _NO_DROPIN,
        "unit_unchanged docker",
    ),
    finding(
        "drop-in: --insecure-registry",
        flags("--insecure-registry 0.0.0.0/0"),
        _NO_DROPIN,
        "daemon_command docker",
        "daemon_registries daemon.json",
        "unit_unchanged docker",
    ),
    finding(
        "drop-in: --bip twice, stops the next start",
        flags("--bip 10.9.0.1/24 --bip 10.9.0.1/24", "systemctl daemon-reload"),
        _NO_DROPIN,
        "unit_unchanged docker",
    ),
    finding(
        "drop-in: Environment",
        dropin("Environment=HTTPS_PROXY=http://other.example:3128\\n"),
        _NO_DROPIN,
        "service_environment docker",
        "unit_unchanged docker",
    ),
    mended(
        "docker enabled --runtime",
        "systemctl -q disable docker; systemctl -q enable --runtime docker",
        "service_enabled docker",
        "service_at_boot docker",
    ),
    finding(
        "docker.socket disabled",
        "systemctl -q disable docker.socket",
        "systemctl -q enable docker.socket",
        "docker_socket docker.socket",
    ),
    finding(
        "docker.socket masked",
        "systemctl -q mask docker.socket",
        remedy("docker.socket"),
        "docker_socket docker.socket",
    ),
    finding(
        "another member of the docker group",
        "useradd mallory; gpasswd -a mallory docker >/dev/null",
        "userdel mallory",
        "docker_group engine.users",
    ),
    finding(
        "another CA for a declared registry",
        "cp /etc/docker/certs.d/one.example/ca.crt /etc/docker/certs.d/one.example/other.crt",
        "rm /etc/docker/certs.d/one.example/other.crt",
        "certificates_declared engine.registries",
    ),
    finding(
        "a CA for another registry",
        "mkdir /etc/docker/certs.d/other.example;"
        " cp /etc/docker/certs.d/one.example/ca.crt /etc/docker/certs.d/other.example/",
        "rm -r /etc/docker/certs.d/other.example",
        "certificates_declared engine.registries",
    ),
    mended(
        "an authority's ca.crt removed",
        "rm /etc/docker/certs.d/two.example/ca.crt",
        "certificate /etc/docker/certs.d/two.example/ca.crt",
    ),
    mended("/etc/docker writable by others", "chmod 0777 /etc/docker", "guarded_folder /etc/docker"),
    mended("/etc/docker of another owner", "chown alice /etc/docker", "guarded_folder /etc/docker"),
    mended(
        "daemon.json is a link to the same text",
        "mv /etc/docker/daemon.json /etc/other.json; ln -s /etc/other.json /etc/docker/daemon.json",
        *LOADED,
    ),
    mended("daemon.json of another owner", "chown alice /etc/docker/daemon.json", *LOADED),
    mended("daemon.json of another mode", "chmod 0666 /etc/docker/daemon.json", *LOADED),
    finding(
        "data-root is a link",
        "systemctl stop docker.socket docker; mv /srv/docker /srv/other; ln -s /srv/other /srv/docker;"
        " rm -f /run/provision/loaded/docker; touch /etc/docker/daemon.json; systemctl start docker",
        "systemctl stop docker.socket docker; rm /srv/docker; mv /srv/other /srv/docker; systemctl start docker",
        "data_root /srv/docker",
        "daemon_key data-root",
    ),
    finding(
        "first rule of FORWARD accepts all",
        "iptables -I FORWARD -j ACCEPT",
        "iptables -D FORWARD -j ACCEPT",
        "forward_policy_live drop",
    ),
    mended("policy of ip6tables' FORWARD", "ip6tables -P FORWARD ACCEPT", "forward_policy_live drop"),
    finding(
        "drop-in of provision-forward",
        "mkdir -p /etc/systemd/system/provision-forward.service.d; printf '[Service]\\nExecStart=\\n"
        "ExecStart=/bin/true\\n' >/etc/systemd/system/provision-forward.service.d/other.conf; systemctl daemon-reload",
        "rm -r /etc/systemd/system/provision-forward.service.d; systemctl daemon-reload",
        "forward_policy_at_boot drop",
    ),
    finding(
        "blacklisted module",
        "echo blacklist overlay >/etc/modprobe.d/other.conf",
        "rm /etc/modprobe.d/other.conf",
        "module_at_boot overlay",
    ),
    finding(
        "module whose install does nothing",
        "echo install overlay /bin/true >/etc/modprobe.d/other.conf",
        "rm /etc/modprobe.d/other.conf",
        "module_at_boot overlay",
    ),
    finding(
        "later sysctl.d file",
        "echo net.ipv4.ip_forward=0 >/etc/sysctl.d/zzz.conf",
        "rm /etc/sysctl.d/zzz.conf",
        "sysctl_at_boot net.ipv4.ip_forward",
        shown=True,
    ),
    # Who can be root.
    mended("docker's socket open to all", "chmod 0666 /run/docker.sock", "open_socket /run/docker.sock"),
    mended("docker's socket of another group", "chgrp users /run/docker.sock", "open_socket /run/docker.sock"),
    mended(
        "docker's group has another number",
        "groupmod -g 4711 docker",
        "open_socket /run/docker.sock",
    ),
    mended(
        "containerd's socket open to all",
        "chmod 0666 /run/containerd/containerd.sock",
        "open_socket /run/containerd/containerd.sock",
    ),
    mended("a set-id bit on docker's client", "chmod u+s /usr/bin/docker", "program docker"),
    finding(
        "drop-in of docker.socket: mode and port",
        socket_dropin("SocketMode=0666\nListenStream=0.0.0.0:2375"),
        _NO_SOCKET_DROPIN,
        "unit_unchanged docker.socket",
        "open_socket /run/docker.sock",
        "daemon_listens engine",
        shown=True,
    ),
    finding(
        "drop-in of docker.socket, not started yet",
        socket_dropin("ListenStream=0.0.0.0:2375", "systemctl daemon-reload"),
        _NO_SOCKET_DROPIN,
        "unit_unchanged docker.socket",
        shown=True,
    ),
    finding(
        "runc replaced",
        "cp -p /usr/bin/runc /tmp/runc; echo >>/usr/bin/runc",
        "cp -p /tmp/runc /usr/bin/runc",
        "package_files engine",
    ),
    finding(
        "another runc that is found first",
        "cp /usr/bin/runc /usr/local/bin/runc",
        "rm /usr/local/bin/runc",
        "program runc",
    ),
    finding(
        "dockerd altered",
        "cp -p /usr/bin/dockerd /tmp/dockerd; cp -p /tmp/dockerd /usr/bin/dockerd.new; echo >>/usr/bin/dockerd.new;"
        " mv /usr/bin/dockerd.new /usr/bin/dockerd",
        f"mv /tmp/dockerd /usr/bin/dockerd; {_RESTART}",
        "daemon_program engine",
        "package_files engine",
        shown=True,  # docker is restarted, and runs the altered program
    ),
    finding("/usr/bin of another account", "chown alice /usr/bin", "chown root /usr/bin", "guarded_folder /usr/bin"),
    finding("/var/lib writable by others", "chmod 0777 /var/lib", "chmod 0755 /var/lib", "guarded_folder /var/lib"),
    finding("data-root's directory writable", "chmod 0777 /srv", "chmod 0755 /srv", "guarded_folder /srv"),
    finding(
        "apt's sources writable by others",
        "chmod 0777 /etc/apt/sources.list.d",
        "chmod 0755 /etc/apt/sources.list.d",
        "guarded_folder /etc/apt/sources.list.d",
    ),
    finding("empty password of a declared user", "passwd -q -d alice", "passwd -q -l alice", "user_account alice"),
    finding("expired account of a declared user", "chage -E 1 alice", "chage -E -1 alice", "user_account alice"),
    finding(
        "DefaultEnvironment of systemd's manager",
        "mkdir -p /etc/systemd/system.conf.d; printf '[Manager]\nDefaultEnvironment=HTTPS_PROXY=http://other:1\n'"
        " >/etc/systemd/system.conf.d/other.conf",
        "rm -r /etc/systemd/system.conf.d",
        "service_environment docker",
    ),
    # What the next start or the next boot loses.
    finding("drop-in: Restart=no", dropin("Restart=no\n"), _NO_DROPIN, "unit_unchanged docker"),
    finding("drop-in: MemoryMax", dropin("MemoryMax=512M\n"), _NO_DROPIN, "unit_unchanged docker"),
    finding(
        "drop-in of containerd",
        "mkdir -p /etc/systemd/system/containerd.service.d; printf '[Service]\nEnvironment=LD_PRELOAD=/x\n'"
        " >/etc/systemd/system/containerd.service.d/other.conf; systemctl daemon-reload",
        "rm -r /etc/systemd/system/containerd.service.d; systemctl daemon-reload",
        "unit_unchanged containerd",
    ),
    finding(
        "containerd masked",
        "systemctl -q mask containerd",
        "systemctl -q unmask containerd; systemctl start containerd",
        "docker_socket containerd",
    ),
    finding(
        "containerd disabled",
        "systemctl -q disable containerd",
        "systemctl -q enable containerd",
        "docker_socket containerd",
    ),
    finding(
        "systemd-sysctl masked",
        "systemctl -q mask systemd-sysctl",
        "systemctl -q unmask systemd-sysctl",
        "boot_unit systemd-sysctl",
    ),
    finding(
        "systemd-modules-load masked",
        "systemctl -q mask systemd-modules-load",
        "systemctl -q unmask systemd-modules-load",
        "boot_unit systemd-modules-load",
    ),
    mended(
        "docker's wants-link removed",
        "rm /etc/systemd/system/multi-user.target.wants/docker.service",
        "service_enabled docker",
        "service_at_boot docker",
    ),
    finding(
        "docker wanted by a target that nothing starts",
        "mkdir -p /etc/systemd/system/rescue.target.wants;"
        " mv /etc/systemd/system/multi-user.target.wants/docker.service /etc/systemd/system/rescue.target.wants/;"
        " systemctl daemon-reload",
        "rm -r /etc/systemd/system/rescue.target.wants; systemctl -q reenable docker",
        "service_at_boot docker",
    ),
    finding(
        "default.target changed",
        "systemctl -q set-default rescue.target",
        "systemctl -q set-default graphical.target",
        "service_at_boot docker",
    ),
    finding(
        "apt pin that blocks docker-ce",
        "printf 'Package: docker-ce\nPin: version *\nPin-Priority: -1\n' >/etc/apt/preferences.d/other",
        "rm /etc/apt/preferences.d/other",
        "package_available engine",
    ),
    finding(
        "containerd's root moved by a link",
        # It is a mount in the lab.
        "systemctl stop docker.socket docker containerd; umount -l /var/lib/containerd; mkdir /srv/moved;"
        " rm -r /var/lib/containerd; ln -s /srv/moved /var/lib/containerd; systemctl start docker.socket docker",
        "systemctl stop docker.socket docker containerd; rm /var/lib/containerd; mkdir -m 0711 /var/lib/containerd;"
        " systemctl start docker.socket docker",
        "data_root /var/lib/containerd",
        "containerd_root /var/lib/containerd",
    ),
    finding(
        "containerd's root moved by its config.toml",
        "mkdir -p /etc/containerd; printf 'version = 2\nroot = \"/srv/other\"\n' >/etc/containerd/config.toml;"
        " systemctl stop docker.socket docker containerd; systemctl start docker.socket docker",
        "systemctl stop docker.socket docker containerd; rm /etc/containerd/config.toml;"
        " systemctl start docker.socket docker",
        "containerd_root /var/lib/containerd",
    ),
    # The network.
    finding(
        "a second address on docker0",
        "ip address add 10.77.0.1/24 dev docker0",
        "ip address del 10.77.0.1/24 dev docker0",
        "bridge_address docker0",
    ),
    finding(
        "a host address inside docker0's network",
        "ip link add other0 type bridge; ip address add 172.17.200.1/32 dev other0",
        "ip link del other0",
        "bridge_address docker0",
    ),
    finding(
        "first rule of FORWARD accepts one interface",
        "iptables -I FORWARD -i eth0 -j ACCEPT",
        "iptables -D FORWARD -i eth0 -j ACCEPT",
        "forward_policy_live drop",
    ),
    finding(
        "the host's name points elsewhere",
        "echo 192.0.2.7 $(uname -n) >>/etc/hosts",
        "sed -i /192.0.2.7/d /etc/hosts",
        "hostname_resolves box",
    ),
    finding(
        "a rule of DOCKER-USER that drops all",
        "iptables -I DOCKER-USER -j DROP",
        "iptables -D DOCKER-USER -j DROP",
        # This dockerd makes its bridges pass iptables (bridge-nf-call-iptables).
        "container_reaches_container docker0",
        f"container_reaches_outside {MIRROR}",
        packets=True,
    ),
    finding(
        "all rules flushed (nft)",
        "nft flush ruleset",
        "systemctl restart docker",
        "forward_policy_live drop",
        "nat docker0",
        f"container_reaches_outside {MIRROR}",
        shown=True,  # the policy is repaired; dockerd writes its rules when it starts
        packets=True,
    ),
    # What provision itself relies on.
    finding(
        "provision's directory writable by others",
        "chmod 0777 /var/lib/provision",
        "chmod 0700 /var/lib/provision",
        "guarded_folder /var/lib/provision",
        shown=True,
    ),
    finding(
        "dockerd stopped by a signal",
        "kill -STOP $(cat /run/docker.pid)",
        "kill -CONT $(cat /run/docker.pid)",
        "daemon_listens engine",  # the first check that asks docker; the others are skipped
        shown=True,
    ),
    # Out of scope.
    unseen(
        "root's docker context",
        "docker context create other --docker host=tcp://127.0.0.1:1; docker context use other",
        "docker context use default; docker context rm other",
    ),
    unseen("a name server that does not answer", "echo nameserver 192.0.2.1 >/etc/resolv.conf", "rm /etc/resolv.conf"),
    unseen(
        "a manifest that root has deleted",
        "mv /var/lib/provision/manifests /var/lib/provision/other",
        "rm -rf /var/lib/provision/manifests; mv /var/lib/provision/other /var/lib/provision/manifests",
    ),
    unseen(
        "a unit, cron job or program of another party that sets a kernel setting later",
        "printf '[Unit]\nAfter=systemd-sysctl.service\n[Service]\nType=oneshot\n"
        "ExecStart=sysctl -w net.ipv4.ip_forward=0\n[Install]\nWantedBy=multi-user.target\n'"
        " >/etc/systemd/system/other.service; systemctl -q enable other",
        "systemctl -q disable other; rm /etc/systemd/system/other.service; systemctl daemon-reload",
    ),
    unseen("another uid of a user", "usermod -u 4567 alice", "usermod -u 4568 alice"),
    unseen("a locked password", "usermod -L alice", "true"),
    # daemon.json means the same, and docker has to show that it has loaded it.
    mended("daemon.json touched", "sleep 1.1; touch /etc/docker/daemon.json", LOADED[1]),
    mended("daemon.json with a new change time", "sleep 1.1; chown root:root /etc/docker/daemon.json", LOADED[1]),
    mended(
        "daemon.json with a byte order mark",
        "sleep 1.1; sed -i '1s/^/\\xef\\xbb\\xbf/' /etc/docker/daemon.json",
        LOADED[1],
    ),
    mended(
        "daemon.json in another form",
        "sleep 1.1; tr -d '\n' </etc/docker/daemon.json >/tmp/x; cat /tmp/x >/etc/docker/daemon.json",
        LOADED[1],
    ),
]


def failed(host: LabHost, packets: bool = False) -> frozenset[str]:
    suites = ("access", "settings", "daemon", *(("foundation",) if packets else ()))
    return frozenset(host.provision("verify", *(f"--suite={name}" for name in suites)).failed)


def prepared(host: LabHost) -> None:
    from pyrage import x25519

    renew(host.folder / "ca", "lab", (), [x25519.Identity.generate().to_public()])
    done = host.apply(SPEC)
    assert done.counts == {"changed": 1}, done.out + done.err


def test_each_mutation_is_repaired_or_reported(docker_host: LabHost) -> None:
    """plan, apply and verify report each mutation as in the table, and verify passes after it is undone."""
    host = docker_host
    prepared(host)
    assert failed(host, packets=True) == frozenset()
    wrong = []
    print(f"\n{'mutation':46} {'plan':5} {'apply':7} verify")
    for one in MUTATIONS:
        # systemd allows three starts of docker a minute; this test needs more.
        host.sh(f"systemctl reset-failed docker; {one.script}")
        planned = host.plan()
        seen = failed(host, one.packets)
        shown, applied = bool(planned.items) or planned.code == 3, "-"
        if shown:
            done = host.apply()
            applied = "mended" if done.code == 0 and not failed(host, one.packets) and not host.plan().items else "left"
        verdict = ", ".join(sorted(seen)) or "passes"
        print(f"{one.name:46} {'shows' if shown else 'ok':5} {applied:7} {verdict}", flush=True)
        outcome = "mended" if one.mended else "left" if one.shown else "-"
        expected = (one.mended or one.shown, outcome, one.fails)
        if (shown, applied, seen) != expected:
            wrong.append((one.name, expected, (shown, applied, seen), planned.items))
        if applied != "mended":
            host.sh(one.heal or "true", check=False)
            if one.mended:  # undo it here too, so that the next mutation starts from a good host even if apply fails
                host.sh(_HEAL_ALL)
                host.apply()
    assert failed(host, packets=True) == frozenset()
    assert not wrong, "\n".join(map(str, wrong))


#: Undo by hand what apply should have repaired, so that one failure does not make all others fail.
_HEAL_ALL = f"""
sed -i /^Trusted/d {SOURCE}; rm -f /etc/apt/sources.list.d/other.list
sed -i '/-----END/q' /etc/apt/keyrings/docker.asc
systemctl -q enable docker; chmod 0755 /etc/docker; chown root /etc/docker
"""
