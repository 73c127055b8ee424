"""What only some users of a host may read is never shown: not in a diff, a plan file, JSON, a journal or an error."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision.catalog import Options
from provision.distros import platform
from provision.model import Event, Platform, Resource, Salt, Withheld
from provision.planning import planfile, prepare
from provision.planning.plan import inspection, inspection_of
from provision.remote.protocol import Seen
from provision.report.jsonlines import JsonLines
from provision.report.shown import lines, shown
from provision.resources.apt_source import Entry, OtherEntries
from provision.resources.file import File
from provision.secrets.disclosure import fingerprint, new_salt, pairs, readable, text
from provision.tasks import left_over
from tests.conftest import Project
from tests.test_cases import frames

OLD = "PASSWORD=old-value"
NEW = "PASSWORD=new-value"
DEBIAN = platform("debian", "13", "trixie")
assert DEBIAN is not None
SALT = new_salt()


def everywhere(host: str, on: Platform, resources: tuple[Resource, ...], report: Seen, salt: Salt = SALT) -> str:
    """All text in a plan, a plan file, JSON and an error for these resources."""
    found = inspection_of(host, on, resources, report.salted(salt))
    assert found.plan.changes, "there must be a drift to show"
    json_lines = io.StringIO()
    JsonLines(json_lines)(shown(Event("host.plan", host, {"plan": found.plan})))
    written = json.dumps(planfile.entry(found.plan, salt))
    words = [line for change in found.plan.changes for line in lines(change)]
    words += [call.title for change in found.plan.changes for call in change.calls]
    return "\n".join([*words, written, json_lines.getvalue(), *left_over(resources, report.salted(salt))])


def shown_for(project: Project, spec: dict[str, Any], **case: Any) -> str:
    """The same text, for what a spec declares and a look has reported."""
    project.spec(yaml.safe_dump(spec))
    loaded = project.load()
    assert DEBIAN is not None
    report = Seen.of(frames(case))
    found = inspection(loaded.configs[0], DEBIAN, loaded.context, Options(salt=SALT), report)
    return everywhere("web1", DEBIAN, found.resources, report)


def file(mode: str, content: str = f"{OLD}\n") -> dict[str, Any]:
    return {"/srv/app/env": {"mode": mode, "content": content}}


DECLARED = {"content": f"{NEW}\n", "mode": "0644"}


@pytest.mark.parametrize("mode", ["600", "640", "660", "400", "0"])
def test_the_old_text_of_a_private_file_is_not_shown(project: Project, mode: str) -> None:
    said = shown_for(project, {"files": {"/srv/app/env": DECLARED}}, files=file(mode))
    assert OLD not in said
    assert f"{len(OLD) + 1} bytes, not shown (keyed hash " in said
    assert f"+{NEW}" in said, "every user of the host may read the new text"
    assert "mode: " in said


def test_neither_text_of_a_file_that_stays_private_is_shown(project: Project) -> None:
    declared = {**DECLARED, "mode": "0600"}
    for seen in (file("600"), file("644"), {"/srv/app/env": None}):
        said = shown_for(project, {"files": {"/srv/app/env": declared}}, files=seen)
        assert OLD not in said
        assert NEW not in said


def test_the_texts_of_a_public_file_are_shown(project: Project) -> None:
    said = shown_for(project, {"files": {"/srv/app/env": DECLARED}}, files=file("644"))
    assert f"-{OLD}" in said
    assert f"+{NEW}" in said


@pytest.mark.parametrize(("mode", "shown"), [("600", False), ("644", True)])
def test_the_text_of_a_removed_file_is_shown_only_if_it_is_public(project: Project, mode: str, shown: bool) -> None:
    said = shown_for(project, {"files": {"/srv/app/env": {"absent": True}}}, files=file(mode))
    assert (OLD in said) is shown


def test_a_private_directory_above_a_file_makes_the_file_private(project: Project) -> None:
    for folders in ({"/srv/app": "700"}, {"/srv": "750"}):
        for declared in ({"absent": True}, DECLARED):
            said = shown_for(project, {"files": {"/srv/app/env": declared}}, files=file("644"), folders=folders)
            assert OLD not in said
    seen = Seen.of([("folders", "", "/srv/app\n/srv", "symbolic link:777:root:root\ndirectory:755:root:root")])
    assert not readable(seen, "/srv/app/env", "644"), "the target of a link was not inspected"
    for folder in ("755:alice:alice", "777:root:root", "1777:root:root", "775:root:ops"):
        seen = Seen.of([("folders", "", "/srv/app\n/srv", f"directory:{folder}\ndirectory:755:root:root")])
        assert not readable(seen, "/srv/app/env", "644"), "that account could exchange the file while it is read"
    seen = Seen.of([("folders", "", "/srv/app\n/srv", "directory:755:root:root\ndirectory:755:root:root")])
    assert readable(seen, "/srv/app/env", "644")
    assert not readable(Seen.of([]), "/srv/app/env", "644"), "a directory that no look has reported counts as private"


def test_an_operators_source_with_a_password_keeps_its_mode() -> None:
    """An entry for docker's archive in another file is switched off. The set of users that may read that file stays the
    same."""
    entry = "deb https://me:hush-7c1f@download.docker.com/linux/debian trixie stable\n"
    twice = f"{entry}deb https://download.docker.com/linux/debian trixie stable\n"
    path = "/etc/apt/sources.list.d/old.list"
    assert DEBIAN is not None
    seen: list[tuple[str, ...]] = [("apt_sources", "", path)]
    seen.append(("file", "/etc/apt/sources.list.d/docker.sources", "absent"))
    fields = f"regular file:600:root:adm:1:2:3:{len(twice)}"
    seen += [("file", path, fields), ("content", path, base64.b64encode(twice.encode()).decode())]
    wanted = Entry("https://download.docker.com/linux/debian", ("trixie",), ("stable",), "/etc/apt/keyrings/docker.asc")
    other = OtherEntries("/etc/apt/sources.list.d/docker.sources", wanted)
    report = Seen.of(seen)
    found = inspection_of("web1", DEBIAN, (other,), report)
    ((call,),) = (change.calls for change in found.plan.changes)
    assert call.args[:4] == (path, "root", "adm", "0600")
    assert "hush-7c1f" not in everywhere("web1", DEBIAN, (other,), report)


def inspected(case: str, edit: Callable[[dict[str, Any]], None]) -> list[list[Any]]:
    """The frames of a recorded container, with an operator's edit."""
    recorded = yaml.safe_load((Path(__file__).parent / "cases/container.yml").read_text())[case]
    seen: list[list[Any]] = recorded["seen"]
    for frame in seen:
        if frame[0] == "container":
            whole = json.loads(frame[2])
            edit(whole)
            frame[2] = json.dumps(whole)
    return seen


def test_values_that_only_docker_knows_are_not_shown(project: Project) -> None:
    def edit(whole: dict[str, Any]) -> None:
        whole["Config"]["Labels"]["token"] = "hush-label"
        whole["HostConfig"]["LogConfig"] = {"Type": "splunk", "Config": {"splunk-token": "hush-log"}}

    seen = inspected("up to date", edit)
    for frame in seen:
        if frame[0] == "container":
            frame[3] = json.dumps("PASSWORD=hush-environment") + "\n" + json.dumps("LEVEL=info") + "\n"
    web = {
        "image": "app:1",
        "environment": {"PASSWORD": "changed", "LEVEL": "debug"},
        "labels": {"token": "changed"},
        "log": {"driver": "json-file", "options": {"max-size": "1m"}},
        "adopt": True,
    }
    said = shown_for(project, {"containers": {"web": web}}, seen=seen)
    for hush in ("hush-label", "hush-log", "hush-environment"):
        assert hush not in said
    assert "environment PASSWORD: 16 bytes, not shown" in said
    assert "log: splunk " in said
    # The container's label has the declaration in plain text.
    for frame in seen:
        if frame[0] == "container":
            whole = json.loads(frame[2])
            whole["Config"]["Labels"]["provision.spec"] = json.dumps({"environment": {"LEVEL": "info"}})
            frame[2] = json.dumps(whole)
    said = shown_for(project, {"containers": {"web": web}}, seen=seen)
    assert "environment LEVEL: info -> debug" in said
    assert "hush-environment" not in said


def test_the_labels_of_a_network_are_not_shown_but_restored(project: Project) -> None:
    whole = {
        "Name": "net",
        "Driver": "bridge",
        "Internal": False,
        "IPAM": {"Config": [{"Subnet": "10.1.0.0/24"}]},
        "Options": {"key": "hush-option"},
        "Labels": {"token": "hush-label", "team": "a"},
    }
    seen = [["docker", "network", json.dumps(whole)]]
    spec = {"networks": {"net": {"labels": {"team": "a"}}}}
    said = shown_for(project, spec, seen=seen)
    assert "hush-" not in said
    assert '"team": "a"' in said
    project.spec(yaml.safe_dump(spec))
    loaded = project.load()
    assert DEBIAN is not None
    report = Seen.of(frames({"seen": seen}))
    found = inspection(loaded.configs[0], DEBIAN, loaded.context, Options(), report)
    (kept,) = [kept for change in found.plan.changes for call in change.calls for kept in call.keeps]
    assert "token=hush-label" in kept[2], "the host itself keeps it whole"


RECORD = "file 0 /srv/app/env\n"


def record(mode: str, folder: str = "755") -> Seen:
    return Seen.of(
        [
            ("before", "run-1", "there", RECORD),
            ("kept", "/srv/app/env", f"regular file:{mode}:root:root", base64.b64encode(f"{OLD}\n".encode()).decode()),
            ("folders", "", "/srv/app\n/srv", f"directory:{folder}:root:root\ndirectory:755:root:root"),
        ]
    )


@pytest.mark.parametrize(
    ("mode", "folder", "shown"),
    [("600", "755", False), ("640", "755", False), ("644", "700", False), ("644", "755", True)],
)
def test_a_rollback_shows_only_public_texts_that_it_would_restore(mode: str, folder: str, shown: bool) -> None:
    wanted = prepare.resources("run-1", record(mode, folder), (), 300)
    assert DEBIAN is not None
    seen = Seen.of(
        frames({"files": {"/srv/app/env": {"mode": mode, "content": f"{NEW}\n"}}, "folders": {"/srv/app": folder}})
    )
    said = everywhere("web1", DEBIAN, wanted, seen)
    assert (OLD in said) is shown
    assert (NEW in said) is shown


def test_a_rollback_that_removes_a_private_file_does_not_show_it() -> None:
    absent = Seen.of([("before", "run-1", "there", "absent - /srv/app/env\n")])
    wanted = prepare.resources("run-1", absent, (), 300)
    assert DEBIAN is not None
    said = everywhere("web1", DEBIAN, wanted, Seen.of(frames({"files": file("600", f"{NEW}\n")})))
    assert NEW not in said


def test_no_text_of_a_host_equals_a_withheld_value(project: Project) -> None:
    """A host's file may have the description of the declared secret as its text. It must not equal the declared
    content."""
    withheld = Withheld("the declared secret")
    assert withheld != "the declared secret"
    assert withheld != "the declared secret"
    assert withheld == Withheld("the declared secret")
    declared = {"content": "x" * 20, "mode": "0600"}
    claim = "the declared 20 bytes, not shown"
    project.spec(yaml.safe_dump({"files": {"/srv/app/env": declared}}))
    loaded = project.load()
    assert DEBIAN is not None
    report = Seen.of(frames({"files": file("600", claim)}))
    found = inspection(loaded.configs[0], DEBIAN, loaded.context, Options(), report)
    assert [change.drift.keys for change in found.plan.changes] == [("content",)]


def test_a_keyed_hash_needs_a_salt_and_depends_on_it() -> None:
    one, other = new_salt(), new_salt()
    assert fingerprint(b"x", one) == fingerprint(b"x", one) != fingerprint(b"x", other)
    stored = Salt(one.text, stored=True)
    assert fingerprint(b"x", stored) != fingerprint(b"x", one), "a stored hash is made expensive to guess"
    with pytest.raises(ValueError, match="needs a salt"):
        fingerprint(b"x", Salt())
    assert text("x", Salt()) == Withheld("1 bytes, not shown"), "no salt, no hash"
    assert pairs({"a": "1"}, {"a": "1"}, one) == '{"a": "1"}'


def test_a_change_of_a_hidden_text_changes_the_plan(project: Project) -> None:
    """A plan file has neither text, and still notices a change of either."""
    made = []
    for declared, there in ((NEW, OLD), (NEW, OLD), (NEW, "PASSWORD=now-value"), ("PASSWORD=two-value", OLD)):
        project.spec(yaml.safe_dump({"files": {"/srv/app/env": {"content": declared, "mode": "0600"}}}))
        loaded = project.load()
        assert DEBIAN is not None
        report = Seen.of(frames({"files": file("600", there)}))
        salt = Salt("5a17", stored=True)
        found = inspection(loaded.configs[0], DEBIAN, loaded.context, Options(salt=salt), report)
        made.append(planfile.entry(found.plan, salt))
    assert made[0] == made[1]
    assert made[0] != made[2]
    assert made[0] != made[3]


def test_a_restored_private_file_is_not_called_a_secret() -> None:
    """The diff of a rollback: a manifest, which is private, has no declared secret."""
    path = "/var/lib/provision/manifests/site"
    restored = File(path, b"old\n", mode="0600", secret=True, literal=True)
    declared = File(path, b"old\n", mode="0600", secret=True)
    stat = ("file", path, "regular file:600:root:root:0:1:2:4")
    report = Seen.of([stat, ("sha256", path, "0" * 64)])
    assert (restored.seen(report)["content"], restored.want()["content"]) == (
        Withheld("another content, not shown"),
        Withheld("the earlier content, not shown"),
    )
    # The old content may be no secret.
    assert (declared.seen(report)["content"], declared.want()["content"]) == (
        Withheld("another content, not shown"),
        Withheld("the declared secret"),
    )
