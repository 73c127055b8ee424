"""A docker compose project: all its services run, and each matches the project's current file."""

from __future__ import annotations

from collections.abc import Iterator

from provision.lines import BLANK, lines_of
from provision.model import LONG, Call, Drift, HostReport, Impact, Kept, State
from provision.resources import declaration as d
from provision.resources.base import Base
from provision.resources.docker.inspected import familiar
from provision.secrets import disclosure


def compose_up(name: str, *, file: str, within: int, images: tuple[str, ...], runs: bool) -> Call:
    """``within`` is in seconds; ``runs`` says whether the project has containers now."""
    return Call(
        "compose_up",
        (name, file, str(within)),
        title=f"start the compose project {name}",
        impact=Impact("stop", "", "services that differ are recreated") if runs else None,
        keeps=(Kept("compose", name, file),),
        pulls=images,
        limit=LONG + within,
    )


def compose_down(name: str, *, file: str) -> Call:
    return Call(
        "compose_down",
        (name,),
        title=f"stop and remove the compose project {name}",
        impact=Impact("stop", "", "is stopped and removed"),
        keeps=(Kept("compose", name, file),),
        limit=LONG,
    )


def place(name: str) -> str:
    """The path of a project's file on a host; its variables are next to it, in ``.env``."""
    return f"/etc/provision/compose/{name}/compose.yaml"


class Project(Base, frozen=True):
    """``files`` are the files that it is made from (the compose file first); resources before this one write them.
    ``within`` is in seconds; ``images`` are those that its file names."""

    kind = "compose"
    desired = ("services", "as in its file")
    place = d.Place.PROJECTS
    entry = "compose"

    name: str
    files: tuple[str, ...]
    within: int
    images: tuple[str, ...] = ()

    def look(self) -> tuple[Call, ...]:
        return (Call("look_compose", (self.name, self.files[0])),)

    def seen(self, report: HostReport) -> State:
        """The services that differ from those that compose itself would make. The config hash shows a difference from
        the file; the images are compared with those that the names in the file stand for now."""
        if (fields := report.get("compose", self.name)) is None:
            return {}
        runs, hashes, names = fields
        if any(path in report.pending for path in self.files):
            return {"services": "before the change of its file"} if runs.strip(BLANK) else {}
        wanted = dict(line.split(" ", 1) for line in lines_of(hashes) if len(line.split(" ")) == 2)
        if not wanted:
            if not hashes.strip(BLANK):
                return {}
            # compose's error message may quote the file, which only root may read.
            said = disclosure.text(hashes.strip(BLANK), report.salt)
            command = f"docker compose -p {self.name} -f {self.files[0]} config -q"
            return {"services": f"compose can't read its file: {said}; to see why, run on the host: {command}"}
        made_of = dict(line.split(" ", 1) for line in lines_of(names) if " " in line)
        wrong, there = [], set()
        for line in lines_of(runs):
            image, id_, service, sum_, state, once, first, status = [*line.split(" ", 7), *[""] * 7][:8]
            if once == "True":
                continue
            there.add(service)
            if service not in wanted:
                wrong.append(f"{service} is not in the file")
            elif sum_ != wanted[service]:
                wrong.append(f"{service} was started from another file")
            elif other := _other_image(report, made_of.get(id_, image), image, first):
                wrong.append(f"{service} {other}")
            elif (state != "running" and not status.startswith("Exited (0)")) or "(unhealthy)" in status:
                wrong.append(f"{service} is {'unhealthy' if state == 'running' else state}")
        wrong += [f"{service} has no container" for service in sorted(wanted.keys() - there)]
        return {"services": "; ".join(wrong) or "as in its file"} if there else {}

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield compose_up(self.name, file=self.files[0], within=self.within, images=self.images, runs=bool(drift.seen))


def _other_image(report: HostReport, name: str, shown: str, first: str) -> str:
    """The fault of a container's image; empty where there is none. ``name`` is the image that the container was made
    from. ``shown`` is what docker shows for it: an image's id, where the name stands for another image now. ``first``
    is the id of the image that compose has recorded. Compose compares the same two (docker/compose,
    pkg/compose/convergence.go, mustRecreate)."""
    renewed = {f"image:{name}", f"image:{familiar(name)}"}
    if any(f"{one} {first}" in report.pending for one in renewed):
        return ""
    if renewed & report.pending:
        return f"was made from {name} before its change"
    return f"was not made from the image that {name} names now" if shown.startswith(_ID) and name != shown else ""


#: The prefix of an image id, which docker shows for an image without a name.
_ID = "sha256:"


class NoProject(Base, frozen=True):
    """Declared absent, or made by a play that no longer declares it. ``file`` is its compose file."""

    kind = "compose"
    desired = ("project", "absent")
    place = d.Place.NEW_PROJECTS

    name: str
    file: str

    def look(self) -> tuple[Call, ...]:
        return (Call("look_compose", (self.name, self.file)),)

    def seen(self, report: HostReport) -> State:
        found = report.get("compose", self.name) or report.get("project", self.name)
        return {"project": "there" if found is not None and found[0].strip(BLANK) else "absent"}

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield compose_down(self.name, file=self.file)


def _restored(line: d.Line, record: d.Record) -> d.Restored:
    name, _, file = line.rest.partition(" ")
    return [NoProject(name, file) if line.word == "absent" else Project(name, (file,), 120)]


DECLARATION = d.Declaration(
    kinds={"compose": d.Kind("keep_compose", {"compose": d.RecordLine("undo_compose", _restored)}, d.Stage.OBJECTS)},
    entries={"compose": d.Entry(lambda rest, before, watchers: NoProject(rest, place(rest)), field="compose")},
)
