"""Golden scripts: the text that a host runs, for a review. ``make golden`` updates them.

A golden script has the lines that provision generates. An included shell file is replaced by its name and the start of
its SHA-256. So an edit of one shell file changes one line of each script that includes it.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from provision import tasks
from provision.catalog import Options
from provision.distros import platform
from provision.planning.plan import inspection
from provision.planning.prepare import work
from provision.remote.protocol import Seen
from provision.remote.script import family_case, job_script, look_script, quote
from provision.remote.sources import KINDS, SH, Source, included, sources
from tests.conftest import Project

FOLDER = Path(__file__).parent / "golden"
SPEC = """\
hostname: web1.example.com
packages: [curl]
sysctl: {net.ipv4.ip_forward: 1}
files: {/etc/motd: {content: "It's $HOME\\n"}}
users: {bob: {}}
engine:
  version: "28.5"
  users: [bob]
  daemon: {live-restore: true}
"""
#: One platform of each family: ID, version, codename; and the paths of its repositories and keys.
PLATFORMS: dict[str, tuple[tuple[str, str, str], *tuple[str, ...]]] = {
    "apt": (("debian", "13", "trixie"), "/etc/apt/keyrings/docker.asc", "/etc/apt/sources.list.d/docker.sources"),
    "dnf": (("rocky", "9.4", ""), "/etc/pki/rpm-gpg/RPM-GPG-KEY-docker", "/etc/yum.repos.d/docker-ce.repo"),
    "dnf5": (("fedora", "42", ""), "/etc/pki/rpm-gpg/RPM-GPG-KEY-docker", "/etc/yum.repos.d/docker-ce.repo"),
    "zypper": (("opensuse-leap", "15.6", ""),),
    "apt-openrc": (("devuan", "6", "excalibur"),),
    "apk": (("alpine", "3.22.1", ""),),
    "pacman": (("arch", "", ""),),
    "yum": (("centos", "7", ""), "/etc/pki/rpm-gpg/RPM-GPG-KEY-docker", "/etc/yum.repos.d/docker-ce.repo"),
}
NAMES = ["look.sh", *(f"{family}-fix.sh" for family in PLATFORMS)]
#: A bare host, as its look reports it.
BARE = [
    *(
        ("file", path, "absent")
        for path in (
            "/etc/hostname",
            "/etc/motd",
            "/etc/docker",
            "/etc/docker/daemon.json",
            "/run/docker.sock",
            "/run/containerd/containerd.sock",
            "/etc/sysctl.d/99-zz-provision-site.conf",
        )
    ),
    ("file", "/etc/hosts", "regular file:644:root:root:1:2:3:20"),
    ("contents", "", "127.0.0.1 localhost\nLinux", "/etc/hosts"),
    ("hostname", "", "localhost"),
    ("sysctls", "", "/proc/sys/net/ipv4/ip_forward\n", "/proc/sys/net/ipv4/ip_forward:1:0"),
    ("apt_sources", ""),
    ("path", "/usr/bin/gpg", "absent"),
    ("path", "/usr/bin/curl", "absent"),
    ("path", "/etc/ssl/certs/ca-certificates.crt", "absent"),
    ("packages", "", ""),
    ("set_id", "", ""),
    ("socket_unit", "docker.socket", ""),
    ("locks", "", "missing"),
    ("users", "", "", "bob"),
    ("store", "/var/lib/docker", "9999999", ""),
    ("store", "/var/lib/containerd", "", ""),
    ("service", "network", "LoadState=not-found\nActiveState=inactive\nUnitFileState=\nMainPID=0", "none", ""),
    ("groups", "", "", "docker"),
    ("service", "containerd", "LoadState=not-found\nActiveState=inactive\nUnitFileState=\nMainPID=0", "none", ""),
    ("service", "docker", "LoadState=not-found\nActiveState=inactive\nUnitFileState=\nMainPID=0", "none", ""),
]


@pytest.fixture
def scripts(project: Project) -> dict[str, str]:
    project.spec(SPEC)
    loaded = project.load()
    config = loaded.configs[0]
    made = {"look.sh": look_script(tasks._looks(config, loaded.context, Options()))}
    for family, (words, *paths) in PLATFORMS.items():
        on = platform(*words, family=family)
        assert on is not None
        bare = [*BARE, *(("file", path, "absent") for path in paths)]
        found = inspection(config, on, loaded.context, Options(), Seen.of(bare))
        calls = [call for resource in found.resources for call in resource.look()]
        job = work("20260101T000000-00000000", found.plan, found.report, found.remember, found.forget)
        made[f"{family}-fix.sh"] = job_script(job, calls, {})
    return made


def by_name(script: str) -> str:
    """``script`` with each included shell file replaced by its name and hash, and with the table of distributions by
    its name: tests/test_distros.py tests each row."""
    script = script.replace(family_case(()), "# the family of os-release's ID and version (distros.yml)")
    frames = [Source(path) for path in sorted(SH.glob("*.sh"))]
    texts = {source.label: included(source) for source in [*frames, *(one for kind in KINDS for one in sources(kind))]}
    # The longest text first: a short text may be a part of it.
    for label, text in sorted(texts.items(), key=lambda item: -len(item[1])):
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        script = script.replace(text, f"# {label} {digest}") if text else script
    return script


@pytest.mark.parametrize("name", NAMES)
def test_a_script_equals_its_golden_file(scripts: dict[str, str], name: str, pytestconfig: pytest.Config) -> None:
    path, script = FOLDER / name, by_name(scripts[name])
    if pytestconfig.getoption("--update-golden"):
        path.write_text(script)
    assert script == path.read_text(), "review the difference, then run: make golden"


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_script_repeats_no_shell_file(name: str) -> None:
    """Without this, every edit of that file would change many lines here."""
    lines = (FOLDER / name).read_text().split("\n")
    assert [line for line in lines if re.match(r"[a-z_]+\(\) \{", line)] == ["provision_main() {"]


@pytest.mark.thorough
@pytest.mark.parametrize("name", NAMES)
def test_scripts_pass_shellcheck(scripts: dict[str, str], name: str, tmp_path: Path) -> None:
    """The whole of a script, in which every name that is used is set."""
    path = tmp_path / name
    path.write_text(scripts[name])
    # The words of the calls are data: blanks at their ends, for example, belong to the data.
    argv = ["shellcheck", "-s", "sh", "-e", "SC3013,SC1091,SC2086,SC2046,SC2181,SC2094,SC2016,SC2034,SC2317", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    for shell in ("dash", "bash", "busybox"):
        assert shutil.which(shell)
        argv = [shell, *(["sh"] if shell == "busybox" else []), "-n", str(path)]
        assert subprocess.run(argv, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9, 0.999])
def test_a_truncated_script_does_nothing(scripts: dict[str, str], part: float) -> None:
    text = scripts["look.sh"][: int(len(scripts["look.sh"]) * part)]
    done = subprocess.run(["dash"], input=text.encode(), capture_output=True, check=False)
    assert done.stdout == b""


def test_quote_makes_one_word_of_a_text() -> None:
    assert quote("plain/word.x=1") == "plain/word.x=1"
    assert quote("") == "''"
    assert quote("it's $x\n") == "'it'\\''s $x\n'"
    with pytest.raises(ValueError, match="NUL"):
        quote("a\0b")
