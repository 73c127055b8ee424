"""Blobs that a host receives in addition to a script: image archives and build directories. They are named by content,
and compressed.

The same content gives the same bytes on every run, so an interrupted transfer can resume at the same byte.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import json
import os
import re
import shutil
import tempfile
import threading
import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from io import BufferedReader
from pathlib import Path
from typing import Any

from msgspec import Struct

from provision.model import Changed, Packed

#: The first bytes of files that docker load accepts as they are: gzip, xz, zstd, bzip2.
_COMPRESSED = (b"\x1f\x8b", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"BZh")


class Blob(Struct, frozen=True):
    """``name`` is the SHA-256 of the content before compression; ``title`` is for people. A host that has an image of
    ``spares`` (image ids) does not need the blob."""

    name: str
    title: str
    source: Path
    folder: bool = False
    ignored: tuple[str, ...] = ()
    spares: tuple[str, ...] = ()

    def packed(self) -> Packed:
        """The bytes to send: the file itself where it is compressed, otherwise a compressed copy, made once.

        provision sends only the content that the plan names: it hashes the content during compression, and a copy from
        an earlier run before use. Raises :class:`Changed` where the hash is not ``name``, and ``OSError`` where the
        disk has no space for a copy."""
        with _lock(self.name):
            try:
                if not self.folder and _compressed(self.source):
                    found = _sums(self.source)
                    if found.content != self.name:
                        raise self._changed()
                    return found.packed
                return self._copy()
            except ValueError as error:
                raise self._changed(f": it {error}") from error
            except OSError as error:
                # tarfile sets no errno for a file that became shorter during the read.
                if error.errno not in (None, errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    raise
                raise self._changed(f": {error}") from error

    def _copy(self) -> Packed:
        cache = _cache()
        place = cache / f"{self.name}.gz"
        if place.exists():
            try:
                found = _sums(place)
            except (OSError, EOFError, zlib.error):
                found = None
            if found is not None and found.content == self.name:
                return found.packed
            # The copy is truncated, or its content does not match its name.
            place.unlink(missing_ok=True)
        descriptor, new = tempfile.mkstemp(".new", f".{self.name}.", cache)
        try:
            sum_ = hashlib.sha256()
            # The gzip header has no name and no time: the same content gives the same bytes.
            with open(descriptor, "wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as compressed:
                out = _Both(compressed, sum_)
                if self.folder:
                    _pack(self.source, self.ignored, out)
                else:
                    with open(self.source, "rb") as plain:
                        shutil.copyfileobj(plain, out, 1 << 20)
            if sum_.hexdigest() != self.name:
                raise self._changed()
            Path(new).replace(place)
        finally:
            Path(new).unlink(missing_ok=True)
        return _sums(place).packed

    def _changed(self, why: str = "") -> Changed:
        return Changed(f"{self.source} has changed since the plan was made{why}")


class _Both(Struct):
    """A file object that writes into a file and into a hash."""

    file: Any
    sum: Any

    def write(self, data: bytes) -> int:
        self.sum.update(data)
        return int(self.file.write(data))


class _Sums(Struct, frozen=True):
    """``content`` is the SHA-256 of a file's content: of the bytes themselves, or of the content before compression."""

    content: str
    packed: Packed


def _sums(path: Path) -> _Sums:
    """Both hashes of a file, of the same bytes. A process reads an unchanged file only once. The host checks the
    SHA-256 of the data that it receives, so it refuses a file that changed later."""
    stat = path.stat()
    return _summed(path, path.parent == _place(), (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))


@lru_cache(maxsize=256)
def _summed(path: Path, copy: bool, identity: tuple[int, ...]) -> _Sums:
    whole, content, size = hashlib.sha256(), hashlib.sha256(), 0
    unpack = zlib.decompressobj(wbits=31)  # gzip
    with open(path, "rb") as file:
        while data := file.read(1 << 20):
            whole.update(data)
            size += len(data)
            while copy and data:
                content.update(unpack.decompress(data, 1 << 20))
                data = unpack.unconsumed_tail
    content.update(unpack.flush())
    if copy and (not unpack.eof or unpack.unused_data):
        raise EOFError(f"{path} is not a complete copy")
    return _Sums((content if copy else whole).hexdigest(), Packed(path, size, whole.hexdigest()))


@lru_cache(maxsize=1024)
def _lock(name: str) -> threading.Lock:
    """The lock of a blob. Several hosts may need the same blob: one thread packs it, and the others wait."""
    return threading.Lock()


class Archive(Struct, frozen=True):
    """``ids`` are the hashes of the archive's config and of its manifest: each is the image id in one of docker's two
    stores. An archive without an index does not name the manifest, because containerd writes that manifest itself; then
    ``content`` identifies the image. ``tag`` is its name in the archive; ``parts`` are the digests of its platforms."""

    ids: tuple[str, ...]
    blob: Blob
    content: str = ""
    tag: str = ""
    parts: tuple[str, ...] = ()


def archive(path: Path, reference: str) -> Archive:
    """Read what ``docker save`` wrote (moby, image/tarexport). Raises ``ValueError`` for any other file."""
    stat = path.stat()
    return _archive(path, reference, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=256)
def _archive(path: Path, reference: str, changed: int, size: int) -> Archive:
    # The file is opened once, so the ids and the hash are of the same bytes.
    with open(path, "rb") as file:
        return _archive_of(file, path, reference)


def _archive_of(file: BufferedReader, path: Path, reference: str) -> Archive:
    name = hashlib.file_digest(file, "sha256").hexdigest()
    found = _members(file, {"manifest.json", "index.json"})
    images: list[dict[str, Any]] = found.get("manifest.json") or []
    if not images:
        raise ValueError("is not an archive of docker save: it has no manifest.json")
    one = images[0] if len(images) == 1 else _named(images, reference)
    digest = re.search(r"[0-9a-f]{64}", str(one.get("Config")))
    if digest is None:
        raise ValueError("is not an archive of docker save: its manifest names no config")
    manifests: list[dict[str, Any]] = (found.get("index.json") or {}).get("manifests") or []
    own = [each for each in manifests if len(images) == 1 or _name(each) == full_name(reference)]
    indexes = {f"blobs/sha256/{each['digest'][7:]}" for each in own if _INDEX.search(str(each.get("mediaType")))}
    config = str(one["Config"])
    more = _members(file, indexes | (set() if own else {config})) if indexes or not own else {}
    parts = (each["digest"] for index in indexes for each in (more.get(index) or {}).get("manifests") or [])
    content = "" if own else _content_of(more.get(config) or {})
    ids = tuple(dict.fromkeys((f"sha256:{digest[0]}", *(each["digest"] for each in own))))
    tags = one.get("RepoTags") or [""]
    tag = next((each for each in tags if each and full_name(each) == full_name(reference)), tags[0])
    return Archive(ids, Blob(name, path.name, path, spares=ids), content, tag, tuple(parts))


#: Media types of an index: an image for each of several platforms (OCI image-spec; distribution, manifest v2.2).
_INDEX = re.compile(r"image\.index|manifest\.list")


def _members(file: BufferedReader, names: set[str]) -> dict[str, Any]:
    """The JSON members of these names. Raises ``ValueError`` for a file that is not such an archive."""
    import tarfile  # most runs read and write no archive

    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:*") as tar:
            return {
                member.name: json.loads(part.read())
                for member in tar
                if member.name in names and (part := tar.extractfile(member)) is not None
            }
    except (tarfile.TarError, ValueError, EOFError, OSError) as error:
        raise ValueError(f"is not an archive of docker save: {error}") from error


def _name(manifest: dict[str, Any]) -> str:
    """The name that an index has for one of its images (containerd, images.AnnotationImageName)."""
    annotations = manifest.get("annotations")
    return full_name(str((annotations or {}).get("io.containerd.image.name") or ""))


def _named(images: list[dict[str, Any]], reference: str) -> dict[str, Any]:
    for one in images:
        if full_name(reference) in map(full_name, one.get("RepoTags") or []):
            return one
    tags = ", ".join(tag for one in images for tag in one.get("RepoTags") or [])
    raise ValueError(f"holds several images, none of them named {reference} ({tags})")


def full_name(reference: str) -> str:
    """A reference without the prefix of Docker Hub and with a tag: one form for each name (distribution/reference)."""
    short = reference.removeprefix("docker.io/").removeprefix("library/")
    return short if "@" in short or ":" in short.rpartition("/")[2] else f"{short}:latest"


def content(layers: Iterable[str], config: dict[str, Any]) -> str:
    """The identity of an image: its layers, and everything in its config that a container receives. Keys without a
    value are left out, because the two stores differ in them."""
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
    """A build directory: the hash of everything that determines the resulting image, and its blob. Raises
    ``ValueError`` where the directory has no Dockerfile."""
    if not (path / dockerfile).is_file():
        raise ValueError(f"has no {dockerfile}")
    ignore = path / ".dockerignore"
    rules = tuple(ignore.read_text().split("\n")) if ignore.is_file() else ()
    # docker always sends the Dockerfile itself (docs.docker.com: .dockerignore files).
    ignored = (*rules, f"!{dockerfile}")
    sum_ = hashlib.sha256()
    try:
        with open(os.devnull, "wb") as nowhere:
            _pack(path, ignored, _Both(nowhere, sum_))
    except OSError as error:
        raise ValueError(f"can't be read: {error}") from error
    whole = hashlib.sha256("\0".join((sum_.hexdigest(), dockerfile, *decides)).encode()).hexdigest()
    return whole, Blob(sum_.hexdigest(), path.name, path, folder=True, ignored=ignored)


def _pack(path: Path, ignored: tuple[str, ...], out: Any) -> None:
    """Write a tar of the directory that is the same on every machine and at every time: sorted, owned by root, without
    times. A link stays a link, and a file with two names becomes two files. Raises ``ValueError`` for a file that no
    build accepts."""
    import tarfile  # most runs read and write no archive

    with tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT) as tar:
        for each in _kept(path, ignored):
            name = str(each.relative_to(path))
            if each.is_symlink():
                info = tarfile.TarInfo(name)
                info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, os.readlink(each)
                tar.addfile(info)
                continue
            # Do not wait for a FIFO.
            if not each.is_file():
                raise ValueError(f"has {name}, which is not a file, directory or link (.dockerignore can leave it out)")
            with open(os.open(each, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb") as file:
                stat = os.fstat(file.fileno())
                info = tarfile.TarInfo(name)
                info.size, info.mode = stat.st_size, stat.st_mode & 0o755
                tar.addfile(info, file)


def _kept(path: Path, ignored: tuple[str, ...]) -> Iterator[Path]:
    """The files of a directory without those that .dockerignore excludes. The last rule that matches a file or a
    directory above it decides (moby/patternmatcher)."""
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
    """Go's filepath.Match, and ``**`` for any number of directories; a rule for a directory applies to all that is in
    it."""
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


def _place() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(base) / "provision" / "blobs"


def _cache() -> Path:
    """The cache directory. Only its owner can read it; files that were not used for a month are removed."""
    place = _place()
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    used = {}
    for each in place.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another thread or process has removed it already
            used[each] = each.stat().st_atime
    newest = max(used.values(), default=0.0)
    for each, when in used.items():
        if when < newest - 30 * 86400:
            each.unlink(missing_ok=True)
    return place
