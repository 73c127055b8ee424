"""Every place where a text of a host or a user is shown, or written for a person or a program. For each place: the
output of an attack, and whether the attack succeeded."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import itertools
import json
import os
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Literal
from unittest import mock
from xml.etree import ElementTree

import msgspec
import pytest
import yaml
from rich.console import Console

from provision.cli import _crashed, main
from provision.commands import reporters
from provision.commands.reporters import Listeners, visibly
from provision.model import LEVELS, Call, Change, Drift, Event, Failure, Impact, Login, Plan, Platform, Salt
from provision.planning import planfile
from provision.project import lockfile
from provision.remote.protocol import WireError
from provision.remote.transaction import Step
from provision.report.html import page
from provision.report.journal import Journal, folder, read
from provision.report.terminal import Terminal
from provision.steps.files import put_file
from provision.transport import session
from provision.transport.execute import Finished
from provision.transport.job import Job, _Progress
from provision.transport.ssh import HostError
from provision.verify import junit as verify_junit
from provision.verify import standalone
from provision.verify.plugin import Check, Plugin
from tests.attacks import FORGED, unseen

Kind = Literal["text", "terminal", "json", "data", "html", "xml", "metrics", "raw"]
RUN = "20260101T000000-aaaaaaaa"

_PLAN = Plan(
    "web1",
    Platform("debian", "13", "trixie", "amd64", "apt", "Debian"),
    (
        Change(
            "file:/etc/motd",
            Drift(
                {"content": "declared\n", "owner": "root"}, {"content": "found\n", "owner": "eve"}, ("content", "owner")
            ),
            (Call("put_file", ("/etc/motd",)), Call("svc_settle", ("docker", "restart"), disturbs=("docker",))),
        ),
    ),
    (Impact("restart", "service:docker", "mtu"),),
)
_FAILURE = Failure(
    "step",
    "it failed",
    "file:/etc/x put_file",
    "printed\nthis",
    ("one",),
    ("two",),
    title="write /etc/x",
    done_titles=("the first",),
    undone_titles=("the second",),
)
STEP = Step("file:/etc/x", put_file("/etc/x", content=b"x"))
#: One of each event of a run, with all data that it may have. The fast tests check that none is missing.
EVENTS = [
    Event("run.begin", data={"mode": "apply", "hosts": 1, "waves": 1}),
    Event("wave.begin", data={"play": "Docker", "wave": 1, "of": 2, "hosts": ["web1"]}),
    Event("host.begin", "web1"),
    Event("host.plan", "web1", {"plan": _PLAN}),
    Event("step.begin", "web1", {"step": "file:/etc/x put_file", "title": "write /etc/x", "number": 1, "of": 2}),
    Event("step.done", "web1", {"step": "file:/etc/x put_file", "title": "write /etc/x"}),
    Event("note", "web1", {"text": "waiting"}),
    Event("progress", "web1", {"text": "downloading, 40 %"}),
    Event("armed", "web1", {"seconds": 60}),
    Event("verdict", "web1", {"subject": "kernel", "level": "bad", "text": "too old"}),
    Event("versions", "web1", {"platform": "debian-13", "packages": {"docker-ce": "5"}, "images": {"app": "sha256:1"}}),
    Event("run", "web1", {"run": RUN, "result": "done", "things": 3}),
    Event("check.done", "web1", {"suite": "s", "check": "c x", "outcome": "failed", "message": "no", "seconds": 0.1}),
    Event("certify.begin", "web1", {"step": "applied", "title": "one run"}),
    Event(
        "certify.done",
        "web1",
        {"step": "applied", "outcome": "failed", "text": "no", "seconds": 0.1, "failure": _FAILURE},
    ),
    Event("certified", "web1", {"file": "evidence/x.json", "summary": "evidence/x.md"}),
    Event("controller.check", data={"subject": "ssh", "level": "problem", "text": "no ssh", "advice": "install it"}),
    Event("drift", data={"summary": "change file:/etc/x", "diff": ["+a"], "hosts": ["web1"]}),
    Event("interrupted", data={"text": "finishing"}),
    Event("bake", data={"seconds": 1}),
    Event("pause", data={"seconds": 1}),
    Event("host.done", "web1", {"status": "failed", "changes": 1, "failure": _FAILURE, "seconds": 1.0, "reason": "x"}),
    Event("host.done", "web2", {"status": "skipped", "changes": 0, "reason": "enough"}),
    Event("wave.done", data={"play": "Docker", "wave": 1, "counts": {"failed": 1}}),
    Event("rollout.stopped", data={"reason": "the budget"}),
    Event("run.done", data={"mode": "apply", "seconds": 1.0, "counts": {"ok": 0, "failed": 1}}),
]


def planted(value: Any, text: str) -> Iterator[Any]:
    """Copies of a value. In each copy one of its texts is replaced by ``text``. The keys of a mapping are texts too."""
    if isinstance(value, str):
        yield text
    elif isinstance(value, Mapping):
        for key, one in value.items():
            for other in planted(one, text):
                yield {**value, key: other}
            if not isinstance(one, (int, float)) or value.keys() <= {"ok", "failed"}:
                yield {**{k: v for k, v in value.items() if k != key}, text: one}
    elif isinstance(value, (list, tuple)):
        for number, one in enumerate(value):
            for other in planted(one, text):
                yield type(value)([*value[:number], other, *value[number + 1 :]])
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            for other in planted(getattr(value, name), text):
                with contextlib.suppress(KeyError):  # a drift whose keys are not among those of its want
                    yield msgspec.structs.replace(value, **{name: other})


def events(text: str) -> Iterator[Event]:
    """A run's events, with the text in one place after the other. The names of events and of their data come from
    provision."""
    for event in EVENTS:
        yield event
        if event.host:
            yield Event(event.name, text, event.data)
        for key, value in event.data.items():
            made = (Event(event.name, event.host, {**event.data, key: one}) for one in planted(value, text))
            yield from made if key != "plan" else filter(_sound, made)


def _sound(event: Event) -> bool:
    """Whether provision could make such a plan: its levels are provision's own, and a drift has the values that its
    keys name."""
    plan = event.data["plan"]
    assert isinstance(plan, Plan)
    known = all(set(change.drift.keys) <= change.drift.want.keys() for change in plan.changes)
    return known and all(impact.level in LEVELS for impact in plan.impacts)


def args(**more: Any) -> argparse.Namespace:
    plain = {"json": False, "plain": True, "drift_report": False, "playbook": Path("site.yml")}
    return argparse.Namespace(**{**plain, **more})


def run(text: str, to: argparse.Namespace, also: Callable[[Listeners], None] | None = None) -> str:
    """The output of a run with such events."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        listeners = Listeners(to, RUN, None)
        if also is not None:
            also(listeners)
        for event in events(text):
            listeners(event)
        listeners.close()
    return out.getvalue()


def command(*words: str) -> str:
    """The output of the command line, on both streams."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), contextlib.suppress(SystemExit):
        main(list(words))
    return out.getvalue()


def _terminal(text: str, place: Path, ask: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system="standard", highlight=False, width=200)
    terminal = Terminal(console)
    terminal._live.auto_refresh = False
    if ask:
        before, sys.stdin = sys.stdin, io.StringIO("n\n")
        try:
            with contextlib.redirect_stdout(out):
                terminal.ask(text)
        finally:
            sys.stdin = before
        return out.getvalue()
    emit = visibly(terminal)
    try:
        for event in events(text):
            emit(event)
            # The status is drawn when its content has changed, and not beneath every line.
            terminal._live.stop()
            if event.name in ("wave.begin", "step.begin", "note", "check.done"):
                console.print(terminal._render())
    finally:
        terminal.close()
    return out.getvalue()


def _journal(text: str, place: Path) -> Path:
    head = {"mode": text, "playbook": text, "by": text, "hosts": ["web1", "web2"], "resumes": ""}
    run(text, args(), lambda listeners: listeners.add("the journal", Journal(place / "site.yml", RUN, head)))
    return folder(place / "site.yml") / RUN


def _webhook(text: str, place: Path) -> str:
    got: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/"
    run(text, args(webhook=url, playbook=text))
    server.shutdown()
    server.server_close()
    return "\n".join(got)


def _file(text: str, place: Path, **option: str) -> str:
    ((name, file),) = option.items()
    # The file is written again at the end of each wave: the last version counts.
    run(text, args(**{name: place / file}, playbook=text))
    return (place / file).read_text(encoding="utf-8")


def _project(text: str, place: Path, spec: Any = None, hosts: Any = None) -> list[str]:
    (place / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts or {"web1": {}}}}), encoding="utf-8")
    play = [{"name": "Site", "hosts": "all", "spec": spec or {}}]
    (place / "site.yml").write_text(yaml.safe_dump(play), encoding="utf-8")
    return ["-i", str(place / "hosts.yml")]


def _lint(text: str, place: Path, form: str) -> str:
    (place / "daemon.json").write_text(json.dumps({text: 1, "log-driver": text}), encoding="utf-8")
    return command("lint", str(place / "daemon.json"), "--format", form)


def _runs(text: str, place: Path, *words: str) -> str:
    _journal(text, place)
    return command("runs", *words, str(place / "site.yml"))


def _plan_file(text: str, place: Path) -> str:
    plans = [plan for event in events(text) if isinstance(plan := event.data.get("plan"), Plan)]
    salt = Salt("5a17")
    hosts = {f"web{number}": planfile.entry(plan, salt) for number, plan in enumerate(plans)}
    head = {"made": "now", "by": text, "playbook": text}
    whole = planfile.PlanFile(head, salt, {"plays": {}, "hosts": {}, "files": {}}, hosts)
    planfile.write(place / "plan.json", planfile.text(whole))
    return (place / "plan.json").read_text(encoding="utf-8")


def _frames(text: str, place: Path) -> str:
    """Each frame that a job may send, with the text in each of its fields but the first."""
    frames = [
        ("step.begin", "0"),
        ("step.done", "0"),
        ("note", "words"),
        ("progress", "words"),
        ("armed", "60"),
        ("locked", "12:34", "since"),
        ("drifted", "what"),
        ("unkept", "why"),
        ("unhealthy", "why"),
        ("undone", "0", "why"),
        ("step.failed", "0", "1", "output"),
        ("died", "stage", "1"),
        ("result", "rolled_back unhealthy"),
    ]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        listeners = Listeners(args(), RUN, None)
        for frame in frames:
            for fields in planted(frame[1:], text):
                progress = _Progress("web1", (STEP,), listeners)
                with contextlib.suppress(WireError, ValueError, IndexError):
                    progress.frame((frame[0], *fields))
                for failure in _ends(progress):
                    listeners(Event("host.done", "web1", {"status": "failed", "changes": 0, "failure": failure}))
    return out.getvalue()


def _ends(progress: _Progress) -> Iterator[Failure]:
    job: Any = argparse.Namespace(work=argparse.Namespace(confirm_within=1))
    if progress.refused:
        yield Job._refused(job, progress).failure
    if progress.failed or progress.failed_undo or progress.result:
        yield Job._error(job, progress, [], Finished(1, "")).failure


def _host_error(text: str, place: Path) -> str:
    """The output of a program on the host, in the message of an error."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        listeners = Listeners(args(), RUN, None)
        said = (session.become_says(Login("host"), text), str(session.broken_off(0.0, text, OSError(text))), text)
        for message in said:
            failure = HostError("become", message, detail=text, step=text).failure
            listeners(Event("host.done", "web1", {"status": "failed", "changes": 0, "failure": failure}))
    return out.getvalue()


def _verify_junit(text: str, place: Path) -> str:
    """The file as pytest leaves it. pytest has replaced what XML can't express (its bin_xml_escape); all other text is
    there."""
    xml = re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", text)
    with verify_junit.JUnitFile(place / "junit.xml") as report:
        suite = ElementTree.Element("testsuites")
        case = ElementTree.SubElement(suite, "testcase", {"name": xml})
        ElementTree.SubElement(case, "failure", {"message": xml}).text = xml
        part = report.part()
        assert part is not None
        ElementTree.ElementTree(suite).write(part, encoding="utf-8")
    return (place / "junit.xml").read_text(encoding="utf-8")


_FILES = itertools.count()


def _pytest(text: str, place: Path, plugin: Any) -> str:
    """A failed check, a skipped one and one that prints, all with the host's text, in the form of a suite's tests."""
    # Each file has a different name, because pytest imports a module of one name only once.
    file = place / f"test_own{next(_FILES)}.py"
    file.write_text(
        f"import pytest\ndef test_one():\n    print({text!r})\n    raise AssertionError({text!r})\n"
        f"def test_two():\n    pytest.skip({text!r})\n",
        encoding="utf-8",
    )
    out = io.StringIO()
    words = ["-q", "-rs", "--tb=short", "--color=no", "--import-mode=importlib", "-c", "/dev/null"]
    words += ["-p", "no:cacheprovider", "--rootdir", str(place), str(file)]
    # This plugin collects garbage five times at the end of each session.
    words += ["-p", "no:unraisableexception"]
    # Without the plugins of this environment, which take longer than the tests.
    bare = mock.patch.dict(os.environ, {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
    with contextlib.redirect_stdout(out), bare:
        pytest.main(words, plugins=[plugin])
    return out.getvalue()


def _standalone(text: str, place: Path) -> str:
    hook = standalone.pytest_runtest_makereport
    return _pytest(text, place, argparse.Namespace(pytest_runtest_makereport=hook))


def _checks(text: str, place: Path) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        emit = visibly(reporters.reporter(args()))

    def on_check(check: Check) -> None:
        data = {"suite": check.suite, "check": check.name, "outcome": check.outcome, "message": check.message}
        emit(Event("check.done", "web1", data))

    context: Any = None
    _pytest(text, place, Plugin({}, context, on_check))
    return out.getvalue()


def _crash(text: str, place: Path) -> str:
    out = io.StringIO()
    with contextlib.redirect_stderr(out):
        try:
            raise RuntimeError(text)
        except RuntimeError as error:
            _crashed(type(error), error, error.__traceback__)
    return out.getvalue()


def _lock(text: str, place: Path) -> str:
    path = place / "site.lock.yml"
    for locks in planted({"debian-13": {"docker-ce": "1"}}, text):
        with contextlib.suppress(Exception):
            lockfile.write(path, locks, "web1")
    with contextlib.suppress(Exception):
        lockfile.write(path, {"debian-13": {"docker-ce": "1"}}, text)
    return path.read_text(encoding="utf-8", errors="surrogateescape") if path.exists() else ""


def _render(text: str, place: Path) -> str:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

        @property
        def buffer(self) -> Any:
            screen = self

            class Bytes:
                def write(self, data: bytes) -> None:
                    screen.write(data.decode("utf-8", "surrogateescape"))

            return Bytes()

    words = _project(text, place, {"files": {"/etc/motd": {"content": text.replace("\ud83d", "")}}})
    screen = Screen()
    with contextlib.redirect_stdout(screen), contextlib.redirect_stderr(screen):
        main(["render", "web1", str(place / "site.yml"), *words])
    return screen.getvalue()


@dataclasses.dataclass(frozen=True)
class Sink:
    """``reach(text, folder)`` returns what is shown or written. ``lines`` says that a text may have several lines
    there, ``whole`` that the operator has asked for the whole text."""

    name: str
    kind: Kind
    reach: Callable[[str, Path], str]
    lines: bool = False
    whole: bool = False


SINKS = [
    Sink("terminal: a run", "terminal", _terminal),
    Sink("terminal: a question", "terminal", lambda text, place: _terminal(text, place, ask=True)),
    Sink("text: a run", "text", lambda text, place: run(text, args())),
    Sink("text: a drift report", "text", lambda text, place: run(text, args(drift_report=True))),
    Sink("text: verify", "text", lambda text, place: _verified(text, False)),
    Sink("text: a job's frames", "text", _frames),
    Sink("text: errors of a host", "text", _host_error),
    Sink("text: runs", "text", lambda text, place: _runs(text, place)),
    Sink("text: runs show", "text", lambda text, place: _runs(text, place, "show", RUN)),
    Sink(
        "text: inventory --graph",
        "text",
        lambda t, place: command("inventory", "--graph", *_project(t, place, hosts={t: {}})),
    ),
    Sink("text: render", "text", _render, lines=True, whole=True),
    Sink("text: lint", "text", lambda text, place: _lint(text, place, "text")),
    Sink("text: lint for GitHub", "text", lambda text, place: _lint(text, place, "github")),
    Sink("text: checks of verify", "text", _checks),
    Sink("text: checks under plain pytest", "text", _standalone, lines=True),
    Sink("error: a key", "text", lambda t, p: command("plan", str(p / "site.yml"), *_project(t, p, {t: 1}))),
    Sink(
        "error: a value",
        "text",
        lambda t, p: command("plan", str(p / "site.yml"), *_project(t, p, {"engine": {"source": t}})),
    ),
    Sink("error: a host's name", "text", lambda t, p: command("plan", str(p / "site.yml"), *_project(t, p), "-l", t)),
    Sink("error: a word", "text", lambda text, place: command("verify", "--suite", text, "--forks", text)),
    Sink("error: a crash", "text", _crash, lines=True),
    Sink("JSON: a run", "json", lambda text, place: run(text, args(json=True))),
    Sink("JSON: verify", "json", lambda text, place: _verified(text, True)),
    Sink("JSON: journal", "json", lambda text, place: (_journal(text, place) / "events.jsonl").read_text()),
    Sink("JSON: webhook", "json", _webhook),
    Sink("JSON: lint", "raw", lambda text, place: _lint(text, place, "json")),
    Sink("JSON: SARIF", "raw", lambda text, place: _lint(text, place, "sarif")),
    Sink("JSON: run.json", "raw", lambda text, place: (_journal(text, place) / "run.json").read_text()),
    Sink("JSON: plan file", "raw", _plan_file),
    Sink(
        "JSON: inventory --list",
        "raw",
        lambda t, place: command("inventory", "--list", *_project(t, place, hosts={t: {"x": t}})),
    ),
    Sink(
        "JSON: inventory --host",
        "raw",
        lambda t, place: command("inventory", "--host", "web1", *_project(t, place, hosts={"web1": {"x": t}})),
    ),
    Sink("HTML: a run", "html", lambda text, place: page(read(_journal(text, place)))),
    Sink("XML: JUnit of a run", "xml", lambda text, place: _file(text, place, junit="junit.xml")),
    Sink("XML: JUnit of verify", "xml", _verify_junit),
    Sink("metrics", "metrics", lambda text, place: _file(text, place, metrics="provision.prom")),
    Sink("YAML: lock file", "text", _lock),
]


def _verified(text: str, as_json: bool) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        emit = visibly(reporters.reporter(args(json=as_json)))
        for event in events(text):
            if event.name in ("run.begin", "host.begin", "note", "check.done", "host.done", "run.done"):
                emit(event)
    return out.getvalue()


#: What rich itself sends to a terminal: colours, the cursor off and on, and a line up or erased.
_OWN = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[1A|\x1b\[2K|\r")
_LABEL = r'[a-z]+="([^"\\\n]|\\.)*"'
_METRIC = re.compile(rf'# (HELP|TYPE) provision_[a-z_]+ [^"{{}}]+|provision_[a-z_]+\{{{_LABEL}(,{_LABEL})*\}} [0-9.]+')
#: The beginnings of the lines that attacks would forge.
_FORGED = (FORGED, "provision_success", "::error file=x", '{"event": "run.d')
#: The longest output that an endless text may have.
_LONG = 300_000


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[tuple[str, str]] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.update((tag, name) for name, _ in attrs or [("", None)])


def hits(sink: Sink, text: str) -> list[str]:
    """How an attack succeeded; nothing, where it did not. A place that crashes on the text, or whose reader would
    crash, is a hit too."""
    place = Path(tempfile.mkdtemp(prefix="attack"))
    try:
        return list(_KINDS[sink.kind](sink, text, sink.reach(text, place)))
    except Exception as error:
        return [f"fails: {type(error).__name__}: {error}"[:200]]
    finally:
        shutil.rmtree(place)


def _text(sink: Sink, text: str, got: str) -> Iterator[str]:
    yield from unseen(got, "\n\t" if sink.lines else "\n")
    if not sink.lines and any(part.strip().startswith(_FORGED) for part in got.split("\n")):
        yield "a forged line"
    if not sink.whole and max(map(len, got.split("\n"))) > _LONG:
        yield "too long"


def _in_terminal(sink: Sink, text: str, got: str) -> Iterator[str]:
    if "\x1b" in text and "\\x1b" not in got:
        yield "an escape is not shown as one"
    if "[bold red]owned" in text and "[bold red]owned" not in got:
        yield "markup is taken for markup"
    if ":bomb:" in text and ":bomb:" not in got:
        yield "markup is taken for markup"
    yield from _text(sink, text, _OWN.sub("", got))


def _in_json(sink: Sink, text: str, got: str) -> Iterator[str]:
    yield from unseen(got)
    known = {event.name for event in EVENTS}
    for part in got.strip().split("\n"):
        record = json.loads(part)
        if record["event"] not in known:
            yield "a forged line"
        for word in _words(record):
            yield from unseen(word, "\n")
            if len(word) > _LONG:
                yield "too long"


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield key
            yield from _words(one)
    elif isinstance(value, list):
        for one in value:
            yield from _words(one)


def _in_html(sink: Sink, text: str, got: str) -> Iterator[str]:
    yield from unseen(got, "\n\t")
    found = _Tags()
    found.feed(got)
    for tag, name in sorted(found.tags):
        if name.startswith("on") or (tag in ("script", "img", "x", "iframe") and (tag, name) != ("script", "")):
            yield f"<{tag} {name}>"
    if got.count("<script") != 1:
        yield "a script"


def _in_xml(sink: Sink, text: str, got: str) -> Iterator[str]:
    known = {"testsuites", "testsuite", "testcase", "failure", "skipped", "system-out"}
    for element in ElementTree.fromstring(got).iter():  # noqa: S314 - written by provision
        if element.tag not in known:
            yield f"<{element.tag}>"
        for word in (element.text or "", element.tail or "", *element.attrib.values()):
            yield from unseen(word, "\n\t")
    yield from unseen(got, "\n\t")


def _in_metrics(sink: Sink, text: str, got: str) -> Iterator[str]:
    yield from unseen(got)
    for part in got.strip("\n").split("\n"):
        if not _METRIC.fullmatch(part):
            yield f"no metric: {part[:60]}"


def _raw(sink: Sink, text: str, got: str) -> Iterator[str]:
    """Data for a program, which reads the original text back: only the file itself must not have it."""
    yield from unseen(got)
    if got.startswith("provision:"):  # an error of provision
        yield from _text(sink, text, got)
    else:
        json.loads(got)


_KINDS: dict[Kind, Callable[[Sink, str, str], Iterator[str]]] = {
    "text": _text,
    "terminal": _in_terminal,
    "json": _in_json,
    "raw": _raw,
    "html": _in_html,
    "xml": _in_xml,
    "metrics": _in_metrics,
}
