"""Images for the tests, made without docker: what `docker save` would have written, of this machine's own busybox."""

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
    """Path -> bytes: busybox, and what the dynamic linker says it needs (ldd(1))."""
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


def archive(path: Path, tag: str, more: dict[str, bytes] | None = None, **config: Any) -> str:
    """Write an archive with one image, and return its id. ``config`` are keys of an image's config (Cmd, Env ...)."""
    layer = _tar({**_root(), **(more or {})})
    settings = {"Env": ["PATH=/bin"], "Cmd": ["sleep", "100000"], **config}
    whole = json.dumps(
        {
            "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
            "os": "linux",
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
            "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "the tests"}],
            "created": "2026-01-01T00:00:00Z",
        }
    ).encode()
    digest = hashlib.sha256(whole).hexdigest()
    manifest = json.dumps([{"Config": f"{digest}.json", "RepoTags": [tag], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(path, "w") as tar:
        for name, content in (("layer.tar", layer), (f"{digest}.json", whole), ("manifest.json", manifest)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return f"sha256:{digest}"
