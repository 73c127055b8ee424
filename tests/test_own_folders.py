"""provision's own directories on a host: a look does not use what other accounts may have written there."""

from __future__ import annotations

import pytest

from provision.model import Call
from provision.remote.script import OWN, look_script
from provision.transport.ssh import HostError
from tests.conftest import Project
from tests.test_typed_answers import looked, report


@pytest.mark.parametrize("path", OWN)
@pytest.mark.parametrize("mode", ["777", "702", "1770"])
def test_a_directory_into_which_others_can_write_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch, path: str, mode: str
) -> None:
    frames = [*report()[:-1], ("file", path, f"directory:{mode}:root:root:1:2:3:4096"), ("end",)]
    with pytest.raises(HostError, match=f"^{path}: accounts other than root can write in it") as caught:
        looked(project, monkeypatch, frames)
    assert caught.value.failure.kind == "look"
    assert f"chmod 0700 {path}" in caught.value.failure.message


@pytest.mark.parametrize("state", ["absent", "directory:700:root:root:1:2:3:4096", "directory:755:root:root:1:2:3:40"])
def test_a_directory_into_which_only_root_can_write_is_used(
    project: Project, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    looked(project, monkeypatch, [*report()[:-1], *(("file", path, state) for path in OWN), ("end",)])


def test_each_look_asks_for_the_directories() -> None:
    """Together with the files that it asks for: no further program starts on the host."""
    script = look_script({"apt": [Call("look_files", ("/etc/one",))]})
    assert f"at look_files /etc/one {' '.join(OWN)}\n" in script
    assert f"at look_files {' '.join(OWN)}\n" in look_script({"apt": [Call("look_hostname")]})
