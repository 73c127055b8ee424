"""What is sent to a host apart from a script: archives of images, and folders to build. By content, compressed.

The same content gives the same bytes on every run, so a transfer that broke off goes on where it was.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from msgspec import Struct

#: How files that docker load takes as they are begin: gzip, xz, zstd, bzip2.
_COMPRESSED = (b"\x1f\x8b", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"BZh")


class Blob(Struct, frozen=True):
    """``name`` is the hash of the content; ``title`` is for people. ``file()`` has the bytes to send. A host that has
    an image of ``spares`` (ids) needs none."""

    name: str
    title: str
    source: Path
    folder: bool = False
    ignored: tuple[str, ...] = ()
    spares: tuple[str, ...] = ()

    def file(self) -> Path:
        """The bytes that travel: the file itself where it is compressed, else a compressed copy, made once."""
        if not self.folder and _compressed(self.source):
            return self.source
        place = _cache() / f"{self.name}.gz"
        if not place.exists():
            new = place.with_name(f".{place.name}.{os.getpid()}.new")
            # No name and no time in the head: the same content gives the same bytes.
            with open(new, "wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
                if self.folder:
                    _pack(self.source, self.ignored, packed)
                else:
                    with open(self.source, "rb") as plain:
                        shutil.copyfileobj(plain, packed, 1 << 20)
            new.replace(place)
        return place


class Archive(Struct, frozen=True):
    """``ids`` are what its config and its manifest have for hashes: the image's id in either of docker's stores. An
    archive without an index does not say the latter, for containerd writes that manifest itself: then ``content`` says
    what the image is made of. ``tag`` is what the archive calls it, and ``parts`` are the digests of its platforms."""

    ids: tuple[str, ...]
    blob: Blob
    content: str = ""
    tag: str = ""
    parts: tuple[str, ...] = ()


def archive(path: Path, reference: str) -> Archive:
    """What ``docker save`` has written (moby, image/tarexport). Raises ``ValueError`` for anything else."""
    stat = path.stat()
    return _archive(path, reference, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=256)
def _archive(path: Path, reference: str, changed: int, size: int) -> Archive:
    found = _members(path, {"manifest.json", "index.json"})
    images: list[dict[str, Any]] = found.get("manifest.json") or []
    if not images:
        raise ValueError("is no archive of docker save: it has no manifest.json")
    one = images[0] if len(images) == 1 else _named(images, reference)
    digest = re.search(r"[0-9a-f]{64}", str(one.get("Config")))
    if digest is None:
        raise ValueError("is no archive of docker save: its manifest names no config")
    manifests: list[dict[str, Any]] = (found.get("index.json") or {}).get("manifests") or []
    own = [each for each in manifests if len(images) == 1 or _name(each) == full_name(reference)]
    indexes = {f"blobs/sha256/{each['digest'][7:]}" for each in own if _INDEX.search(str(each.get("mediaType")))}
    config = str(one["Config"])
    more = _members(path, indexes | (set() if own else {config})) if indexes or not own else {}
    parts = (each["digest"] for index in indexes for each in (more.get(index) or {}).get("manifests") or [])
    content = "" if own else _content_of(more.get(config) or {})
    with open(path, "rb") as file:
        name = hashlib.file_digest(file, "sha256").hexdigest()
    ids = tuple(dict.fromkeys((f"sha256:{digest[0]}", *(each["digest"] for each in own))))
    tags = one.get("RepoTags") or [""]
    tag = next((each for each in tags if each and full_name(each) == full_name(reference)), tags[0])
    return Archive(ids, Blob(name, path.name, path, spares=ids), content, tag, tuple(parts))


#: Media types of what names an image for each of several platforms (OCI image-spec; distribution, manifest v2.2).
_INDEX = re.compile(r"image\.index|manifest\.list")


def _members(path: Path, names: set[str]) -> dict[str, Any]:
    """The JSON members of these names. Raises ``ValueError`` for what is no such archive."""
    try:
        with tarfile.open(path, "r:*") as tar:
            return {
                member.name: json.loads(file.read())
                for member in tar
                if member.name in names and (file := tar.extractfile(member)) is not None
            }
    except (tarfile.TarError, ValueError, EOFError, OSError) as error:
        raise ValueError(f"is no archive of docker save: {error}") from error


def _name(manifest: dict[str, Any]) -> str:
    """The name that an index has for one of its images (containerd, images.AnnotationImageName)."""
    annotations = manifest.get("annotations")
    return full_name(str((annotations or {}).get("io.containerd.image.name") or ""))


def _named(images: list[dict[str, Any]], reference: str) -> dict[str, Any]:
    for one in images:
        if full_name(reference) in map(full_name, one.get("RepoTags") or []):
            return one
    tags = ", ".join(tag for one in images for tag in one.get("RepoTags") or [])
    raise ValueError(f"holds several images, and none is called {reference} ({tags})")


def full_name(reference: str) -> str:
    """Without Docker Hub's own prefix, and with a tag: one form for each name (distribution/reference)."""
    short = reference.removeprefix("docker.io/").removeprefix("library/")
    return short if "@" in short or ":" in short.rpartition("/")[2] else f"{short}:latest"


def content(layers: Iterable[str], config: dict[str, Any]) -> str:
    """What an image is made of: its layers, and all that its config gives a container. Keys that say nothing are
    left out, for each store has its own of them."""
    given = {key: value for key in _CONFIG if (value := config.get(key))}
    return json.dumps([list(layers), given], sort_keys=True)


#: OCI image-spec, config.md, and docker's own additions (moby, dockerspec.DockerOCIImageConfig).
_CONFIG = (
    *("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal"),
    *("ArgsEscaped", "Healthcheck", "OnBuild", "Shell"),
)


def _content_of(image: dict[str, Any]) -> str:
    return content((image.get("rootfs") or {}).get("diff_ids") or [], image.get("config") or {})


def folder(path: Path, dockerfile: str, decides: Iterable[str]) -> tuple[str, Blob]:
    """A folder to build: the hash of all that decides what becomes of it, and its blob. Raises ``ValueError`` where
    there is no Dockerfile."""
    if not (path / dockerfile).is_file():
        raise ValueError(f"has no {dockerfile}")
    ignore = path / ".dockerignore"
    rules = tuple(ignore.read_text().splitlines()) if ignore.is_file() else ()
    # The Dockerfile itself always goes along (docs.docker.com: .dockerignore files).
    ignored = (*rules, f"!{dockerfile}")
    sum_ = _Sum()
    _pack(path, ignored, sum_)
    whole = hashlib.sha256("\0".join((sum_.hash.hexdigest(), dockerfile, *decides)).encode()).hexdigest()
    return whole, Blob(sum_.hash.hexdigest(), path.name, path, folder=True, ignored=ignored)


class _Sum:
    """Takes bytes as a file does, and keeps their hash alone."""

    def __init__(self) -> None:
        self.hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        return len(data)


def _pack(path: Path, ignored: tuple[str, ...], out: Any) -> None:
    """A tar of the folder that is the same wherever and whenever it is made: sorted, of root's, without times."""
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT) as tar:
        for each in _kept(path, ignored):
            info = tar.gettarinfo(each, str(each.relative_to(path)))
            info.uid = info.gid = info.mtime = 0
            info.uname = info.gname = ""
            info.mode &= 0o755
            if info.isreg():
                with open(each, "rb") as file:
                    tar.addfile(info, file)
            else:
                tar.addfile(info)


def _kept(path: Path, ignored: tuple[str, ...]) -> Iterator[Path]:
    """The files of a folder but for those that .dockerignore names: the last rule that matches a file or a folder
    above it counts (moby/patternmatcher)."""
    rules = [(_rule(line.lstrip("!")), line.startswith("!")) for raw in ignored if (line := _line(raw))]
    for each in sorted(path.rglob("*")):
        name, out = str(each.relative_to(path)), False
        for rule, back in rules:
            if rule.match(name):
                out = not back
        if not out and (each.is_symlink() or not each.is_dir()):
            yield each


def _line(raw: str) -> str:
    line = raw.strip()
    return "" if line.startswith("#") else line


def _rule(pattern: str) -> re.Pattern[str]:
    """Go's filepath.Match, and ``**`` for any number of folders; a rule for a folder is one for all that is in it."""
    text, position = "", 0
    pattern = pattern.strip().strip("/").removeprefix("./")
    while position < len(pattern):
        rest = pattern[position:]
        if rest.startswith("**/"):
            text, position = f"{text}(?:.*/)?", position + 3
        elif rest.startswith("**"):
            text, position = f"{text}.*", position + 2
        elif rest[0] in "*?":
            text, position = text + ("[^/]*" if rest[0] == "*" else "[^/]"), position + 1
        else:
            text, position = text + re.escape(rest[0]), position + 1
    return re.compile(f"{text}(?:/.*)?\\Z")


def _compressed(path: Path) -> bool:
    with open(path, "rb") as file:
        head = file.read(6)
    return head.startswith(_COMPRESSED)


def _cache() -> Path:
    """Ours alone; what nobody has used for a month goes."""
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    place = Path(base) / "provision" / "blobs"
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    newest = max((each.stat().st_atime for each in place.iterdir()), default=0.0)
    for each in place.iterdir():
        if each.stat().st_atime < newest - 30 * 86400:
            each.unlink(missing_ok=True)
    return place
