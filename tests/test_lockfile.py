"""The lock file: its content, and the errors in a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision import tasks
from provision.catalog import Options
from provision.distros import platform
from provision.errors import SpecError, UsageError
from provision.project import lockfile
from tests.conftest import Project


def test_a_lock_file_is_unchanged_after_reading(tmp_path: Path) -> None:
    path = lockfile.of_playbook(tmp_path / "site.yml")
    assert path.name == "site.lock.yml"
    assert lockfile.read(path) == {}
    locks = {"rocky-9": {"docker-ce": "3:28.5.2-1.el9"}, "debian-13": {"docker-ce": "5:28.5.2-1~debian.13~trixie"}}
    lockfile.write(path, locks, "web1, web2")
    assert lockfile.read(path) == locks
    assert "seen on web1, web2" in path.read_text()


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("rocky", "9.4", ""), "rocky-9"),
        (("debian", "13", "trixie"), "debian-13"),
        (("debian", "", "sid"), "debian-sid"),
    ],
)
def test_the_key_of_a_platform(words: tuple[str, str, str], key: str) -> None:
    found = platform(*words)
    assert found is not None
    assert lockfile.key(found) == key


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "x.lock.yml:1: a lock file is a mapping of platforms"),
        ("debian-13: 5\n", "x.lock.yml:1: debian-13: must be a mapping of packages to versions"),
        ("debian-13:\n  docker-ce: 28 5\n", "x.lock.yml:2: debian-13.docker-ce: '28 5' is not a version"),
        ("debian-13:\n  docker-ce: $(id)\n", "x.lock.yml:2: debian-13.docker-ce: '$(id)' is not a version"),
    ],
)
def test_an_invalid_lock_file_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.lock.yml").write_text(text)
    with pytest.raises(SpecError) as caught:
        lockfile.read(tmp_path / "x.lock.yml")
    assert message in str(caught.value)


def test_a_package_of_one_platform_is_inspected_on_all_of_its_family(project: Project) -> None:
    """A lock for rocky-9 alone: the look must ask for the plugin before it knows whether the host is a rocky-9."""
    project.write("playbooks/site.lock.yml", "rocky-9:\n  docker-ce: 3:28.5.2-1.el9\n")
    project.spec("{engine: {}}")
    loaded = project.load()
    assert loaded.context.locks
    looks = tasks._looks(loaded.configs[0], loaded.context, Options())
    asked = {word for call in looks["dnf"] if call.function == "look_packages" for word in call.args}
    assert "python3-dnf-plugin-versionlock" in asked


@pytest.mark.parametrize(
    ("platform", "name", "version"),
    [
        ("images", "app", "sha256:" + "1" * 64 + "\n  evil: sha256:" + "2" * 64),
        ("images", "app:1", "sha256:" + "1" * 63),
        ("debian-13", "app", "1.0\nimages:\n  app: x"),
        ("debian-13", "app", ""),
        ("debian-13\nrocky-9", "docker-ce", "5:28"),
        ("debian-13", "docker-ce: 1\n  evil", "5:28"),
    ],
)
def test_invalid_versions_in_a_hosts_report_are_not_written(
    tmp_path: Path, platform: str, name: str, version: str
) -> None:
    """The versions that a canary reports are written into a file that the fleet follows."""
    path = tmp_path / "site.lock.yml"
    lockfile.write(path, {"debian-13": {"docker-ce": "1"}}, "web1")
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"site.lock.yml is not written: .*web1"):
        lockfile.write(path, {platform: {name: version}}, "web1")
    assert path.read_bytes() == before
