"""The directories of the lab: what it builds (cached), and what it runs (one record per host)."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from provision.errors import LabError

#: TEST-NET-2 (RFC 5737): addresses that no real network uses.
SUBNET = "198.51.100"
GATEWAY = f"{SUBNET}.1"
MIRROR = f"{SUBNET}.3"
FIRST, LAST = 10, 250


@dataclass(frozen=True, slots=True)
class Record:
    """One lab host as it was booted; ``pid`` and ``started`` (clock ticks) together identify its process."""

    name: str
    lab: str
    suite: str
    index: int
    pid: int
    started: int
    #: ``nspawn``, or ``vm``: a machine with a separate kernel
    kind: str = "nspawn"

    @property
    def address(self) -> str:
        return f"{SUBNET}.{self.index}"


class Store:
    """The lab's directory: ``bases/`` and ``mirrors/`` are caches, ``labs/NAME/HOST/`` are throwaway hosts."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or Path(os.environ.get("PROVISION_LAB_DIR", "/var/lib/provision-lab"))

    @property
    def key(self) -> Path:
        return self.root / "keys" / "id_ed25519"

    def lab(self, lab: str) -> Path:
        return self.root / "labs" / lab

    def host(self, lab: str, name: str) -> Path:
        return self.lab(lab) / name

    @contextmanager
    def machine(self) -> Iterator[None]:
        """The lock of what all labs share (addresses, bridge, mirror). A command holds it only for moments."""
        with self._lock("machine"):
            yield

    @contextmanager
    def one(self, lab: str) -> Iterator[None]:
        """The lock of a lab: one command at a time starts or stops its hosts. It is taken before the machine's lock."""
        with self._lock(f"lab-{lab}") as path:
            yield
            if not self.lab(lab).exists():
                path.unlink()  # the lock's file is removed with the lab

    @contextmanager
    def building(self, folder: Path) -> Iterator[None]:
        """The lock of an image during its build: a process that needs the image waits, and other images can be built
        meanwhile. It is taken before the machine's lock."""
        with self._lock("building", fcntl.LOCK_SH), self._lock(f"building-{folder.name}"):
            yield

    def built(self, folder: Path, build: Callable[[Path], None]) -> Path:
        """The directory; ``build`` makes it if it does not exist. It gets its name only when it is complete."""
        if not folder.is_dir():
            with self.building(folder):
                if not folder.is_dir():
                    part = folder.with_name(folder.name + ".part")
                    if part.exists():  # of an interrupted build
                        shutil.rmtree(part)
                    folder.parent.mkdir(parents=True, exist_ok=True)
                    build(part)
                    part.rename(folder)
        return folder

    @contextmanager
    def tidying(self) -> Iterator[bool]:
        """True if no image is being built. If so, no build can start until the end of the ``with`` block."""
        with ExitStack() as stack:
            try:
                stack.enter_context(self._lock("building", fcntl.LOCK_EX | fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
            else:
                yield True

    @contextmanager
    def _lock(self, name: str, how: int = fcntl.LOCK_EX) -> Iterator[Path]:
        path = self.root / "locks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # The images and the hosts' files have set-id programs and keys, and a host's uid 0 is the machine's.
        self.root.chmod(0o700)
        while True:
            with open(path, "w") as handle:
                fcntl.flock(handle, how)
                # The process that had the lock before may have removed the file.
                if _is_at(path, handle.fileno()):
                    yield path
                    return

    def write(self, record: Record) -> None:
        folder = self.host(record.lab, record.name)
        part = folder / "record.json.part"
        part.write_text(json.dumps(asdict(record)))
        part.rename(folder / "record.json")

    def records(self, lab: str | None = None) -> list[Record]:
        """Every host that has a record, running or not, in the order of names."""
        found = []
        for path in sorted((self.root / "labs").glob(f"{lab or '*'}/*/record.json")):
            try:
                found.append(Record(**json.loads(path.read_text())))
            except FileNotFoundError:  # a host of another lab is being removed
                continue
            except (ValueError, TypeError) as error:
                raise LabError(f"{path}: not a lab record ({error}); remove the directory of that host") from error
        return found

    def folders(self, lab: str) -> list[Path]:
        """The directories of a lab's hosts, also those of interrupted boots, which have no record."""
        return sorted(path for path in self.lab(lab).glob("*") if path.is_dir())


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def start_time(pid: int) -> int | None:
    """The start of a process in clock ticks since boot (proc(5), field 22); None if it has ended or is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def alive(record: Record) -> bool:
    """True if the process that was booted still runs. The pid alone may belong to another process now."""
    return start_time(record.pid) == record.started
