"""The running daemon is as the spec declares it, by its own answer; and it has loaded the file that is on disk."""

from __future__ import annotations

import re
from ipaddress import ip_interface

import pytest
from testinfra.host import Host

from provision.lines import lines_of
from provision.verify.declared import Named
from provision.verify.docker import ask, info, is_pinned, reloaded, started
from provision.verify.services import command, dockerd, uses_systemd

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


def test_daemon_answers(host: Host, engine: Named) -> None:
    assert info(host)["ServerVersion"]


def test_daemon_program(host: Host, engine: Named) -> None:
    """The running dockerd is the installed one: a package may be upgraded without a restart (policy-rc.d)."""
    program = host.check_output("command -v dockerd")
    running, installed = host.check_output(f"stat -Lc %%d:%%i /proc/{dockerd(host)}/exe %s", program).split()
    assert running == installed, f"dockerd runs from before its file {program} was replaced"


def test_daemon_version(host: Host, pinned_engine: Named) -> None:
    version, pin = info(host)["ServerVersion"], pinned_engine.value
    assert is_pinned(version, pin), f"{version} runs, {pin} is declared"


def test_daemon_key(host: Host, daemon_key: Named) -> None:
    """Key by key, where the daemon shows the key."""
    key, wanted = daemon_key.name, daemon_key.value
    if key == "bip":
        assert wanted in host.check_output("ip -o -4 address show dev docker0").split()
        return
    if key == "mtu":
        options = ask(host, "docker network inspect bridge --format '{{json .Options}}'")
        assert options["com.docker.network.driver.mtu"] == str(wanted)
        return
    seen = info(host)
    if key in _INFO:
        assert seen[_INFO[key]] == wanted
    elif key == "exec-opts":
        driver = [option.partition("=")[2] for option in wanted if option.startswith("native.cgroupdriver=")]
        assert driver in ([], [seen["CgroupDriver"]])
    elif key == "registry-mirrors":
        mirrors = [url.rstrip("/") for url in seen["RegistryConfig"]["Mirrors"]]
        assert mirrors == [url.rstrip("/") for url in wanted]
    elif key == "insecure-registries":
        registry = seen["RegistryConfig"]
        insecure = {name for name, index in registry["IndexConfigs"].items() if not index["Secure"]}
        assert set(wanted) <= insecure | set(registry["InsecureRegistryCIDRs"])
    elif key == "labels":
        assert sorted(seen["Labels"]) == sorted(wanted)
    elif key == "userns-remap":
        assert any("userns" in option for option in seen["SecurityOptions"])
    else:
        pytest.skip("docker info does not show it; test_daemon_has_loaded_its_file covers it")


def test_daemon_command(host: Host, docker_unit: Named) -> None:
    """The running daemon was started with the words of its package's unit and of the declared files, and with no
    others."""
    running = host.check_output("tr '\\0' '\\n' </proc/%s/cmdline", dockerd(host)).split("\n")
    wanted = command(host, docker_unit.name, docker_unit.value) if uses_systemd(host) else []
    if wanted and not any("$" in word for word in wanted):
        assert running == wanted
        return
    if any(path.startswith(("/etc/default/", "/etc/sysconfig/")) for path in docker_unit.value):
        pytest.skip("a declared file has the daemon's options")
    # The package's own file may add options, but none that gives access to the daemon or changes what it trusts.
    extra = [word for word in running if word not in wanted]
    assert [word for word in extra if word.partition("=")[0] in _OPENING or "tcp://" in word] == []


#: dockerd's flags that give another party access to the daemon or its containers
#: (docs.docker.com/reference/cli/dockerd).
_OPENING = ("--insecure-registry", "--registry-mirror", "--config-file", "--authorization-plugin", "--tlsverify=false")


def test_daemon_registries(host: Host, daemon: Named) -> None:
    """No registry without TLS, and no mirror, except the declared ones and dockerd's own defaults."""
    seen = info(host)["RegistryConfig"]
    insecure = {name for name, index in seen["IndexConfigs"].items() if not index["Secure"]}
    insecure |= set(seen["InsecureRegistryCIDRs"]) - {"127.0.0.0/8", "::1/128"}
    assert insecure - set(daemon.value.get("insecure-registries") or ()) == set(), "registries without TLS"
    mirrors = {url.rstrip("/") for url in seen["Mirrors"] or ()}
    assert mirrors - {url.rstrip("/") for url in daemon.value.get("registry-mirrors") or ()} == set(), "mirrors"


def test_daemon_has_loaded_its_file(host: Host, daemon: Named) -> None:
    """The daemon must have started after the file's last change, or report that it has reloaded the file since then. A
    file that was written but never loaded fails."""
    changed = int(host.check_output("stat -c %Z /etc/docker/daemon.json"))
    if changed > started(host):
        assert reloaded(host, changed), "daemon.json was changed after the daemon was started, and not reloaded"


def test_daemon_proxy(host: Host, proxy: Named) -> None:
    assert info(host)[proxy.name] == proxy.value


def test_containerd_root(host: Host, containerd_root: Named) -> None:
    """The running containerd keeps its data there: its metadata is open in that directory."""
    if not uses_systemd(host):
        pytest.skip("dockerd runs its own containerd, below data-root")
    pid = host.check_output("systemctl show -p MainPID --value containerd")
    if pid == "0":
        pytest.skip("containerd is not a service here")
    opened = re.findall(
        r"-> (/.*)/io\.containerd\.metadata\.v1\.bolt/meta\.db$",
        host.check_output("ls -l /proc/%s/fd", pid),
        re.MULTILINE,
    )
    assert set(opened) == {containerd_root.value}, "declare engine.containerd_root as the directory that has the data"


def test_bridge_address(host: Host, bridged: Named) -> None:
    """docker's bridge has one address, and no other interface has one in its network: the host would no longer reach
    one of the two."""
    rows = [line.split() for line in lines_of(host.check_output("ip -o -4 address show"))]
    found = [(row[1], ip_interface(row[3])) for row in rows if len(row) > 3]
    own = [address for device, address in found if device == "docker0"]
    if not own:
        pytest.skip("there is no docker0")
    assert len(own) == 1, "remove the address that docker did not set: ip address del ADDRESS dev docker0"
    others = [(device, str(one)) for device, one in found if not device.startswith(_DOCKERS)]
    clash = [(device, one) for device, one in others if ip_interface(one).network.overlaps(own[0].network)]
    assert clash == [], f"inside docker0's {own[0].network}: remove the address, or declare another bip"


#: Interfaces that docker makes.
_DOCKERS = ("docker0", "docker_gwbridge", "br-", "veth", "lo")
