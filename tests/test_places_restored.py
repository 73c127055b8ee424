"""What a step and a rollback leave behind is what is declared or recorded, also where the name has become something
else in the meantime."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.shells import each_shell
from tests.test_places import changes, each_userland, place

__all__ = ["place"]


@pytest.fixture
def own(place: Path) -> Path:
    """A directory in which only root can change names."""
    return Path("/var/lib") / place.name


@each_shell
@each_userland
@pytest.mark.parametrize("where", ["home", "own"])
def test_the_set_id_bits_of_a_directory_are_cleared_by_a_step_and_by_a_rollback(
    place: Path, own: Path, shell: list[str], userland: str, where: str
) -> None:
    """chmod(1) of coreutils keeps them for a mode of four digits."""
    base = own if where == "own" else place / "home"
    (base / "plain").mkdir(parents=True)
    (base / "shared").mkdir()
    (base / "plain").chmod(0o750)
    (base / "shared").chmod(0o2775)
    try:
        lines = (
            f"keep folder {base}/plain ''\n(\nset -eu\nfolder_put {base}/plain root root 2775\n)\n"
            f"stat -c %a {base}/plain >&2\nsvc_reread() {{ :; }}\nundo test\n"
            f"(\nset -eu\nfolder_put {base}/shared root root 0755\n)"
        )
        said = changes(place, lines, userland, shell)
        assert "2775\n" in said
        assert (base / "plain").stat().st_mode & 0o7777 == 0o750, said
        assert (base / "shared").stat().st_mode & 0o7777 == 0o755, said
    finally:
        shutil.rmtree(own, ignore_errors=True)


@each_shell
@each_userland
def test_a_file_is_not_restored_into_a_directory_that_has_taken_its_name(
    place: Path, own: Path, shell: list[str], userland: str
) -> None:
    """docker, for example, makes a directory where the source of a bind mount is missing."""
    own.mkdir()
    (own / "app.conf").write_text("before\n")
    try:
        lines = (
            f"keep file {own}/app.conf ''\nrm {own}/app.conf\nmkdir {own}/app.conf\n"
            'svc_reread() { :; }\nundo test\ncat "$run/undone" >&2'
        )
        said = changes(place, lines, userland, shell)
        assert list((own / "app.conf").iterdir()) == []
        assert f"file 1 {own}/app.conf" in said
        assert f"restored {own}/app.conf" not in said
        assert not (own / ".provision.new").exists()
    finally:
        shutil.rmtree(own)
