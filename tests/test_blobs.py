"""Archives and folders: the same content is the same blob, and what is ignored is not in it."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from provision.blobs import archive, content, folder
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


def test_an_archive_has_the_ids_that_docker_gives_it(tmp_path: Path) -> None:
    made = images.archive(tmp_path / "app.tar", "app:1")
    found = archive(tmp_path / "app.tar", "app:1")
    assert found.ids == (made,)
    first = found.blob.file().read_bytes()
    found.blob.file().unlink()
    assert found.blob.file().read_bytes() == first, "the same bytes, so that a transfer can go on"
    assert first[:2] == b"\x1f\x8b"


def test_an_archive_of_several_images(tmp_path: Path) -> None:
    """Without an index only docker's own store has a known id for an image; its content says what it is."""
    ids = images.archives(tmp_path / "both.tar", {"one:1": {"one": b"1"}, "reg.example:5000/two": {"two": b"2"}})
    one = archive(tmp_path / "both.tar", "docker.io/library/one:1")
    two = archive(tmp_path / "both.tar", "reg.example:5000/two:latest")
    assert (one.ids, one.tag) == ((ids["one:1"],), "one:1")
    assert (two.ids, two.tag) == ((ids["reg.example:5000/two"],), "reg.example:5000/two")
    assert one.content != two.content
    layers, config = json.loads(one.content)
    assert one.content == content(layers, {**config, "User": "", "Image": "sha256:parent", "Volumes": None})
    with pytest.raises(ValueError, match="none is called three:1"):
        archive(tmp_path / "both.tar", "three:1")


def test_an_archive_of_an_image_for_several_platforms(tmp_path: Path) -> None:
    whole, part = images.platforms(tmp_path / "app.tar", "reg.example:5000/app:1")
    found = archive(tmp_path / "app.tar", "reg.example:5000/app:1")
    assert found.ids[1] == whole
    assert part in found.parts
    assert found.content == "", "its index says what its id is"


def test_an_index_of_several_images(tmp_path: Path) -> None:
    """Each has its name there (containerd's annotation); an id of another one is none of it."""
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
def test_what_is_no_archive(tmp_path: Path, written: bytes) -> None:
    (tmp_path / "app.tar").write_bytes(written)
    with pytest.raises(ValueError, match="no archive of docker save"):
        archive(tmp_path / "app.tar", "app:1")


def test_a_folder_is_what_is_in_it(tmp_path: Path) -> None:
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


def test_dockerignore(tmp_path: Path) -> None:
    """docs.docker.com/build/concepts/context: the last rule that matches counts, ** is any number of folders."""
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
    assert members(blob.file()) == [".dockerignore", "Dockerfile", "docs/keep.md", "src/main", "sub/b.log"]


def test_a_folder_without_a_dockerfile(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no Dockerfile"):
        folder(build(tmp_path / "app"), "Dockerfile", ())
