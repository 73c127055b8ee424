"""The results of plan and verify for changes by other parties, each from a host's report."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from provision.model import State
from provision.remote.protocol import Seen
from provision.resources.apt_source import Entry, parse
from provision.resources.folder import GuardedFolder
from provision.resources.obstacle import Unfixable
from provision.resources.service import Service
from provision.resources.sysctl import Sysctl
from provision.verify import package_manager, services

URI = "http://mirror.example"
STANZA = f"Types: deb\nURIs: {URI}\nSuites: trixie\nComponents: stable\nSigned-By: /k.asc\n"
LINE = f"deb [signed-by=/k.asc{{}}] {URI} trixie stable\n"
ENTRY = Entry(URI, ("trixie",), ("stable",), "/k.asc")


@pytest.mark.parametrize("value", ["yes", "Yes", "true", "with", "on", "enable", "1"])
@pytest.mark.parametrize("option", ["Trusted", "Allow-Insecure", "Allow-Weak", "Allow-Downgrade-To-Insecure"])
def test_an_entry_without_signatures_is_a_difference(option: str, value: str) -> None:
    unsigned = Entry(URI, ("trixie",), ("stable",), "/k.asc", (option.lower(),))
    assert parse(f"{STANZA}{option}: {value}\n") == [unsigned]
    assert parse(LINE.format(f" {option.lower()}={value}")) == [unsigned]
    assert parse(LINE.format(f" {option.lower()}+={value}")) == [unsigned]


@pytest.mark.parametrize("more", ["", "Trusted: no\n", "# Trusted: yes\n"])
def test_an_entry_with_signatures_is_in_the_desired_state(more: str) -> None:
    assert parse(STANZA + more) == [ENTRY]


def answering(**answers: str) -> Any:
    """A testinfra host. The answer is the one whose key (with "_" for a blank) is in the command."""

    def run(command: str, *words: str) -> Any:
        text = command % words if words else command
        for key, said in answers.items():
            if key.replace("_", " ") in text:
                return SimpleNamespace(stdout=said, succeeded=True)
        return SimpleNamespace(stdout="", succeeded=False)

    return SimpleNamespace(run=run, check_output=lambda *words: run(*words).stdout)


@pytest.mark.parametrize(
    ("text", "path", "found"),
    [
        (STANZA + "Trusted: yes\n", "a.sources", ["a.sources: Trusted: yes"]),
        (STANZA + "Allow-Insecure: 1\n", "a.sources", ["a.sources: Allow-Insecure: 1"]),
        (STANZA + "Trusted: yes\nEnabled: no\n", "a.sources", []),
        (STANZA + "\n" + STANZA + "trusted:yes\n", "a.sources", ["a.sources: trusted:yes"]),
        (STANZA + "#Trusted: yes\n", "a.sources", []),
        (STANZA + "Trusted: no\n", "a.sources", []),
        (LINE.format(" trusted=yes"), "a.list", ["a.list: trusted=yes"]),
        (LINE.format(" allow-insecure=yes arch=amd64"), "a.list", ["a.list: allow-insecure=yes"]),
        ("# " + LINE.format(" trusted=yes"), "a.list", []),
        (LINE.format(" trusted=no"), "a.list", []),
    ],
)
def test_verify_finds_archives_without_signatures(text: str, path: str, found: list[str]) -> None:
    assert package_manager.unsigned_sources(answering(printf=f"\f{path}\n{text}")) == found


def test_verify_finds_apt_options_that_switch_signatures_off() -> None:
    dump = 'APT::Get::AllowUnauthenticated "true";\nAcquire::AllowInsecureRepositories "0";\n'
    assert package_manager.unsigned_sources(answering(**{"apt-config": dump})) == [
        'APT::Get::AllowUnauthenticated "true"'
    ]


VENDOR = "[Service]\nExecStart=/usr/bin/dockerd -H fd:// \\\n  --containerd=/c.sock\n"
DROPIN = "/etc/systemd/system/docker.service.d/a.conf"


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({}, "/usr/bin/dockerd -H fd:// --containerd=/c.sock"),
        ({DROPIN: "[Service]\nExecStart=\nExecStart=/usr/bin/dockerd --debug\n"}, "/usr/bin/dockerd --debug"),
        ({DROPIN: "[Service]\nLimitNOFILE=1\n"}, "/usr/bin/dockerd -H fd:// --containerd=/c.sock"),
        ({"/etc/systemd/system/docker.service": "ExecStart=-/opt/dockerd\n"}, "/opt/dockerd"),
    ],
)
def test_the_expected_command_of_a_unit_with_its_declared_drop_ins(declared: dict[str, str], words: str) -> None:
    assert services.command(answering(cat=VENDOR), "docker", declared) == words.split()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[Service]\nExecStart=\nExecStart=/usr/bin/dockerd -H tcp://\n", 2),
        ("[Service]\nEnvironment=HTTPS_PROXY=http://other\n", 1),
        ("[Service]\n  EnvironmentFile = /etc/other\n", 1),
        ("[Service]\nPassEnvironment=A\nUser=root\n", 2),
        ("[Service]\nLimitNOFILE=1048576\nRestart=always\n# ExecStart=/x\n", 2),
        ("[Unit]\nDescription=a\nDocumentation=man:x\n# ExecStart=/x\n", 0),
    ],
)
def test_drop_ins_that_change_how_a_unit_starts_are_found(text: str, found: int) -> None:
    host = answering(
        systemctl_show=f"FragmentPath=/lib/systemd/system/docker.service\nDropInPaths={DROPIN}\n", cat=text
    )
    seen = services.undeclared(host, "docker", ())
    assert sum(len(lines) for lines in seen.values()) == found
    assert services.undeclared(host, "docker", (DROPIN,)) == {}


def seen_of(*frames: tuple[str, ...]) -> Seen:
    return Seen({(frame[0], frame[1]): frame[2:] for frame in frames})


@pytest.mark.parametrize(
    ("stat", "mode"),
    [
        ("directory:755:root:root", None),
        ("directory:700:root:root", None),
        ("directory:775:root:root", None),
        ("absent", None),
        ("directory:777:root:root", "0755"),
        ("directory:1777:root:root", "0755"),
        ("directory:775:root:ops", "0755"),
        ("directory:755:alice:root", "0755"),
        ("directory:722:root:root", "0700"),
    ],
)
def test_a_folder_that_other_accounts_can_write_gets_a_safe_mode(stat: str, mode: str | None) -> None:
    folder = GuardedFolder("/etc/docker")
    report = seen_of(("file", "/etc/docker", stat if stat == "absent" else f"{stat}:1:2:3:4096"))
    state = folder.seen(report)
    if mode is None:
        assert state == folder.want()
        return
    assert state["written by"].startswith("others")
    drift: Any = SimpleNamespace(seen=state)
    (call,) = folder.fix(drift)
    assert call.args == ("/etc/docker", "root", state["group"], mode)


@pytest.mark.parametrize(
    ("state", "enabled"), [("enabled", "yes"), ("static", "yes"), ("enabled-runtime", "no"), ("masked", "no")]
)
def test_a_service_enabled_until_the_next_boot_counts_as_disabled(state: str, enabled: str) -> None:
    show = f"LoadState=loaded\nActiveState=active\nUnitFileState={state}\nMainPID=1\nNeedDaemonReload=no"
    report = seen_of(("service", "docker", show, "none", ""))
    assert Service("docker", enabled=True).seen(report)["enabled"] == enabled


OWN = "/etc/sysctl.d/99-zz-provision-site.conf"


def later(*lines: str, declared: frozenset[str] = frozenset()) -> tuple[Sysctl, State]:
    names = [line.split(":")[0] for line in (f"{OWN}:1:", *lines)]
    text = [f"{OWN}:1:vm.swappiness=1", *lines, "/proc/sys/vm/swappiness:1:1"]
    one = Sysctl("vm.swappiness", "1", OWN, declared)
    return one, one.seen(seen_of(("sysctls", "", "\n".join([*names, "/proc/sys/vm/swappiness"]), "\n".join(text))))


def drifting(one: Sysctl, state: State) -> Any:
    class Drift(dict):  # type: ignore[type-arg]
        seen = state

    return Drift({key: value for key, value in one.want().items() if state.get(key) != value})


def test_a_later_file_that_wins_stops_the_plan_with_a_solution() -> None:
    one, state = later("/etc/sysctl.d/zzz.conf:1:vm.swappiness=60")
    with pytest.raises(Unfixable, match=r"/etc/sysctl.d/zzz.conf:1 sets vm.swappiness .* \{absent: true\}"):
        list(one.fix(drifting(one, state)))


def test_a_later_file_that_the_spec_declares_does_not_stop_the_plan() -> None:
    one, state = later("/etc/sysctl.d/zzz.conf:1:vm.swappiness=60", declared=frozenset({"/etc/sysctl.d/zzz.conf"}))
    assert state["boot"] != "1"
    assert list(one.fix(drifting(one, state))) == []
