"""A rollback and a process that any user of the host can start: it has the name of a container's shim."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shells import each_shell, run, stub

FILES = ["look/files.sh", "look/services.sh", "look/svc_systemd.sh", "look/containers.sh", "fix/files.sh"]


@pytest.fixture
def impostor() -> Iterator[None]:
    rename = "import time; open('/proc/self/comm', 'w').write('containerd-shim'); print(flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", rename], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        yield
        process.kill()


@each_shell
@pytest.mark.usefixtures("impostor")
@pytest.mark.parametrize(
    ("docker", "restarts"), [("exit 0", "yes"), ("echo 4f1c", "no"), ("exit 1", "no")], ids=["none", "one", "silent"]
)
def test_a_process_with_the_name_of_a_shim_does_not_keep_docker_from_its_restart(
    shell: list[str], tmp_path: Path, docker: str, restarts: str
) -> None:
    stub(tmp_path / "bin", "docker", docker)
    lines = (
        f"run={tmp_path} undo_bounded=yes\n"
        "if undo_may_restart restart restart -; then restarts=yes; else restarts=no; fi\n"
        'emit restarts "$restarts"'
    )
    frames, done = run(shell, FILES, lines, path=tmp_path / "bin", frame="fix.sh")
    assert frames == [("restarts", restarts)], done.stderr
