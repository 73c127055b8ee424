"""This machine's apt with a state of its own: it resolves for another file system, and changes nothing of this one."""

from __future__ import annotations

from pathlib import Path

from provision.lab.process import run


def apart(folder: Path, root: Path, sources: str) -> list[str]:
    """The options of apt for the file system in ``root``; ``sources`` are lines of sources.list(5). The state is in
    ``folder``; the first call fetches the archive's lists."""
    options = {
        "Dir::State": folder / "state",
        "Dir::State::status": root / "var/lib/dpkg/status",
        "Dir::Cache": folder / "cache",
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    if not folder.exists():
        for name in ("state/lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        keyring = root / "usr/share/keyrings/debian-archive-keyring.gpg"
        (folder / "sources.list").write_text(sources.replace("deb ", f"deb [signed-by={keyring}] "))
        run(["apt-get", *words, "update"])
    return words
