"""``make bench-ssh``: ssh's settings of 1,000 hosts, compared with as many ``ssh -G`` by xargs(1).

*blocks* is a configuration with a ``Host`` block for each host, *patterns* one whose blocks are patterns. The bench
measures whole processes, which alternate in one run, and computes medians. No time is asserted.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from bench.measure import Contender, by_turns, median, ratio
from provision.transport.ssh_config import Question, Resolver

HOSTS = int(os.environ.get("HOSTS", "1000"))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
NAMES = [f"web{number}" for number in range(HOSTS)]


def resolve(config: str) -> None:
    Resolver().resolve(Question(name, before=("-F", config)) for name in NAMES)


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "names").write_text("".join(f"{name}\n" for name in NAMES))
        blocks, patterns = folder / "blocks", folder / "patterns"
        blocks.write_text("".join(f"Host {name}\n  HostName {name}.example.com\n  User ops\n" for name in NAMES))
        patterns.write_text("Host web*\n  User ops\nHost *5\n  Port 2222\n")

        def provision(name: str, config: Path) -> Contender:
            return Contender(name, [sys.executable, "-m", "bench.ssh_settings", str(config)])

        at_once = os.cpu_count() or 1
        words = f"xargs -P {at_once} -n 1 ssh -G -F {blocks} -- <{folder / 'names'} >/dev/null 2>&1"
        found = by_turns(
            [
                Contender(f"ssh -G, {at_once} at a time", ["sh", "-c", words]),
                provision("blocks", blocks),
                provision("patterns", patterns),
                # The part of the two times above that the interpreter and its imports take.
                Contender("start", [sys.executable, "-c", "import bench.ssh_settings"]),
            ],
            ROUNDS,
        )
    floor = next(iter(found.values()))
    for name, samples in found.items():
        print(f"{name:24} {median(samples):7.3f} s  CPU {median(samples, 'cpu'):6.3f} s")
    own = found["blocks"]
    print(f"blocks / ssh -G: {ratio(own, floor):.2f}, of the CPU {ratio(own, floor, 'cpu'):.2f}")
    print(f"{HOSTS} hosts, medians of {ROUNDS} rounds, {os.cpu_count()} cores")


if __name__ == "__main__":
    resolve(sys.argv[1]) if len(sys.argv) > 1 else main()
