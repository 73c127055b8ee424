"""Images for the tests, made without docker, in the form that `docker save` writes, with this machine's own busybox."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

_PROGRAMS = ("sh", "sleep", "cat", "ls", "echo", "httpd", "wget", "touch", "rm", "test", "true", "false", "tail", "nc")


def _root() -> dict[str, bytes]:
    """Path -> bytes: busybox, and the libraries that the dynamic linker lists for it (ldd(1))."""
    program = shutil.which("busybox")
    assert program is not None
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    libraries = [word for word in listed.split() if word.startswith("/")]
    return {name.lstrip("/"): Path(name).read_bytes() for name in libraries} | {
        "bin/busybox": Path(program).read_bytes()
    }


def _tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755
            tar.addfile(info, io.BytesIO(content))
        for name in _PROGRAMS if "bin/busybox" in files else ():
            info = tarfile.TarInfo(f"bin/{name}")
            info.type, info.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(info)
    return out.getvalue()


def _config(layer: bytes, **config: Any) -> bytes:
    """An image's config (OCI image-spec, config.md)."""
    settings = {"Env": ["PATH=/bin"], "Cmd": ["sleep", "100000"], **config}
    whole = {
        "architecture": _ARCHITECTURE,
        "os": "linux",
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "the tests"}],
        "created": "2026-01-01T00:00:00Z",
    }
    return json.dumps(whole).encode()


_ARCHITECTURE = "amd64" if os.uname().machine == "x86_64" else "arm64"
#: This machine, as an index names it.
PLATFORM = {"architecture": _ARCHITECTURE, "os": "linux"}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _write(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def archive(path: Path, tag: str, more: dict[str, bytes] | None = None, **config: Any) -> str:
    """Write an archive with one image, and return its id. ``config`` are keys of an image's config (Cmd, Env ...)."""
    (made,) = archives(path, {tag: more or {}}, **config).values()
    return made


def archives(path: Path, tags: dict[str, dict[str, bytes]], **config: Any) -> dict[str, str]:
    """Write an archive of several images, as docker save did before it wrote an index; tag -> id. The value of a tag is
    the set of files that only its image has."""
    members: dict[str, bytes] = {}
    manifests: list[dict[str, Any]] = []
    ids = {}
    for number, (tag, more) in enumerate(tags.items()):
        layer = _tar({**_root(), **more})
        whole = _config(layer, **config)
        ids[tag] = _digest(whole)
        name = f"{ids[tag].removeprefix('sha256:')}.json"
        members |= {f"{number}/layer.tar": layer, name: whole}
        manifests.append({"Config": name, "RepoTags": [tag], "Layers": [f"{number}/layer.tar"]})
    _write(path, {**members, "manifest.json": json.dumps(manifests).encode()})
    return ids


def platforms(path: Path, tag: str, other: str = "s390x") -> tuple[str, str]:
    """Write an archive of one image for two platforms, as docker save writes it from containerd's store. Only this
    machine's platform is in it. Returns the digests of the whole image, and of this machine's part."""
    layer = _tar(_root())
    whole = _config(layer)
    kinds = "application/vnd.oci.image"
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{kinds}.manifest.v1+json",
            "config": {"mediaType": f"{kinds}.config.v1+json", "digest": _digest(whole), "size": len(whole)},
            "layers": [{"mediaType": f"{kinds}.layer.v1.tar", "digest": _digest(layer), "size": len(layer)}],
        }
    ).encode()
    own = {"mediaType": f"{kinds}.manifest.v1+json", "digest": _digest(manifest), "size": len(manifest)}
    absent = {**own, "digest": _digest(b"elsewhere"), "size": 9}
    index = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{kinds}.index.v1+json",
            "manifests": [
                {**own, "platform": PLATFORM},
                {**absent, "platform": {"architecture": other, "os": "linux"}},
            ],
        }
    ).encode()
    named = {
        "mediaType": f"{kinds}.index.v1+json",
        "digest": _digest(index),
        "size": len(index),
        "annotations": {"io.containerd.image.name": tag, "org.opencontainers.image.ref.name": tag.rpartition(":")[2]},
    }
    blobs = {f"blobs/sha256/{_digest(each)[7:]}": each for each in (layer, whole, manifest, index)}
    old = [
        {
            "Config": f"blobs/sha256/{_digest(whole)[7:]}",
            "RepoTags": [tag],
            "Layers": [f"blobs/sha256/{_digest(layer)[7:]}"],
        }
    ]
    _write(
        path,
        {
            **blobs,
            "index.json": json.dumps({"schemaVersion": 2, "manifests": [named]}).encode(),
            "manifest.json": json.dumps(old).encode(),
            "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
        },
    )
    return _digest(index), _digest(manifest)
