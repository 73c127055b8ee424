"""The linter against the recorded answers of real engines: ``python -m tests.lint_table`` prints the table.

The reference is dockerd itself (tests/lab/test_dockerd.py): a file works if the daemon starts and a container runs.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import yaml
from msgspec import Struct

from provision.engine.keys import version
from provision.lint.daemon_file import lint_text
from provision.lint.finding import Finding
from provision.visible import show

DATA = Path(__file__).parent / "data"
CASES: dict[str, str] = yaml.load((DATA / "daemon_json.yml").read_text(), Loader=yaml.CSafeLoader)
#: engine -> case -> the answer of `--validate`, and the result of the start and of a container: "ok" or dockerd's words
SAID: dict[str, dict[str, dict[str, str]]] = {
    path.stem: yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    for path in sorted((DATA / "dockerd_says").glob("*.yml"))
}
#: Files that an engine refuses for what the host has or lacks, and not for their content.
HOST = {
    "userns-remap of an unknown user": "the user may exist",
    "seccomp profile missing": "the file may exist",
    "authorization plugin missing": "the plugin may be installed",
    "unknown log driver": "a plugin may have this name",
    "plugin without a colon": "the plugin may be installed",
    "plugin with a tag": "the plugin may be installed",
    "file loki": "the plugin may be installed",
    "init path missing": "the file may exist",
    "bridge missing": "the bridge may exist",
    "userland proxy missing (26.1.5)": "the file may exist",
    "userland proxy missing (28.5.2)": "the file may exist",
    "userland proxy missing (29.7.2)": "the file may exist",
    "file nvidia": "the runtime may be installed",
    "default runtime of containerd that is not installed (26.1.5)": "the runtime may be installed",
    "default runtime of containerd that is not installed (28.5.2)": "the runtime may be installed",
    "default runtime of containerd that is not installed (29.7.2)": "the runtime may be installed",
    "syslog to a socket that does not exist": "the socket may exist",
    "gcplogs": "a host of Google's cloud knows its project",
    "ulimits unlimited": "the lab's hosts may not raise limits",
    "realtime period": "the kernel may schedule groups in real time",
    "overlay2 size": "the file system may be XFS with quotas",
    "storage driver erofs (29.7.2)": "mkfs.erofs may be installed",
    "storage driver btrfs": "the file system may be btrfs",
    "storage driver zfs": "the file system may be ZFS",
    "storage driver fuse-overlayfs": "the program may be installed",
    "aufs (20.10.24)": "the kernel may have this driver",
    "devicemapper (20.10.24)": "the kernel may have this driver",
    "file devicemapper in an old form (20.10.24)": "the kernel may have this driver",
    "cluster-store (20.10.24)": "Debian's build leaves it out",
    "logentries (20.10.24)": "the service may be reached",
    "storage option with the containerd store (20.10.24)": "the file system may be XFS with quotas",
}


class Verdict(Struct, frozen=True):
    works: bool
    errors: tuple[Finding, ...]


def lint(engine: str, case: str) -> list[Finding]:
    """The findings in a lone file. dockerd's unit is known where the record says which unit it was."""
    found = version(engine)
    assert found is not None
    return lint_text(Path("daemon.json"), CASES[case], found, packaged=not case.startswith("plain unit, "))


def verdict(engine: str, case: str) -> Verdict:
    said = SAID[engine][case]
    errors = tuple(finding for finding in lint(engine, case) if finding.level == "error")
    return Verdict(said["start"] == "ok" and said.get("run") == "ok", errors)


def of_host(engine: str, case: str) -> bool:
    """Whether the engine refuses the file for what the host lacks."""
    return case in HOST or f"{case} ({engine})" in HOST


def table() -> str:
    rows = [
        "| engine | works, clean | works, error | fails, error | fails, clean | fails for the host |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for engine, said in SAID.items():
        counts: Counter[str] = Counter()
        for case in said:
            found = verdict(engine, case)
            if not found.works and of_host(engine, case):
                counts["host"] += 1
            else:
                counts[f"{'works' if found.works else 'fails'} {'error' if found.errors else 'clean'}"] += 1
        cells = [counts[name] for name in ("works clean", "works error", "fails error", "fails clean", "host")]
        rows.append(f"| {engine} | " + " | ".join(map(str, cells)) + " |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    show(table(), sys.stdout)
