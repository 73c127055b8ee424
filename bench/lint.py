"""``make bench-lint``: 1,000 daemon.json files in one call of ``provision lint``, compared with a call for one file.

The files are those of the linter's tests (broken ones too), repeated. No time is asserted.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
from pathlib import Path

import yaml

from bench.measure import ROOT, Contender, by_turns, median

FILES = int(os.environ.get("FILES", "1000"))
ROUNDS = int(os.environ.get("ROUNDS", "9"))
#: The time that the issue allows for all files, in seconds.
TARGET = 2.0


def main() -> None:
    cases: dict[str, str] = yaml.safe_load((ROOT / "tests/data/daemon_json.yml").read_text())
    provision = str(Path(sys.executable).parent / "provision")
    with tempfile.TemporaryDirectory() as folder:
        names = []
        for number, text in zip(range(FILES), itertools.cycle(cases.values()), strict=False):
            path = Path(folder, f"{number:04d}.json")
            path.write_text(text)
            names.append(str(path))
        contenders = [
            Contender("one", [provision, "lint", names[0]], ends=(0, 1)),
            Contender("all", [provision, "lint", *names], ends=(0, 1)),
        ]
        found = by_turns(contenders, ROUNDS)
    one, every = median(found["one"]), median(found["all"])
    kept = "kept" if every <= TARGET else "NOT KEPT"
    print(f"1 file: {one:.3f} s; {FILES} files in one call: {every:.3f} s, {every / FILES * 1000:.2f} ms each")
    print(f"cpu of {FILES} files: {median(found['all'], 'cpu'):.3f} s; target {TARGET} s: {kept}")


if __name__ == "__main__":
    main()
