"""An apt repository: the one source entry that names it (sources.list(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from msgspec import Struct

from provision.lines import BLANK, lines_of, words_of
from provision.model import Call, Drift, HostReport, State
from provision.remote.protocol import text as text_of
from provision.resources.base import Base
from provision.resources.observed import ABSENT, disclosed, observe, shown
from provision.steps.files import put_file


class OtherEntries(Base, frozen=True):
    """No other file has an entry for the same archive that differs from ``wanted``. apt rejects an archive that two
    entries sign differently. This resource comes first: until the entries agree, apt refreshes no index."""

    desired = ("elsewhere", "nowhere")

    path: str
    wanted: Entry

    @property
    def id(self) -> str:
        return f"entries:{self.wanted.uri}"

    def look(self) -> tuple[Call, ...]:
        return (Call("look_apt_sources", (self.path,)), Call("look_files", (self.path,)))

    def seen(self, report: HostReport) -> State:
        others = _others(report, self.path, self.wanted.uri)
        if not others or adopted(report, self.path, self.wanted):
            return self.want()
        state = {"elsewhere": ", ".join(sorted(others))}
        for path, text in others.items():
            file = observe(report, path)
            readers = "all" if file.public else "some"
            state |= {f"file {path}": text, f"owner {path}": f"{file.owner}:{file.group}:{file.mode}:{readers}"}
        return state

    def fix(self, drift: Drift) -> Iterator[Call]:
        """The owner and mode of such a file stay as they are: an address in it may contain a password."""
        for key, text in drift.seen.items():
            if key.startswith("file "):
                path = key.removeprefix("file ")
                owner, group, mode, readers = drift.seen[f"owner {path}"].split(":")
                content = without(text, self.wanted.uri).encode("utf-8", "surrogateescape")
                yield put_file(
                    path,
                    content=content,
                    owner=owner,
                    group=group,
                    mode=mode,
                    literal=True,
                    private=readers == "some",
                )


class AptSource(Base, frozen=True):
    """A deb822 file of provision at ``path``. A third-party entry that means the same is accepted in its place."""

    kind = "repository"
    entry = "file"

    path: str
    content: bytes
    wanted: Entry

    def want(self) -> State:
        return {"content": shown(self.content)}

    def look(self) -> tuple[Call, ...]:
        return (Call("look_apt_sources", (self.path,)), Call("look_files", (self.path,)))

    def seen(self, report: HostReport) -> State:
        file = observe(report, self.path)
        if file.content is None:
            return self.want() if adopted(report, self.path, self.wanted) else {}
        right = parse(text_of(file.content)) == [self.wanted]
        return self.want() if right else {"content": disclosed(file, report)}

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield put_file(self.path, content=self.content)


def adopted(report: HostReport, path: str, wanted: Entry) -> bool:
    """True if ``path`` does not exist, and the only other entry for the archive means the same as ``wanted``."""
    entries = [
        entry for text in _others(report, path, wanted.uri).values() for entry in parse(text) if entry.uri == wanted.uri
    ]
    return observe(report, path).kind == ABSENT and entries == [wanted]


def _others(report: HostReport, path: str, uri: str) -> dict[str, str]:
    """Path -> text of every other file with an active entry for the archive."""
    found = {}
    for other in report.get("apt_sources") or ():
        text = text_of(observe(report, other).content or b"")
        if any(entry.uri == uri for entry in parse(text)):
            found[other] = text
    return found


class Entry(Struct, frozen=True):
    """The meaning of one entry, in either of apt's two formats."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str
    #: options that switch off or weaken the check of signatures (sources.list(5)); a declared entry never has one
    unsigned: tuple[str, ...] = ()


def parse(text: str) -> list[Entry]:
    """The active binary entries of a source file, in either format."""
    if _is_deb822(text):
        return [entry for stanza in _stanzas(text) if (entry := _deb822(stanza)) is not None]
    return [entry for line in lines_of(text) if (entry := _one_line(line)) is not None]


def without(text: str, uri: str) -> str:
    """``text`` with its entries for ``uri`` disabled, and everything else unchanged."""
    note = "# disabled by provision, which declares this archive in another file\n"
    if _is_deb822(text):
        parts = []
        for stanza in _stanzas(text):
            entry = _deb822(stanza)
            if entry is not None and entry.uri == uri:
                kept = [line for line in lines_of(stanza) if not line.lower().startswith("enabled:")]
                stanza = note + "\n".join([*kept, "Enabled: no"])
            parts.append(stanza)
        return "\n\n".join(parts) + "\n"
    lines = []
    for line in lines_of(text):
        entry = _one_line(line)
        lines.append(f"{note}# {line}" if entry is not None and entry.uri == uri else line)
    return "\n".join(lines) + "\n"


def _is_deb822(text: str) -> bool:
    return re.search(r"^Types:", text, re.MULTILINE | re.IGNORECASE) is not None


def _stanzas(text: str) -> list[str]:
    return [stanza.strip("\n") for stanza in re.split(r"\n[ \t\r]*\n", text.strip("\n")) if stanza.strip(BLANK)]


def _deb822(stanza: str) -> Entry | None:
    fields: dict[str, str] = {}
    name = ""
    for line in lines_of(stanza):
        if line.startswith("#"):
            continue
        if line[:1] in (" ", "\t"):
            fields[name] = f"{fields.get(name, '')} {line.strip(BLANK)}"
        else:
            name, _, value = line.partition(":")
            name = name.strip(BLANK).lower()
            fields[name] = value.strip(BLANK)
    if "deb" not in words_of(fields.get("types", "")) or fields.get("enabled", "yes").lower() in ("no", "false"):
        return None
    return Entry(
        fields.get("uris", "").strip(BLANK).rstrip("/"),
        tuple(words_of(fields.get("suites", ""))),
        tuple(words_of(fields.get("components", ""))),
        fields.get("signed-by", ""),
        _unsigned(fields),
    )


def _one_line(line: str) -> Entry | None:
    match = re.match(r"\s*deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s*(?P<rest>[^#]*)", line)
    if match is None:
        return None
    # "+=" and "-=" change an option's default (sources.list(5)). For the options here that is the same as "=".
    words = [word.split("=", 1) for word in words_of(match["options"] or "") if "=" in word]
    options = {name.rstrip("+").lower(): value for name, value in words}
    components = tuple(words_of(match["rest"]))
    uri, signed_by = match["uri"].rstrip("/"), options.get("signed-by", "")
    return Entry(uri, (match["suite"],), components, signed_by, _unsigned(options))


_UNSIGNED = ("trusted", "allow-insecure", "allow-weak", "allow-downgrade-to-insecure")
#: apt-pkg/contrib/strutl.cc, StringToBool
_TRUE = ("yes", "true", "with", "on", "enable", "1")


def _unsigned(options: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(name for name in _UNSIGNED if options.get(name, "").lower() in _TRUE)
