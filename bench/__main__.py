"""``make bench``: provision's apply on 20 lab hosts that are in the desired state, compared with the floor.

The floor is a bare paramiko login and ``true`` on each host. The bench measures whole processes, which alternate in one
run, and computes medians. The hosts' own sshd counts connections and execs. It writes ``bench/result.json``. No time is
asserted: on a busy machine the numbers are higher, but still correct.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from bench import logins
from bench.measure import ROOT, Contender, Sample, by_turns, median, once, ratio
from provision.lab.labs import Lab

HOSTS = int(os.environ.get("HOSTS", "20"))
ROUNDS = int(os.environ.get("ROUNDS", "9"))


def compared(found: dict[str, list[Sample]], tested: str, floor: str) -> dict[str, float]:
    """The medians of both contenders, and the median and the extremes of the ratios of pairs."""
    mine, reference = found[tested], found[floor]
    ratios = [a.wall / b.wall for a, b in zip(mine, reference, strict=True)]
    return {
        "wall": median(mine),
        "cpu": median(mine, "cpu"),
        "floor_wall": median(reference),
        "floor_cpu": median(reference, "cpu"),
        "ratio": ratio(mine, reference),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
    }


def spread(result: dict[str, float]) -> str:
    return f"{result['ratio']:.2f} ({result['ratio_min']:.2f}-{result['ratio_max']:.2f})"


def over_ssh(lab: Lab, names: list[str]) -> list[str]:
    """The same suites over testinfra's own ``ssh://`` backend, with plain pytest."""
    config = lab.store.lab(lab.name) / "ssh_config"
    config.write_text(f"Host *\n  User root\n  IdentityFile {lab.store.key}\n  UserKnownHostsFile {lab.known_hosts}\n")
    hosts = ",".join(f"ssh://{lab.record(name).address}" for name in names)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "provision.verify.standalone"]
    argv += ["--provision-inventory", str(lab.inventory_file), "--ssh-config", str(config), f"--hosts={hosts}"]
    return [*argv, "--pyargs", "provision.verify.suites.test_settings", "provision.verify.suites.test_daemon"]


def main() -> None:
    lab = Lab("bench")
    names = lab.names(HOSTS)
    python = sys.executable
    program = str(Path(python).parent / "provision")
    begin = time.perf_counter()
    started = lab.up(dict.fromkeys(names, "trixie"))
    try:
        booted = time.perf_counter() - begin
        inventory = str(lab.inventory_file)
        apply = Contender("apply", [program, "apply", "--yes", "-i", inventory])
        floor = Contender("login + true", [python, "-m", "bench.floor", inventory])
        first = once(apply).wall
        time.sleep(10)  # for background work of the installation
        result = compared(by_turns([apply, floor], ROUNDS), apply.name, floor.name)
        counted = logins.cost(lab, names, apply)
        connections, execs = counted.connections, counted.execs
        help_, nothing = Contender("--help", [program, "--help"]), Contender("pass", [python, "-c", "pass"])
        start = compared(by_turns([help_, nothing], 2 * ROUNDS), help_.name, nothing.name)
        suites = ["--suite", "settings", "--suite", "daemon"]
        verify = Contender("verify", [program, "verify", "-i", inventory, *suites])
        proof = compared(by_turns([verify, apply], ROUNDS), verify.name, apply.name)
        plain = once(Contender("testinfra", over_ssh(lab, names))).wall
    finally:
        lab.down([record.name for record in started])

    rows = [
        ("", "provision", "floor", "ratio", "target"),
        (
            f"nothing to do, {HOSTS} hosts: wall",
            f"{result['wall']:.3f} s",
            f"{result['floor_wall']:.3f} s",
            spread(result),
            "1.5",
        ),
        (
            "  controller CPU",
            f"{result['cpu']:.3f} s",
            f"{result['floor_cpu']:.3f} s",
            f"{result['cpu'] / result['floor_cpu']:.2f}",
            "",
        ),
        ("  connections per host (by sshd)", f"{connections:.2f}", "1", "", "1"),
        ("  execs per host (by sshd)", f"{execs:.2f}", "1", "", "1"),
        (
            "--help against python -c pass",
            f"{start['wall'] * 1000:.0f} ms",
            f"{start['floor_wall'] * 1000:.0f} ms",
            f"{start['ratio']:.2f}",
            "5",
        ),
        (
            f"verify, settings and daemon, {HOSTS} hosts, against apply with nothing to do",
            f"{proof['wall']:.3f} s",
            f"{proof['floor_wall']:.3f} s",
            spread(proof),
            "3",
        ),
        (
            "  the same suites over testinfra's ssh://",
            f"{plain:.1f} s",
            "",
            f"{plain / proof['wall']:.0f} x provision's",
            "",
        ),
        (f"bare to done, {HOSTS} hosts", f"{first:.1f} s", "", "", ""),
        (f"booting {len(started)} hosts", f"{booted:.1f} s", "", "", ""),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print(f"\nmedians of {ROUNDS} rounds, whole processes, alternating; {os.cpu_count()} cores shared with the hosts")
    data = {
        "hosts": HOSTS,
        "rounds": ROUNDS,
        "apply": result,
        "help": start,
        "verify": proof,
        "verify_over_ssh": plain,
        "connections": connections,
        "execs": execs,
    }
    (ROOT / "bench/result.json").write_text(json.dumps(data, indent=2) + "\n")


if __name__ == "__main__":
    main()
