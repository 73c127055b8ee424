"""Who can be root through docker: the modes of its sockets, the unit that opens them, and programs with a set-id bit.

A process that may connect to dockerd's or containerd's socket is root (docs.docker.com/engine/security: "Docker daemon
attack surface"; containerd, docs/ops.md: the socket of the gRPC API).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from provision.lines import BLANK, lines_of
from provision.model import Call, Drift, HostReport, Kept, Risk, State
from provision.resources import declaration as d
from provision.resources.base import Base
from provision.resources.observed import ABSENT, observe
from provision.resources.obstacle import Unfixable


def socket_guard(path: str, group: str, *, before: str) -> Call:
    """``before`` is the socket's state now: OWNER:GROUP:MODE."""
    return Call(
        "socket_guard",
        (path, group),
        title=f"give {path} the owner root:{group} and the mode 0660",
        risk=Risk.NONE,
        touches=(path,),
        keeps=(Kept("access", before, path),),
    )


def program_plain(path: str, *, before: str) -> Call:
    """``before`` are the bits that it has now, in chmod's words."""
    return Call(
        "program_plain",
        (path,),
        title=f"remove the set-id bits of {path}",
        risk=Risk.NONE,
        touches=(path,),
        keeps=(Kept("access", f"-:-:{before}", path),),
    )


class GuardedSocket(Base, frozen=True):
    """A socket to which only root and the members of ``group`` may connect. A socket that does not exist is not made:
    its service makes it."""

    kind = "socket"
    looks = "look_files"

    path: str
    group: str

    def want(self) -> State:
        return {"open to": f"root and {self.group}"}

    def seen(self, report: HostReport) -> State:
        found = observe(report, self.path)
        if found.kind == ABSENT or not found.kind.startswith("socket"):
            return self.want()
        # Who connects needs write permission (unix(7)).
        mode, groups = int(found.mode, 8), {"root", self.group}
        if found.owner == "root" and not mode & 0o002 and (found.group in groups or not mode & 0o020):
            return self.want()
        before = f"{found.owner}:{found.group}:{found.mode}"
        return {"open to": f"others ({found.owner}:{found.group}, {found.mode})", "before": before}

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield socket_guard(self.path, self.group, before=drift.seen["before"])


class PlainPrograms(Base, frozen=True):
    """The programs of docker, which have no set-id bit: with one, every account runs them as root."""

    paths: tuple[str, ...]

    kind = "programs"
    desired = ("set-id", "none")
    name = "docker"

    def look(self) -> tuple[Call, ...]:
        return (Call("look_set_id", self.paths),)

    def seen(self, report: HostReport) -> State:
        return {"set-id": ", ".join(lines_of(report.fields("set_id")[0])) or "none"}

    def fix(self, drift: Drift) -> Iterator[Call]:
        for one in drift.seen["set-id"].split(", "):
            bits, _, path = one.partition(" ")
            yield program_plain(path, before=bits)


class SocketUnit(Base, frozen=True):
    """The unit that opens dockerd's socket. Files of another party may open it to all accounts or to the network.
    ``declared`` are the files that the spec itself writes or removes."""

    kind = "unit"
    desired = ("opened by others", "no")
    looks = "look_socket_unit"

    unit: str
    group: str
    declared: frozenset[str]

    def seen(self, report: HostReport) -> State:
        lines = [line.partition(":") for line in lines_of(report.fields("socket_unit", self.unit)[0])]
        found = [f"{path}: {line}" for path, _, line in lines if path not in self.declared and self._opens(line)]
        return {"opened by others": "; ".join(found) or "no"}

    def fix(self, drift: Drift) -> Iterator[Call]:
        """Raises :class:`Unfixable`: the file is another party's, and the open sockets stay open until dockerd
        restarts."""
        found = drift.seen["opened by others"]
        path = found.partition(":")[0]
        raise Unfixable(
            f"{found}: a process that connects is root; remove the file and restart the socket (rm {path}; systemctl"
            f" daemon-reload; systemctl stop {self.unit} docker; systemctl start {self.unit} docker), or declare the"
            f" file in spec.files"
        )

    def _opens(self, line: str) -> bool:
        """True if a directive of systemd.socket(5) gives another party access. An empty value resets a list."""
        name, _, value = (part.strip(BLANK) for part in line.partition("="))
        if name == "SocketMode":
            return not re.fullmatch(r"[0-7]+", value) or bool(int(value, 8) & 0o002)
        if name in ("SocketUser", "SocketGroup"):
            return value not in ("", "root", self.group)
        return name.startswith("Listen") and value[:1] not in ("", "/", "%")


#: A later rollback does not open the host again.
_LINE = d.RecordLine(
    "undo_access",
    stays=lambda line, report: (
        f"the access to {line.rest}, which the run restricted (before: {line.word.removeprefix('-:-:')})"
    ),
)
DECLARATION = d.Declaration(kinds={"access": d.Kind("keep", {"access": _LINE}, d.Stage.OBJECTS)})
