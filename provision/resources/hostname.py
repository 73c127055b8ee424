"""The host's name: live, after the next boot, and resolvable on the host itself."""

from __future__ import annotations

from collections.abc import Iterator

from provision.lines import BLANK, lines_of, words_of
from provision.model import Call, Drift, HostReport, Kept, State
from provision.remote.protocol import text
from provision.resources import declaration as d
from provision.resources.base import Base
from provision.resources.observed import observe
from provision.steps.files import put_file

#: hosts(5) of Debian's base-files, for a host that has no such file: its programs look up localhost too.
_LOCALHOST = """\
127.0.0.1 localhost
::1 localhost ip6-localhost ip6-loopback
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
"""


def hostname_set(name: str, *, before: str) -> Call:
    return Call("hostname_set", (name,), title=f"set the host name to {name}", keeps=(Kept("hostname", before, "-"),))


class Hostname(Base, frozen=True):
    kind = "hostname"

    name: str

    def want(self) -> State:
        return {"live": self.name, "persistent": self.name, "resolvable": "yes"}

    def look(self) -> tuple[Call, ...]:
        return (Call("look_hostname"), Call("look_files", ("/etc/hostname",)), Call("look_files", ("/etc/hosts",)))

    def seen(self, report: HostReport) -> State:
        (live,) = report.fields("hostname")
        static, hosts = _text(report, "/etc/hostname"), _text(report, "/etc/hosts")
        names = {word for line in lines_of(hosts) for word in words_of(line.partition("#")[0])[1:]}
        file = observe(report, "/etc/hosts")
        return {
            "live": live,
            "persistent": static.partition("\n")[0].strip(BLANK),
            "resolvable": "yes" if self.name in names else "no",
            "hosts": hosts,
            "hosts owner": f"{file.owner}:{file.group}:{file.mode}" if file.regular else "root:root:0644",
        }

    def fix(self, drift: Drift) -> Iterator[Call]:
        if "persistent" in drift:
            yield put_file("/etc/hostname", content=f"{self.name}\n".encode())
        if "resolvable" in drift:
            owner, group, mode = drift.seen["hosts owner"].split(":")
            hosts = self._hosts(drift.seen["hosts"]).encode("utf-8", "surrogateescape")
            yield put_file("/etc/hosts", content=hosts, owner=owner, group=group, mode=mode, literal=True)
        if "live" in drift:
            yield hostname_set(self.name, before=drift.seen["live"])

    def _hosts(self, text: str) -> str:
        """Debian's convention (Debian Reference, 5.1.1): 127.0.1.1 is the host's own name, with the full name first."""
        short = self.name.partition(".")[0]
        line = " ".join(["127.0.1.1", *dict.fromkeys((self.name, short))])
        if not text.strip(BLANK):
            text = _LOCALHOST
        kept = [old for old in lines_of(text) if words_of(old.partition("#")[0])[:1] != ["127.0.1.1"]]
        first = next((n + 1 for n, old in enumerate(kept) if words_of(old)[:1] == ["127.0.0.1"]), 0)
        return "\n".join([*kept[:first], line, *kept[first:]]) + "\n"


class HostnameBefore(Base, frozen=True):
    """The live name from before a run. Other resources restore its files."""

    kind = "hostname"
    place = d.Place.SETTINGS

    name: str

    def want(self) -> State:
        return {"live": self.name}

    def look(self) -> tuple[Call, ...]:
        return (Call("look_hostname"),)

    def seen(self, report: HostReport) -> State:
        return {"live": report.fields("hostname")[0]}

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield hostname_set(self.name, before=drift.seen["live"])


def _text(report: HostReport, path: str) -> str:
    """A file's text; empty when it is not there."""
    return text(observe(report, path).content or b"")


_HOSTNAME = d.RecordLine("undo_hostname", lambda line, record: [HostnameBefore(line.word)])
DECLARATION = d.Declaration(
    d.Part(d.Place.SETTINGS, lambda spec: [] if spec.hostname is None else [Hostname(spec.hostname)]),
    {"hostname": d.Kind("keep", {"hostname": _HOSTNAME}, d.Stage.SETTINGS)},
)
