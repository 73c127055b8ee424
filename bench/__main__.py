"""``make bench``: 20 lab hosts that are already right; our apply against a bare paramiko login + ``true`` on each.

Whole processes, alternating in one run, medians. Connections and execs are counted by the hosts' own sshd.
Writes ``bench/result.json``. Nothing here asserts a time: a busy machine makes slow numbers, not wrong ones.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from provision.lab.fleet import Lab

HOSTS = int(os.environ.get("HOSTS", "20"))
ROUNDS = int(os.environ.get("ROUNDS", "9"))
ROOT = Path(__file__).parent.parent


def timed(argv: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds (user and system) of a whole process; it must succeed."""
    before, begin = os.times(), time.perf_counter()
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, check=False)
    wall, after = time.perf_counter() - begin, os.times()
    if done.returncode != 0:
        sys.exit(f"{' '.join(argv)} failed with {done.returncode}:\n{done.stdout.decode()}{done.stderr.decode()}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu


def logged(lab: Lab, name: str) -> tuple[int, int]:
    """Connections and execs that a host's sshd has logged until now, the one that asks included."""
    count = "grep -c 'Accepted publickey'; journalctl -q -o cat | grep -c 'Starting session: command'"
    argv = [*lab.ssh(name), f"journalctl -q -o cat | {count}"]
    words = subprocess.run(argv, capture_output=True, check=True).stdout.split()
    return int(words[0]), int(words[1])


def counted(lab: Lab, names: list[str], argv: list[str]) -> tuple[float, float]:
    """Connections and execs per host that one run of ``argv`` costs."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        before = list(pool.map(lambda name: logged(lab, name), names))
        timed(argv)
        after = list(pool.map(lambda name: logged(lab, name), names))
    # One connection and one exec of the difference is our own question.
    connections = sum(b[0] - a[0] - 1 for a, b in zip(before, after, strict=True))
    execs = sum(b[1] - a[1] - 1 for a, b in zip(before, after, strict=True))
    return connections / len(names), execs / len(names)


def compare(one: list[str], other: list[str], rounds: int) -> dict[str, float]:
    """Alternate two commands; medians of both, and the median of the ratios pair by pair."""
    timed(one), timed(other)
    pairs = [(timed(one), timed(other)) for _ in range(rounds)]
    return {
        "wall": statistics.median(a[0] for a, _ in pairs),
        "cpu": statistics.median(a[1] for a, _ in pairs),
        "floor_wall": statistics.median(b[0] for _, b in pairs),
        "floor_cpu": statistics.median(b[1] for _, b in pairs),
        "ratio": statistics.median(a[0] / b[0] for a, b in pairs),
        "ratio_min": min(a[0] / b[0] for a, b in pairs),
        "ratio_max": max(a[0] / b[0] for a, b in pairs),
    }


def over_ssh(lab: Lab, names: list[str]) -> list[str]:
    """The same suites over testinfra's own ``ssh://`` backend, by plain pytest."""
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
    begin = time.perf_counter()
    started = lab.up(dict.fromkeys(names, "trixie"))
    try:
        booted = time.perf_counter() - begin
        inventory = str(lab.inventory_file)
        apply = [python, "-m", "provision", "apply", "--yes", "-i", inventory]
        floor = [python, "-m", "bench.floor", inventory]
        first, _ = timed(apply)
        time.sleep(10)  # what the installation has left to do in the background
        result = compare(apply, floor, ROUNDS)
        connections, execs = counted(lab, names, apply)
        start = compare([f"{Path(python).parent}/provision", "--help"], [python, "-c", "pass"], 2 * ROUNDS)
        suites = ["--suite", "settings", "--suite", "daemon"]
        proof = compare([python, "-m", "provision", "verify", "-i", inventory, *suites], apply, ROUNDS)
        plain, _ = timed(over_ssh(lab, names))
    finally:
        lab.down([record.name for record in started])

    rows = [
        ("", "provision", "floor", "ratio", "target"),
        (
            f"nothing to do, {HOSTS} hosts: wall",
            f"{result['wall']:.3f} s",
            f"{result['floor_wall']:.3f} s",
            f"{result['ratio']:.2f} ({result['ratio_min']:.2f}-{result['ratio_max']:.2f})",
            "1.6",
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
            f"{proof['ratio']:.2f} ({proof['ratio_min']:.2f}-{proof['ratio_max']:.2f})",
            "3",
        ),
        ("  the same suites over testinfra's ssh://", f"{plain:.1f} s", "", f"{plain / proof['wall']:.0f} x ours", ""),
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
