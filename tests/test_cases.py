"""Resources, as data: what is declared, what a look reports, which steps follow. One YAML file for each resource.

Each case gives ``platform`` (ID, version and codename; Debian 13 when not given), ``spec`` (what is declared),
``seen`` (frames of a look, ``[kind, key, fields...]``; ``files`` is short for frames of files) and ``steps`` (the
functions of the plan, with arguments where they are given), or ``refused`` (why there can be no plan). ``titles`` are
the steps in words; ``drift`` is what differs, by resource.
Every resource has the four cases absent, up to date, wrong, empty-or-zero.
"""

from __future__ import annotations

import base64
import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision import resources
from provision.catalog import Options
from provision.distros import platform
from provision.model import Risk
from provision.planning.manifest import KINDS
from provision.planning.plan import inspection
from provision.remote.protocol import Seen
from provision.resources.obstacle import Unfixable
from provision.resources.store import CONTAINERD_ROOT, DOCKER_ROOT
from tests.conftest import Project
from tests.test_undo_kinds import HARMLESS, OWN_STEPS, PROVEN

FOLDER = Path(__file__).parent / "cases"
#: The parts of a file for other tests: its shell functions (tests/test_shell_cases.py), and a real host
#: (tests/lab/test_resources.py).
ELSEWHERE = {"shell", "host"}
REQUIRED = {"absent", "up to date", "wrong", "empty-or-zero"}
CASES = [
    pytest.param(case, id=f"{path.stem}-{name}")
    for path in sorted(FOLDER.glob("*.yml"))
    for name, case in yaml.safe_load(path.read_text()).items()
    if name not in ELSEWHERE
]


def frames(case: dict[str, Any]) -> list[tuple[str, ...]]:
    """The look's frames: those of the case, and "absent" for what the case does not mention."""
    found: list[tuple[str, ...]] = []
    # No packages, no sockets and no set-id bits, if the case does not say otherwise.
    if "engine" in case.get("spec", {}):
        found += [("packages", "", ""), ("set_id", "", ""), ("socket_unit", "docker.socket", "")]
        found += [("file", path, "absent") for path in ("/run/docker.sock", "/run/containerd/containerd.sock")]
    for path, file in case.get("files", {}).items():
        if file is None:
            found.append(("file", path, "absent"))
            continue
        content = file.get("content", "").encode()
        kind = file.get("kind", "regular file")
        fields = [kind, file.get("mode", "644"), file.get("owner", "root"), file.get("group", "root")]
        found.append(("file", path, ":".join([*fields, "1", "2", "3", str(len(content))])))
        if kind.startswith("regular"):
            found.append(("content", path, base64.b64encode(content).decode()))
    # Stores without content if the case does not say otherwise.
    found += [("store", root, "", "") for root in (DOCKER_ROOT, CONTAINERD_ROOT)]
    found += [tuple(str(word) for word in frame) for frame in case.get("seen", [])]
    # Directories that every user can enter, if the case does not say otherwise.
    files = [frame[1] for frame in found if frame[0] == "file"]
    above = dict.fromkeys(str(parent) for path in files for parent in list(Path(path).parents)[:-1])
    folders = {path: case.get("folders", {}).get(path, "755") for path in above}
    stats = {path: f"directory:{mode}:root:root:1:2:3:4096" for path, mode in folders.items()}
    found += [("file", path, stat) for path, stat in stats.items() if path not in files]
    lines = "\n".join(stats.values())
    found.append(("folders", "", "\n".join(folders), lines))
    return found


def as_read(value: str | None) -> str | None:
    """A value as the operator sees it: a withheld value equals no plain text."""
    return None if value is None else str(value)


@pytest.mark.parametrize("case", CASES)
def test_a_host_in_this_state_gets_these_steps(project: Project, case: dict[str, Any]) -> None:
    project.spec(yaml.safe_dump(case["spec"]))
    for name, text in case.get("given", {}).items():
        project.write(name, text)
    loaded = project.load()
    on = platform(*case.get("platform", ("debian", "13", "trixie")))
    assert on is not None
    options = Options(upgrade=case.get("upgrade", False))
    seen = Seen.of(frames(case))
    if "refused" in case:
        with pytest.raises(Unfixable) as caught:
            inspection(loaded.configs[0], on, loaded.context, options, seen)
        assert case["refused"] in str(caught.value)
        return
    found = inspection(loaded.configs[0], on, loaded.context, options, seen)
    steps = [call for change in found.plan.changes for call in change.calls]
    shown = [[call.function, *call.args] for call in steps]
    wanted = case["steps"]
    assert [step[0] for step in shown] == [step if isinstance(step, str) else step[0] for step in wanted]
    for step, want in zip(shown, wanted, strict=True):
        if not isinstance(want, str):
            assert step == [str(word) for word in want]
    if "titles" in case:
        assert [call.title for call in steps] == case["titles"]
    for call in steps:
        assert call.title
        assert call.function not in call.title
        assert call.risk is Risk.CUT_OFF or call.function in HARMLESS | PROVEN or call.function not in OWN_STEPS
        assert {one.kind for one in call.keeps} <= KINDS.keys()
    if "drift" in case:
        drift = {
            change.resource: {key: as_read(change.drift.seen.get(key)) for key in change.drift.keys}
            for change in found.plan.changes
        }
        assert drift == case["drift"]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yml")), ids=lambda path: path.stem)
def test_every_resource_has_the_four_cases(path: Path) -> None:
    names = yaml.safe_load(path.read_text())
    missing = {name for name in REQUIRED if not any(case.startswith(name) for case in names)}
    assert not missing


def test_every_resource_has_cases() -> None:
    """A resource is a class that sees its state and fixes it."""
    modules = set()
    for module in pkgutil.walk_packages(resources.__path__, "provision.resources."):
        loaded = importlib.import_module(module.name)
        own = (one for _, one in inspect.getmembers(loaded, inspect.isclass) if one.__module__ == module.name)
        if any({"seen", "fix"} <= vars(one).keys() for one in own):
            modules.add(module.name.rpartition(".")[2])
    assert modules == {path.stem for path in FOLDER.glob("*.yml")}
