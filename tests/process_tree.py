"""Processes of this machine, as proc(5) shows them."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def sockets(pid: int) -> set[str]:
    """The sockets that a process has open, by their names (``socket:[INODE]``)."""
    found = (os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir())
    return {name for name in found if name.startswith("socket:")}


def connected(address: str, port: int) -> set[str]:
    """The sockets of this machine that are connected to an IPv4 address."""
    far_end = f"{socket.inet_aton(address)[::-1].hex().upper()}:{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {f"socket:[{row[9]}]" for row in rows if row[2] == far_end}
