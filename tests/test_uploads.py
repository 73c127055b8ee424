"""Archives and directories: the same content gives the same blob, and ignored files are not in it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import socket
import tarfile
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from provision.model import Changed, Login
from provision.remote import uploads
from provision.remote.uploads import archive, content, folder
from provision.transport.ssh import HostError
from provision.transport.upload import send
from tests.lab import images


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def build(path: Path, **files: str) -> Path:
    path.mkdir()
    for name, text in files.items():
        place = path / name.replace("__", "/").replace("_dot_", ".")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return path


def members(path: Path) -> list[str]:
    with tarfile.open(path) as tar:
        return tar.getnames()


def test_the_ids_of_an_archive_equal_dockers(tmp_path: Path) -> None:
    made = images.archive(tmp_path / "app.tar", "app:1")
    found = archive(tmp_path / "app.tar", "app:1")
    assert found.ids == (made,)
    first = found.blob.packed().path.read_bytes()
    found.blob.packed().path.unlink()
    assert found.blob.packed().path.read_bytes() == first, "the same bytes, so that a transfer can continue"
    assert first[:2] == b"\x1f\x8b"


def test_an_archive_of_several_images_has_an_id_for_each(tmp_path: Path) -> None:
    """Without an index, only docker's own store has a known id for an image. For the other store its content identifies
    it."""
    ids = images.archives(tmp_path / "both.tar", {"one:1": {"one": b"1"}, "reg.example:5000/two": {"two": b"2"}})
    one = archive(tmp_path / "both.tar", "docker.io/library/one:1")
    two = archive(tmp_path / "both.tar", "reg.example:5000/two:latest")
    assert (one.ids, one.tag) == ((ids["one:1"],), "one:1")
    assert (two.ids, two.tag) == ((ids["reg.example:5000/two"],), "reg.example:5000/two")
    assert one.content != two.content
    layers, config = json.loads(one.content)
    assert one.content == content(layers, {**config, "User": "", "Image": "sha256:parent", "Volumes": None})
    with pytest.raises(ValueError, match="none of them named three:1"):
        archive(tmp_path / "both.tar", "three:1")


def test_an_archive_of_several_platforms_has_the_digests_of_the_index(tmp_path: Path) -> None:
    whole, part = images.platforms(tmp_path / "app.tar", "reg.example:5000/app:1")
    found = archive(tmp_path / "app.tar", "reg.example:5000/app:1")
    assert found.ids[1] == whole
    assert part in found.parts
    assert found.content == "", "the index has the id"


def test_an_index_gives_each_image_its_digest(tmp_path: Path) -> None:
    """Each image has its name in the index (containerd's annotation). The id of another image does not count."""
    images.archives(tmp_path / "both.tar", {"one:1": {"one": b"1"}, "two:1": {"two": b"2"}})
    manifests = [
        {"digest": f"sha256:{number * 64}", "annotations": {"io.containerd.image.name": f"docker.io/library/{name}"}}
        for number, name in (("1", "one:1"), ("2", "two:1"))
    ]
    text = json.dumps({"manifests": manifests}).encode()
    with tarfile.open(tmp_path / "both.tar", "a") as tar:
        info = tarfile.TarInfo("index.json")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    found = archive(tmp_path / "both.tar", "two:1")
    assert found.ids[1:] == (f"sha256:{'2' * 64}",)
    assert found.content == ""


@pytest.mark.parametrize("written", [b"", b"no tar", b"\x1f\x8b broken"])
def test_an_invalid_archive_is_refused(tmp_path: Path, written: bytes) -> None:
    (tmp_path / "app.tar").write_bytes(written)
    with pytest.raises(ValueError, match="not an archive of docker save"):
        archive(tmp_path / "app.tar", "app:1")


def test_a_folder_is_identified_by_its_content(tmp_path: Path) -> None:
    one = build(tmp_path / "one", Dockerfile="FROM a\n", file="x")
    two = build(tmp_path / "two", Dockerfile="FROM a\n", file="x")
    os.utime(two / "file", (1, 1))
    assert folder(one, "Dockerfile", ())[0] == folder(two, "Dockerfile", ())[0]
    assert folder(one, "Dockerfile", ("A=1",))[0] != folder(one, "Dockerfile", ())[0]
    (two / "file").write_text("y")
    assert folder(one, "Dockerfile", ())[0] != folder(two, "Dockerfile", ())[0]
    (two / "file").write_text("x")
    (two / "file").chmod(0o755)
    assert folder(one, "Dockerfile", ())[0] != folder(two, "Dockerfile", ())[0]


def test_dockerignore_is_followed(tmp_path: Path) -> None:
    """docs.docker.com/build/concepts/context: the last rule that matches counts, ** is any number of directories."""
    rules = "# nothing of these\n*.log\n**/*.tmp\nsecret\n/docs/*\n!docs/keep.md\nDockerfile\n"
    place = build(
        tmp_path / "app",
        Dockerfile="FROM a\n",
        _dot_dockerignore=rules,
        a_dot_log="",
        sub__b_dot_log="",
        sub__deep__c_dot_tmp="",
        secret__key="",
        docs__x_dot_md="",
        docs__keep_dot_md="",
        src__main="",
    )
    _, blob = folder(place, "Dockerfile", ())
    assert members(blob.packed().path) == [".dockerignore", "Dockerfile", "docs/keep.md", "src/main", "sub/b.log"]


def test_a_folder_without_a_dockerfile_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no Dockerfile"):
        folder(build(tmp_path / "app"), "Dockerfile", ())


def sum_of(path: Path) -> str:
    with gzip.open(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_the_content_that_the_plan_names_is_sent(tmp_path: Path) -> None:
    place = build(tmp_path / "app", Dockerfile="FROM a\n", file="planned")
    _, blob = folder(place, "Dockerfile", ())
    (place / "file").write_text("another")
    with pytest.raises(Changed, match="app has changed since the plan was made"):
        blob.packed()
    (place / "file").unlink()
    with pytest.raises(Changed, match="app has changed since the plan was made"):
        blob.packed()
    (place / "file").write_text("planned")
    packed = blob.packed()
    assert sum_of(packed.path) == blob.name
    assert packed.sha256 == hashlib.sha256(packed.path.read_bytes()).hexdigest()
    assert packed.size == packed.path.stat().st_size


def test_content_that_was_not_planned_is_not_sent(tmp_path: Path) -> None:
    """The error comes before anything is sent to the host, with the kind for a plan that is no longer valid."""
    place = build(tmp_path / "app", Dockerfile="FROM a\n")
    _, blob = folder(place, "Dockerfile", ())
    (place / "Dockerfile").write_text("FROM evil\n")
    with pytest.raises(HostError) as caught:
        send(SimpleNamespace(), Login("web1"), blob, 0.0, pytest.fail)  # type: ignore[arg-type]
    assert caught.value.failure.kind == "drifted"
    assert caught.value.failure.message.endswith("app has changed since the plan was made; nothing was done")


def test_an_archive_that_changed_after_the_plan_is_not_sent(tmp_path: Path) -> None:
    for name in ("plain.tar", "packed.tar.gz"):
        images.archive(tmp_path / "plain.tar", "app:1")
        path = tmp_path / name
        if name != "plain.tar":
            path.write_bytes(gzip.compress((tmp_path / "plain.tar").read_bytes()))
        blob = archive(path, "app:1").blob
        path.write_bytes(path.read_bytes() + b"more")
        with pytest.raises(Changed, match=f"{name} has changed since the plan was made"):
            blob.packed()


@pytest.mark.parametrize("damage", ["other", "cut", "none", "tail"])
def test_a_damaged_copy_of_an_earlier_run_is_made_again(tmp_path: Path, damage: str) -> None:
    _, blob = folder(build(tmp_path / "app", Dockerfile="FROM a\n"), "Dockerfile", ())
    path = blob.packed().path
    good = path.read_bytes()
    path.write_bytes(
        {"other": gzip.compress(b"FROM evil"), "cut": good[:-9], "none": b"", "tail": good + b"more"}[damage]
    )
    packed = blob.packed()
    assert packed.path.read_bytes() == good
    assert packed.sha256 == hashlib.sha256(good).hexdigest()


def test_hosts_that_request_the_same_archive_share_one_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One host's thread makes the copy, and each host gets the complete copy."""
    images.archive(tmp_path / "app.tar", "app:1")
    blob = archive(tmp_path / "app.tar", "app:1").blob
    many = 8
    begin = threading.Barrier(many)
    made: list[bytes] = []
    failed: list[BaseException] = []

    def host() -> None:
        begin.wait()
        try:
            made.append(blob.packed().path.read_bytes())
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=host) for _ in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(set(made)) == 1
    (left,) = uploads._place().iterdir()
    assert sum_of(left) == blob.name


def test_links_and_special_files_in_a_folder(tmp_path: Path) -> None:
    place = build(tmp_path / "app", Dockerfile="FROM a\n", file="x", other="x")
    (place / "link").symlink_to("../outside")
    (place / "folder-link").symlink_to(".")
    before = folder(place, "Dockerfile", ())[0]
    with tarfile.open(folder(place, "Dockerfile", ())[1].packed().path) as tar:
        assert {one.name: one.linkname for one in tar if one.issym()} == {"link": "../outside", "folder-link": "."}
    # Two names of one file are two files, because a checkout on another machine has no such hard link.
    (place / "other").unlink()
    (place / "other").hardlink_to(place / "file")
    assert folder(place, "Dockerfile", ())[0] == before
    os.mkfifo(place / "fifo")
    with pytest.raises(ValueError, match="has fifo, which is not a file, directory or link"):
        folder(place, "Dockerfile", ())
    (place / "fifo").unlink()
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(place / "s"))
        with pytest.raises(ValueError, match="has s, which is not a file, directory or link"):
            folder(place, "Dockerfile", ())
    (place / ".dockerignore").write_text("s\n")
    folder(place, "Dockerfile", ())
