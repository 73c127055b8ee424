"""Images from archives: which of a host's images equals an archive, in both stores of docker, and which one was
pushed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision.catalog import Options
from provision.distros import platform
from provision.model import Change
from provision.planning.plan import drift, inspection
from provision.remote.protocol import Seen
from provision.remote.uploads import Archive, archive
from provision.resources.docker.image import LoadedImage
from provision.tasks import pushed
from provision.verify.declared.objects import loaded_image, published_port
from tests.conftest import Project
from tests.lab import images
from tests.test_cases import frames

APP = "reg.example:5000/app:1"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def loaded(found: Archive, push: bool = False) -> LoadedImage:
    return LoadedImage(APP, found.ids, found.blob, push, found.content, found.tag, found.parts)


def seen(image_id: str, layers: list[str], config: dict[str, Any], *digests: str, registry: str = "") -> Seen:
    """A look at one image, and the answer of its registry for the tag."""
    one = {"Id": image_id, "RepoTags": [APP], "RepoDigests": list(digests), "Config": config, "Layers": layers}
    answer = json.dumps({"Descriptor": {"digest": registry}}) if registry else '{"message":"manifest unknown"}'
    said = ["moved", APP, f"HTTP/1.0 200 OK\r\n\r\n{answer}"]
    return Seen.of(frames({"seen": [["docker", "image", json.dumps(one)], said]}))


def test_an_old_archive_in_containerds_store_is_identified_by_its_content(tmp_path: Path) -> None:
    images.archive(tmp_path / "app.tar", APP)
    found = archive(tmp_path / "app.tar", APP)
    layers, config = json.loads(found.content)
    digest = f"reg.example:5000/app@sha256:{'1' * 64}"
    there = f"sha256:{'1' * 64}"
    assert drift(loaded(found), seen(there, layers, config, digest)) is None
    assert drift(loaded(found), seen(there, layers, {**config, "Cmd": ["other"]}, digest)) is not None
    assert drift(loaded(found), seen(there, ["sha256:other"], config, digest)) is not None
    # In docker's own store the id is enough.
    assert drift(loaded(found), seen(there, layers, config)) is not None
    assert drift(loaded(found), seen(found.ids[0], [], {})) is None


def test_the_pushed_digest_of_an_image_for_several_platforms(tmp_path: Path) -> None:
    whole, part = images.platforms(tmp_path / "app.tar", APP)
    one = loaded(archive(tmp_path / "app.tar", APP), push=True)
    reference = f"reg.example:5000/app@{whole}"
    for digest, right in ((whole, True), (part, True), (f"sha256:{'2' * 64}", False)):
        report = seen(whole, [], {}, reference, registry=digest)
        assert (drift(one, report) is None) == right
        assert pushed((one,), report) == ({APP: digest} if right else {}), "other hosts pull the image of the registry"


def test_an_archive_of_several_images_is_kept_until_the_last_is_loaded(project: Project) -> None:
    images.archives(project.folder / "playbooks-both.tar", {"one:1": {"a": b"1"}, "two:1": {"a": b"2"}})
    project.write("playbooks/both.tar", (project.folder / "playbooks-both.tar").read_bytes())
    project.spec(yaml.safe_dump({"images": {"one:1": {"archive": "both.tar"}, "two:1": {"archive": "both.tar"}}}))
    found = project.load()
    on = platform("debian", "13", "trixie")
    assert on is not None
    plan = inspection(found.configs[0], on, found.context, Options(), Seen.of(frames({}))).plan
    assert [_words(change)[2:4] for change in plan.changes] == [("keep", "one:1"), ("-", "two:1")]


def _words(change: Change) -> tuple[str, ...]:
    (call,) = change.calls
    return call.args


def test_verify_knows_each_image_of_an_archive(project: Project) -> None:
    ids = images.archives(project.folder / "both.tar", {"one:1": {"a": b"1"}, "two:1": {"a": b"2"}})
    project.write("playbooks/both.tar", (project.folder / "both.tar").read_bytes())
    project.spec(yaml.safe_dump({"images": {"one:1": {"archive": "both.tar"}, "two:1": {"archive": "both.tar"}}}))
    found = project.load()
    named = {one.name: one.value for one in loaded_image(found.configs[0], found.context)}
    assert {name: value[0] for name, value in named.items()} == {name: {each} for name, each in ids.items()}
    assert named["one:1"][1] != named["two:1"][1]


@pytest.mark.parametrize(
    ("port", "socket"),
    [
        ("8080:80", ("", "8080", "tcp")),
        ("127.0.0.1:8080:80/udp", ("127.0.0.1:", "8080", "udp")),
        ("[::1]:8080:80", ("::1:", "8080", "tcp")),
        ("[0:0::1]:8080:80", ("::1:", "8080", "tcp")),
    ],
)
def test_a_port_has_the_form_that_testinfra_takes(project: Project, port: str, socket: tuple[str, str, str]) -> None:
    project.spec(yaml.safe_dump({"containers": {"web": {"image": "app:1", "ports": [port]}}}))
    found = project.load()
    (one,) = published_port(found.configs[0], found.context)
    assert one.value == socket
