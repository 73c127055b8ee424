"""Files and settings are as the spec declares them: on disk, live, and at the next boot.

Every probe is testinfra's or a program of the distribution. No check depends on how a setting was made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import takewhile
from pathlib import PurePosixPath

import pytest
from testinfra.host import Host

from provision.lines import lines_of
from provision.project.host_config import Context, HostConfig
from provision.verify import package_manager, services
from provision.verify.declared import Archive, Named
from provision.verify.docker import members
from provision.verify.services import uses_systemd


def hostname(config: HostConfig, context: Context) -> Iterator[Named]:
    if config.spec.hostname is not None:
        yield Named(config.spec.hostname, config.spec.hostname)


def sysctl(config: HostConfig, context: Context) -> Iterator[Named]:
    yield from (Named(key, value) for key, value in config.spec.sysctl.items())


def module(config: HostConfig, context: Context) -> Iterator[Named]:
    yield from (Named(name, name) for name in config.spec.modules)


PROVIDERS = (hostname, sysctl, module)


def test_hostname_live(host: Host, hostname: Named) -> None:
    assert host.check_output("uname -n") == hostname.value


def test_hostname_at_boot(host: Host, hostname: Named) -> None:
    assert host.file("/etc/hostname").content_string.strip() == hostname.value


def test_hostname_resolves(host: Host, hostname: Named) -> None:
    name = hostname.value
    assert host.run("getent hosts %s", name).stdout.split()[1:], f"{name} does not resolve"
    lines = [line.partition("#")[0].split() for line in lines_of(host.run("cat /etc/hosts").stdout)]
    own = host.check_output("ip -o address show").split()
    others = [
        line[0]
        for line in lines
        if name in line[1:]
        and not line[0].startswith("127.")
        and not any(word.partition("/")[0] == line[0] for word in own)
    ]
    assert others == [], f"/etc/hosts has {name} with an address of another host: remove that line"


def test_file_content(host: Host, declared_file: Named) -> None:
    file = host.file(declared_file.name)
    assert file.is_file
    assert not file.is_symlink
    wanted = declared_file.value
    same = file.content == wanted.content
    if same or wanted.secret or not wanted.mode & 0o004 or not _for_all(host, declared_file.name):
        assert same, "different content (not shown, because it may be a secret)"
    else:
        assert file.content == wanted.content


def _for_all(host: Host, path: str) -> bool:
    """True if every user of the host can read a file: only then does a failure show its content."""
    folders = [str(folder) for folder in PurePosixPath(path).parents]
    return bool(host.file(path).mode & 0o004) and all(host.file(folder).mode & 0o001 for folder in folders)


def test_file_owner_and_mode(host: Host, declared_file: Named) -> None:
    file = host.file(declared_file.name)
    assert (file.user, file.group, oct(file.mode)) == (
        declared_file.value.owner,
        declared_file.value.group,
        oct(declared_file.value.mode),
    )


def test_file_absent(host: Host, absent_file: Named) -> None:
    assert not host.file(absent_file.name).exists


def test_sysctl_live(host: Host, sysctl: Named) -> None:
    assert " ".join(str(host.sysctl(sysctl.name)).split()) == sysctl.value


def test_sysctl_at_boot(host: Host, sysctl: Named) -> None:
    """The files that systemd-sysctl itself reads, in its order (systemd-sysctl.service(8), --cat-config); where it does
    not exist, the files that sysctl(8) --system reads."""
    value = None
    command = "/usr/lib/systemd/systemd-sysctl --cat-config"
    if not uses_systemd(host):
        command = "cat /usr/lib/sysctl.d/*.conf /run/sysctl.d/*.conf /etc/sysctl.d/*.conf /etc/sysctl.conf 2>/dev/null"
    for line in lines_of(host.run(command).stdout):
        key, separator, text = line.strip().partition("=")
        if separator and key.strip().lstrip("-").replace("/", ".") == sysctl.name.replace("/", "."):
            value = " ".join(text.split())
    assert value == sysctl.value


def test_module_loaded(host: Host, module: Named) -> None:
    name = module.name.replace("-", "_")
    builtin = host.run("grep -q %s /lib/modules/$(uname -r)/modules.builtin", f"/{name}[.]ko")
    assert host.file(f"/sys/module/{name}").is_directory or builtin.succeeded


def test_module_at_boot(host: Host, module: Named) -> None:
    # Some of these files do not exist; cat reports this by its status.
    command = "cat /etc/modules /etc/modules-load.d/*.conf /usr/lib/modules-load.d/*.conf"
    lines = lines_of(host.run(command).stdout)
    name = module.name.replace("-", "_")
    assert name in {line.strip().replace("-", "_") for line in lines}
    assert _denied(host, name) == [], f"the boot does not load {module.name}"


def _denied(host: Host, module: str) -> list[str]:
    """Lines of modprobe.d(5) that keep the boot from loading a module: "blacklist", which systemd-modules-load
    obeys, and an "install" command that does not run modprobe."""
    folders = ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
    files = " ".join(f"{folder}/modprobe.d/*.conf" for folder in folders)
    # kmod's program also handles modules that the kernel's command line denies, and files that mask others.
    lines = host.run(f"modprobe -c 2>/dev/null || cat {files} 2>/dev/null").stdout.split("\n")
    words = [(line, line.split()) for line in lines if not line.lstrip().startswith("#")]
    named = [(line, each) for line, each in words if len(each) > 1 and each[1].replace("-", "_") == module]
    return [
        line
        for line, each in named
        if each[0] == "blacklist" or (each[0] == "install" and "modprobe" not in " ".join(each[2:]))
    ]


def test_package_installed(host: Host, package: Named) -> None:
    assert package_manager.installed(host, _named(host, package))


def _named(host: Host, package: Named) -> str:
    """Its name on this host. A part of the engine that the distribution packs into another package has no name."""
    if (name := package_manager.named(host, package.name, package.rows)) is None:
        pytest.skip("the distribution has no such package")
    return name


def test_package_pinned(host: Host, pinned_package: Named) -> None:
    pin, version = pinned_package.value, package_manager.version(host, _named(host, pinned_package))
    bare = version.partition(":")[2] or version
    assert any(found == pin or (found.startswith(pin) and found[len(pin)] in "-.+~") for found in (version, bare)), (
        f"{pinned_package.name} is {version}, the pin is {pin}"
    )


def test_package_held(host: Host, held_package: Named) -> None:
    assert package_manager.held(host, _named(host, held_package))


def test_package_absent(host: Host, absent_package: Named) -> None:
    if absent_package.value and not package_manager.publishes(host, absent_package.rows):
        pytest.skip("the engine comes from the distribution, in packages with these names")
    assert not package_manager.installed(host, absent_package.name)


def test_archive(host: Host, archive: Named) -> None:
    """The package manager itself lists the archive once, and only the key that the spec names may sign it."""
    wanted: Archive = archive.value
    on = package_manager.platform(host, archive.rows)
    if wanted.docker and not on.docker:
        pytest.skip("the engine comes from the distribution")
    if package_manager.uses_rpm(host):
        url = f"{wanted.url}/{on.docker}/$basearch/{wanted.components[0]}"
        url = url if wanted.docker else wanted.url
        found = [options for options in package_manager.rpm_repositories(host).values() if options["baseurl"] == url]
        assert [(one["gpgcheck"], one["gpgkey"]) for one in found] == [("1", f"file://{_keyring(host, wanted)}")]
        return
    url = f"{wanted.url}/{on.docker}" if wanted.docker else wanted.url
    targets = [target for target in package_manager.apt_targets(host) if target[0].rstrip("/") == url]
    suites = wanted.suites or (on.suite if wanted.docker else on.codename,)
    expected = {(suite, component) for suite in suites for component in wanted.components}
    assert {(target[1], target[2]) for target in targets} == expected, f"apt has of {url}: {targets}"
    assert {target[3] for target in targets if len(target) > 3} == {_keyring(host, wanted)}


def test_archive_signed(host: Host, signed_sources: Named) -> None:
    """No archive, declared or not, may install packages without a signature: such a package can do anything as root."""
    if package_manager.uses_rpm(host):
        unchecked = {id for id, one in package_manager.rpm_repositories(host).items() if one.get("gpgcheck") == "0"}
        assert unchecked == set(), "repositories with gpgcheck=0"
    elif host.exists("apt-get"):
        assert package_manager.unsigned_sources(host) == []
    else:
        pytest.skip("apk has no such option in its files")


def _keyring(host: Host, archive: Archive) -> str:
    folder = "/etc/pki/rpm-gpg/RPM-GPG-KEY-{}" if package_manager.uses_rpm(host) else "/etc/apt/keyrings/{}.asc"
    return folder.format(archive.name)


def test_archive_key(host: Host, signed_archive: Named) -> None:
    archive: Archive = signed_archive.value
    if archive.docker and not package_manager.publishes(host, signed_archive.rows):
        pytest.skip("the engine comes from the distribution")
    if not host.exists("gpg"):
        pytest.skip("gpg is not on this host")
    # gpg needs a home directory, even an empty one. It shows only the keys of a file's first block, and a package
    # manager takes the keys of all blocks.
    command = (
        "home=$(mktemp -d) && awk -v RS=-----BEGIN -v home=$home"
        ' \'NR > 1 { file = home "/block" NR; printf "%%s%%s", RS, $0 >file; close(file) }\' %s'
        " && for block in $home/block*; do gpg --homedir $home --batch --with-colons --show-keys $block; done;"
        " rm -r $home"
    )
    colons = host.check_output(command, _keyring(host, archive))
    lines = [line.split(":") for line in lines_of(colons)]
    primary = {lines[n + 1][9] for n, line in enumerate(lines) if line[0] == "pub"}
    assert primary
    assert primary <= set(archive.fingerprints or package_manager.published_keys(host))


def test_user(host: Host, user: Named) -> None:
    account = host.user(user.name)
    assert account.exists
    wanted = {"uid": user.value.uid, "shell": user.value.shell, "home": user.value.home, "gecos": user.value.comment}
    seen = {key: getattr(account, key) for key, value in wanted.items() if value is not None}
    assert seen == {key: value for key, value in wanted.items() if value is not None}


def test_user_account(host: Host, user: Named) -> None:
    """The account has no empty password and has not expired (shadow(5)). A locked password is not a finding: a login
    with a key needs none."""
    line = host.run(
        'getent shadow %s | { IFS=: read -r _ word _ _ _ _ _ ends _; echo "${word:-none} $ends"; }', user.name
    )
    words = line.stdout.split()
    empty = words[:1] == ["none"]
    assert not empty, f"it has an empty password: passwd -l {user.name}"
    today = int(host.check_output("date +%s")) // 86400
    expired = len(words) > 1 and words[1].isdigit() and int(words[1]) <= today
    assert not expired, f"the account has expired, and no login works: chage -E -1 {user.name}"


def test_user_absent(host: Host, absent_user: Named) -> None:
    assert not host.user(absent_user.name).exists


def test_member(host: Host, member: Named) -> None:
    name, group = member.value
    assert group in host.user(name).groups


def test_service_enabled(host: Host, enabled_service: Named) -> None:
    assert host.service(enabled_service.name).is_enabled == enabled_service.value
    if enabled_service.value and uses_systemd(host):
        state = host.run("systemctl is-enabled -- %s", enabled_service.name).stdout.strip()
        assert not state.endswith("-runtime"), f"{state}: the links are below /run, and lost at the next boot"


def test_service_running(host: Host, running_service: Named) -> None:
    assert host.service(running_service.name).is_running == running_service.value


def test_daemon_json(host: Host, daemon: Named) -> None:
    # dockerd ignores a byte order mark (moby, daemon/config/config.go: getConflictFreeConfiguration).
    found = json.loads(host.file("/etc/docker/daemon.json").content_string.removeprefix("\ufeff"))
    same = found == daemon.value
    if same or not _for_all(host, "/etc/docker/daemon.json"):
        assert same, "different settings (not shown, because they may hold a secret)"
    else:
        assert found == daemon.value


def test_daemon_json_file(host: Host, daemon: Named) -> None:
    """Only root may write the file, and it is not a link: otherwise another account could decide what dockerd does."""
    file = host.file("/etc/docker/daemon.json")
    assert not file.is_symlink
    assert (file.user, file.group, oct(file.mode)) == ("root", "root", oct(0o644))


def test_guarded_folder(host: Host, guarded_folder: Named) -> None:
    """Only root may write there: any other account with write permission could replace the files in it."""
    found = host.run("stat -L -c '%%F:%%U:%%G:%%a' %s", guarded_folder.name).stdout.strip()
    if not found.startswith("directory:"):
        return
    _, user, group, mode = found.split(":")
    others = int(mode, 8) & (0o002 if group == "root" else 0o022)
    guarded = user == "root" and not others
    assert guarded, f"{user}:{group} {mode}: chown root {guarded_folder.name}; chmod go-w {guarded_folder.name}"


def test_docker_group(host: Host, docker_users: Named) -> None:
    """A member of this group is root (docs.docker.com/engine/security): only accounts that the spec names may be
    members."""
    assert members(host, "docker") - docker_users.value == set(), (
        "members of docker that the spec does not name: gpasswd -d NAME docker, or name them in engine.users"
    )


def test_certificates_declared(host: Host, certificate_list: Named) -> None:
    """dockerd trusts each CA in the directory of a registry (moby, registry/registry.go: *.crt, *.cert, *.key)."""
    find = "find /etc/docker/certs.d ! -type d '(' -name '*.crt' -o -name '*.cert' -o -name '*.key' ')'"
    assert set(host.run(find).stdout.split("\n")) - {""} - certificate_list.value == set(), (
        "remove these files, or declare them in engine.registries or files"
    )


def test_docker_socket(host: Host, docker_socket: Named) -> None:
    """docker.service requires it: where it is masked, docker does not start. It may be disabled only where its package
    does not enable it (systemd.preset(5)). The same for containerd, without which dockerd does not start either."""
    if not uses_systemd(host):
        pytest.skip("only systemd has sockets")
    name = docker_socket.name
    seen = services.show(host, name, "LoadState", "UnitFileState", "UnitFilePreset")
    if seen["LoadState"] == "not-found":
        pytest.skip("the package has no such unit")
    state = seen["UnitFileState"]
    start = "systemctl start containerd"
    if name == "docker.socket":  # it is opened only while no docker runs
        start = "systemctl stop docker.socket docker; systemctl start docker.socket docker"
    masked = seen["LoadState"] == "masked" or state.startswith("masked")
    assert not masked, f"masked, so docker's next start fails: systemctl unmask {name}; {start}"
    enabled = state == "enabled" or seen["UnitFilePreset"] != "enabled"
    assert enabled, f"{state}, and its package enables it: systemctl enable {name}, or declare it in services"


def test_data_root(host: Host, data_root: Named) -> None:
    """A directory and not a link: another party could exchange the link's target, or the target may not be mounted at
    boot."""
    file = host.file(data_root.name)
    assert not file.is_symlink, (
        f"a link to {file.linked_to}; declare that directory (engine.daemon.data-root, engine.containerd_root)"
    )


def test_certificate(host: Host, certificate: Named) -> None:
    """Byte for byte, and only root may read the key; a failure shows neither."""
    wanted, file = certificate.value, host.file(certificate.name)
    assert file.is_file
    same = file.content == wanted.content
    assert same, "another content"
    assert (file.user, file.group, oct(file.mode)) == (wanted.owner, wanted.group, oct(wanted.mode))


def test_forward_policy_live(host: Host, forward_policy: Named) -> None:
    """The policy, and that no rule before it accepts everything; for IPv6 too, where the host has it."""
    programs = ["iptables"]
    if host.file("/proc/net/if_inet6").exists and host.run("ip6tables -S FORWARD").succeeded:
        programs.append("ip6tables")
    for program in programs:
        rules = host.check_output(f"{program} -S FORWARD").split("\n")
        assert rules[0] == f"-P FORWARD {forward_policy.value}", program
        if forward_policy.value == "DROP":
            user = host.run(f"{program} -S DOCKER-USER").stdout.split("\n")  # missing where no dockerd runs
            early = [rule for rule in takewhile(_before_docker, rules) if rule.endswith("-j ACCEPT")]
            open_rules = [rule for rule in early if "ESTABLISHED" not in rule]
            open_rules += [rule for rule in user if _accepts_all(rule)]
            assert open_rules == [], f"remove these rules ({program} -D, with the words of the rule after -A)"


def _before_docker(rule: str) -> bool:
    """True if a rule of FORWARD comes before docker's own, so that it decides first."""
    return not rule.startswith(("-A FORWARD -j DOCKER", "-A FORWARD -o "))


def _accepts_all(rule: str) -> bool:
    return rule.strip() == "-A DOCKER-USER -j ACCEPT"


def test_forward_policy_at_boot(host: Host, forward_policy: Named) -> None:
    """A service of provision runs at boot, and sets this policy."""
    service = host.service("provision-forward")
    assert service.is_enabled
    command = "systemctl cat provision-forward" if uses_systemd(host) else "cat /etc/init.d/provision-forward"
    assert f"iptables -w -P FORWARD {forward_policy.value}" in host.check_output(command)
    if uses_systemd(host):
        own = ("/etc/systemd/system/provision-forward.service",)
        assert services.undeclared(host, "provision-forward", own) == {}


def test_firewalld_zone(host: Host, firewalld: Named) -> None:
    """firewalld itself reports it, for now and for its next start."""
    for options in ("", "--permanent "):
        zone = host.check_output(f"firewall-cmd {options}--info-zone=docker")
        assert "target: ACCEPT" in zone
        assert firewalld.value in zone.partition("interfaces:")[2].partition("\n")[0].split()
