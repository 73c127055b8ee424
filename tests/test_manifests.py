"""The manifests that a plan writes: before the changes the things that it will make, afterwards those that remain."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import yaml

from provision.catalog import Options
from provision.distros import platform
from provision.model import Call
from provision.planning.plan import Inspection, inspection
from provision.remote.protocol import Seen
from provision.resources.obstacle import Unfixable
from provision.steps.files import put_file, remove_file
from tests.conftest import Project
from tests.test_cases import frames

FORWARD = "net.ipv4.ip_forward"
#: The file of the setting, and its live value.
SETTING = "/proc/sys/net/ipv4/ip_forward"


def planned(project: Project, *seen: Sequence[str], **files: str | None) -> Inspection:
    """The plan of the first host for the project's playbook. ``files`` are those of /etc, by name."""
    loaded = project.load()
    on = platform("debian", "13", "trixie")
    assert on is not None
    there = {f"/etc/{name}": None if content is None else {"content": content} for name, content in files.items()}
    report = Seen.of(frames({"files": there, "seen": seen}))
    return inspection(loaded.configs[0], on, loaded.context, Options(), report)


def manifest(*entries: str, slug: str = "site", play: str = "Site") -> Call:
    """The step that writes this manifest."""
    text = "".join(f"{line}\n" for line in ("provision-manifest 1", f"play {play}", *entries))
    return put_file(f"/var/lib/provision/manifests/{slug}", content=text.encode(), literal=True)


def reported(*entries: str, slug: str = "site", play: str = "Site") -> tuple[str, str, str]:
    """The same manifest, as a look reports it."""
    return ("manifest", slug, manifest(*entries, slug=slug, play=play).args[-1])


def test_a_manifest_has_only_what_a_run_changes(project: Project) -> None:
    project.spec("files: {/etc/new: {content: x}, /etc/old: {content: x}}")
    found = planned(project, new=None, old="x")
    assert found.remember == (manifest("file /etc/new"),)
    assert found.forget == ()
    assert planned(project, new="x", old="x").remember == ()


def test_a_manifest_that_has_all_entries_is_not_written_again(project: Project) -> None:
    project.spec("files: {/etc/new: {content: x}}")
    found = planned(project, reported("file /etc/new"), new=None)
    assert [change.resource for change in found.plan.changes] == ["file:/etc/new"]
    assert (found.remember, found.forget) == ((), ())
    grown = planned(project, reported("file /etc/gone"), ("made", "/etc/gone", "absent"), new=None)
    assert grown.remember == (manifest("file /etc/gone", "file /etc/new"),)
    assert grown.forget == (manifest("file /etc/new"),)


def test_an_undeclared_object_leaves_the_manifest_after_it_is_removed(project: Project) -> None:
    project.spec("files: {/etc/stays: {content: x}}")
    entries = reported("file /etc/gone", "file /etc/stays")
    found = planned(project, entries, ("made", "/etc/gone", "present"), stays="x")
    assert [change.resource for change in found.plan.changes] == ["file:/etc/gone"]
    assert found.remember == (), "until then the manifest on the host has it"
    assert found.forget == (manifest("file /etc/stays"),)


@pytest.mark.parametrize("there", ["present", "absent"])
def test_a_manifest_without_entries_is_removed(project: Project, there: str) -> None:
    project.spec("packages: []")
    found = planned(project, reported("file /etc/gone"), ("made", "/etc/gone", there))
    assert len(found.plan.changes) == (there == "present")
    assert found.remember == ()
    assert found.forget == (remove_file("/var/lib/provision/manifests/site"),)


def test_an_object_that_is_declared_absent_is_removed_once(project: Project) -> None:
    project.spec("files: {/etc/gone: {absent: true}}")
    found = planned(project, reported("file /etc/gone"), gone="x")
    assert [change.resource for change in found.plan.changes] == ["file:/etc/gone"]


def sysctls(live: str) -> tuple[str, ...]:
    path = "/etc/sysctl.d/10-operator.conf"
    return ("sysctls", "", f"{SETTING}\n{path}\n", f"{SETTING}:1:{live}\n{path}:1:{FORWARD}=1\n")


def test_the_value_from_before_the_first_change_is_the_one_to_restore(project: Project) -> None:
    project.spec(f"sysctl: {{{FORWARD}: 1}}")
    none = {"sysctl.d/99-zz-provision-site.conf": None}
    first = planned(project, sysctls("0"), **none)
    assert [change.resource for change in first.plan.changes] == [f"sysctl:{FORWARD}"]
    assert first.remember == (manifest(f"sysctl {FORWARD} 0"),)
    # An operator has set it to 2 since then.
    again = planned(project, sysctls("2"), reported(f"sysctl {FORWARD} 0"), **none)
    assert [change.resource for change in again.plan.changes] == [f"sysctl:{FORWARD}"]
    assert (again.remember, again.forget) == ((), ())


def plays(project: Project, **specs: object) -> None:
    project.write(
        "playbooks/site.yml",
        yaml.safe_dump([{"name": name, "hosts": "docker", "spec": spec} for name, spec in specs.items()]),
    )


def test_each_play_has_its_own_manifest(project: Project) -> None:
    plays(project, One={"files": {"/etc/one": {"content": "x"}}}, Two={"files": {"/etc/two": {"content": "x"}}})
    found = planned(project, one=None, two=None)
    assert found.remember == (
        manifest("file /etc/one", slug="one", play="One"),
        manifest("file /etc/two", slug="two", play="Two"),
    )
    only = planned(project, reported("file /etc/one", slug="one", play="One"), one="x", two=None)
    assert only.remember == (manifest("file /etc/two", slug="two", play="Two"),)


def test_an_object_that_moves_to_another_play_stays(project: Project) -> None:
    seen = (reported("file /etc/x", slug="one", play="One"), ("made", "/etc/x", "present"))
    plays(project, One={"packages": []}, Two={"files": {"/etc/y": {"content": "x"}}})
    removed = planned(project, *seen, x="x", y="x")
    assert [change.resource for change in removed.plan.changes] == ["file:/etc/x"]
    assert removed.forget == (remove_file("/var/lib/provision/manifests/one"),)
    plays(project, One={"packages": []}, Two={"files": {"/etc/x": {"content": "x"}}})
    moved = planned(project, *seen, x="x", y="x")
    assert (moved.plan.changes, moved.forget) == ((), ())


RUNS = ("service", "x", "ActiveState=active\nUnitFileState=enabled\nMainPID=7\nNeedDaemonReload=no", "current", "")


@pytest.mark.parametrize(
    ("spec", "order"),
    [
        # The service sees that the file is removed; a container may use the network that is removed.
        (
            "{services: {x: {running: true}}, volumes: {data: {}}}",
            ["file:/etc/gone", "service:x", "container:old", "volume:data", "network:old"],
        ),
        ("{services: {x: {running: true}}}", ["file:/etc/gone", "service:x", "container:old", "network:old"]),
        ("{volumes: {data: {}}}", ["file:/etc/gone", "container:old", "volume:data", "network:old"]),
        ("{packages: []}", ["file:/etc/gone", "container:old", "network:old"]),
    ],
)
def test_undeclared_objects_are_removed_in_their_places(project: Project, spec: str, order: list[str]) -> None:
    project.spec(spec)
    found = planned(
        project,
        reported("container old", "file /etc/gone", "network old"),
        ("made", "/etc/gone", "present"),
        ("docker", "container", "Error: No such container: old"),
        ("docker", "network", "Error: network old not found"),
        ("docker", "volume", '{"Name":"data","Driver":"local","Options":null,"Labels":null}'),
        RUNS,
    )
    assert [one.id for one in found.resources if one.id in order] == order


OTHER = "/etc/sysctl.d/99-zz-provision-other.conf"


def rival(value: str, live: str = "1") -> tuple[tuple[str, ...], ...]:
    """The drop-in of the play "Other play", which this run does not have, and its record."""
    lines = f"{SETTING}:1:{live}\n{OTHER}:2:{FORWARD} = {value}\n"
    record = reported(f"file {OTHER}", f"sysctl {FORWARD} 0", slug="other", play="Other play")
    return ("sysctls", "", f"{SETTING}\n{OTHER}\n", lines), record, ("made", OTHER, "present")


@pytest.mark.parametrize("play", ["Site", "Zz sorts after the other one"])
def test_a_setting_that_two_plays_declare_differently_is_refused_before_the_first_step(
    project: Project, play: str
) -> None:
    """The two plays may be of two controllers, or one play that has another name now. The order of the files does not
    matter."""
    plays(project, **{play: {"sysctl": {FORWARD: 1}}})
    slug = play.lower().replace(" ", "-")
    none = {f"sysctl.d/99-zz-provision-{slug}.conf": None}
    with pytest.raises(Unfixable, match="two values on this host: the play 'Other play' has set it too") as caught:
        planned(project, *rival("0"), **none)
    assert f"{OTHER}:2" in str(caught.value)
    same = planned(project, *rival("1"), **none)
    assert [change.resource for change in same.plan.changes] == []


def test_plays_whose_names_make_one_record_are_refused(project: Project) -> None:
    plays(project, **{"docker-hosts": {"files": {"/etc/x": {"content": "x"}}}})
    there = reported("file /etc/y", slug="docker-hosts", play="Docker hosts")
    with pytest.raises(Unfixable, match="'Docker hosts' and 'docker-hosts' have the same record") as caught:
        planned(project, there, ("made", "/etc/y", "present"), x=None)
    assert "/var/lib/provision/manifests/docker-hosts" in str(caught.value)
    own = reported("file /etc/x", slug="docker-hosts", play="docker-hosts")
    assert planned(project, own, x="x").plan.changes == ()


def test_a_plan_warns_of_an_interrupted_dpkg(project: Project) -> None:
    project.spec("files: {/etc/x: {content: new}}")
    (note,) = planned(project, ("interrupted", "dpkg"), x="old").notes
    assert note.startswith("dpkg was interrupted on this host")
    assert "provision apply --repair-packages" in note
    assert planned(project, x="old").notes == ()


def test_a_changed_object_that_another_play_has_made_is_noted(project: Project) -> None:
    project.spec("files: {/etc/x: {content: new}}")
    other = reported("file /etc/x", slug="other", play="Other play")
    found = planned(project, other, x="old")
    assert [change.resource for change in found.plan.changes] == ["file:/etc/x"]
    (note,) = found.notes
    assert "play 'Other play' has made file /etc/x on this host too" in note
    assert planned(project, other, x="new").notes == ()
    assert planned(project, reported("file /etc/x"), x="old").notes == ()
