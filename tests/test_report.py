"""A run's page, without a browser: its content, and what it never contains. And the reports of a run to other
programs."""

from __future__ import annotations

import argparse
import io
import json
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from provision.cli import main
from provision.model import Change, Drift, Event, Failure
from provision.remote.transaction import Step
from provision.report.files import Junit, Metrics
from provision.report.html import page, seconds, timeline
from provision.report.journal import folder, read
from provision.report.jsonlines import JsonLines
from provision.report.shown import Shown, shown, summary
from provision.report.text import Text, failure_lines
from provision.report.webhook import Webhook
from provision.steps.packages import pkg_transaction
from provision.steps.services import svc_reread
from provision.transport.execute import Finished
from provision.transport.job import Job, _Progress
from tests.journals import EVIL, rollout

RUN = "20260101T000000-aaaaaaaa"


@pytest.fixture
def playbook(tmp_path: Path) -> Path:
    rollout(tmp_path / "site.yml", RUN, 9, (1, 4, 4), frozenset({3}))
    return tmp_path / "site.yml"


@pytest.mark.parametrize(
    ("seen", "verb"),
    [({}, "create"), ({"type": "symbolic link"}, "change"), ({"content": "a", "mode": "0600"}, "change")],
)
def test_a_file_that_replaces_a_link_is_shown_as_a_change(seen: dict[str, str], verb: str) -> None:
    drift = Drift({"content": "a", "mode": "0644"}, seen, ("content", "mode"))
    assert summary(Change("file:/etc/x", drift, ())) == f"{verb} file:/etc/x"


def test_the_timeline_of_a_run(playbook: Path) -> None:
    found = timeline(read(folder(playbook) / RUN))
    assert [(wave.number, len(wave.hosts), wave.counts) for wave in found.waves] == [
        (1, 1, {"changed": 1}),
        (2, 4, {"changed": 3, "rolled_back": 1}),
    ]
    assert [row.host for row in found.rows if not row.wave] == ["web006", "web007", "web008", "web009"]
    bad = next(row for row in found.rows if row.host == "web003")
    assert bad.outcomes["service:docker svc_settle"] == "failed"
    assert bad.spans[-1].outcome == "failed"
    good = found.rows[0]
    assert [span.name for span in good.spans[:2]] == ["look", "manifest put_file"]
    assert good.spans[1].words == "write /var/lib/provision/manifests/docker-hosts"
    assert bad.titles["service:docker svc_settle"] == found.steps["service:docker svc_settle"] == "restart docker"
    assert good.spans[-1].name == "finish"
    assert all(one.end <= other.begin + 1e-6 for one, other in zip(good.spans, good.spans[1:], strict=False))
    assert set(good.outcomes.values()) == {"done"}
    assert len(good.checks) == 1


def test_an_interrupted_run_has_a_page(playbook: Path) -> None:
    journal = folder(playbook) / RUN / "events.jsonl"
    lines = journal.read_text().splitlines()
    middle = next(n for n, line in enumerate(lines) if '"step.begin"' in line and "svc_settle" in line)
    journal.write_text("\n".join(lines[: middle + 1]) + '\n{"event": "ho')
    found = timeline(read(folder(playbook) / RUN))
    assert found.rows[0].spans[-1].outcome == "open"
    assert found.counts == {"no end": 9}
    assert "This run was interrupted" in page(found.run)
    # A journal of a version that wrote no times and no titles.
    journal.write_text(
        re.sub(r', "(at|title)": ([0-9.]+|"[^"]*")|, "(un)?done_titles": \[[^]]*\]', "", "\n".join(lines)) + "\n"
    )
    assert not re.search('"title"|_titles"', journal.read_text())
    found = timeline(read(folder(playbook) / RUN))
    assert found.begun is None
    assert found.steps["service:docker svc_settle"] == "service:docker svc_settle"
    assert "web003" in page(read(folder(playbook) / RUN))


def test_the_page_is_self_contained_and_escapes_all_text(playbook: Path) -> None:
    out = playbook.parent / "out.html"
    assert main(["report", RUN, str(playbook), "--html", str(out)]) == 0
    assert out.stat().st_mode & 0o777 == 0o600
    text = out.read_text()
    assert EVIL not in text
    assert text.count("<script>") == 1
    assert "&lt;script&gt;document.title" in text
    assert not re.search(r"(src|href)=\"(?!#)", text), "nothing is fetched"
    assert not re.search(r"url\(|@import|https?://", text)


def test_report_selects_the_run_by_its_name_or_last(playbook: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "last", str(playbook), "--html", "-"]) == 0
    assert f"run {RUN}" in capsys.readouterr().out
    assert main(["report", "20260101T000000-aaaaaaab", str(playbook), "--html", "-"]) == 1
    assert f'did you mean "{RUN}"?' in capsys.readouterr().err
    assert main(["report", "last", str(playbook), "--html", str(playbook / "x")]) == 1


@pytest.mark.parametrize(("value", "words"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (61, "61 s"), (200, "3 min 20 s")])
def test_durations_are_shown_in_words(value: float, words: str) -> None:
    assert seconds(value) == words


_EVENTS = [
    Event("run.begin", data={"mode": "apply", "hosts": 3, "waves": 2}),
    Event("host.done", "web1", {"status": "changed", "changes": 2, "seconds": 1.5}),
    Event("wave.done", data={"play": "x", "wave": 1, "counts": {"changed": 1}}),
    Event(
        "host.done",
        "web2",
        {"status": "rolled_back", "changes": 0, "failure": Failure("step", "it failed", detail="\x1b[31m<b>no</b>")},
    ),
    Event("rollout.stopped", data={"reason": "enough"}),
    Event("host.done", "web3", {"status": "skipped", "changes": 0, "reason": "enough"}),
    Event(
        "run.done",
        data={"counts": {"ok": 0, "changed": 1, "rolled_back": 1, "skipped": 1}, "seconds": 2.5, "mode": "apply"},
    ),
]
ENDS = [shown(event) for event in _EVENTS]


def test_metrics_follow_prometheus_text_format(tmp_path: Path) -> None:
    path = tmp_path / "provision.prom"
    metrics = Metrics(path, 'a "site".yml', lambda: 1_790_000_000.5)
    for event in ENDS[:3]:
        metrics(event)
    about = 'playbook="a \\"site\\".yml",mode="apply"'
    assert f"provision_under_way{{{about}}} 1\n" in path.read_text(), "a wave is finished, and the run is not"
    for event in ENDS[3:]:
        metrics(event)
    lines = path.read_text().splitlines()
    assert f'provision_hosts{{{about},status="rolled_back"}} 1' in lines
    assert f"provision_changes{{{about}}} 2" in lines
    assert f"provision_success{{{about}}} 0" in lines
    assert f"provision_duration_seconds{{{about}}} 2.5" in lines
    assert f"provision_time_seconds{{{about}}} 1790000000.5" in lines
    for line in lines:
        assert re.fullmatch(r"# (HELP|TYPE) provision_[a-z_]+ .+|provision_[a-z_]+\{.*\} [0-9.]+", line), line
    assert list(tmp_path.iterdir()) == [path]


def test_the_junit_file_of_a_run(tmp_path: Path) -> None:
    junit = Junit(tmp_path / "junit.xml")
    for event in ENDS:
        junit(event)
    (suite,) = ElementTree.parse(tmp_path / "junit.xml").getroot()  # noqa: S314 - provision's own
    assert {key: suite.get(key) for key in ("tests", "failures", "skipped")} == {
        "tests": "3",
        "failures": "1",
        "skipped": "1",
    }
    cases = {case.get("name"): case for case in suite}
    failure = cases["web2"].find("failure")
    assert failure is not None
    assert (failure.get("type"), failure.text) == ("step", "\\x1b[31m<b>no</b>")
    assert cases["web3"].find("skipped") is not None


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[dict[str, object]], list[int]]]:
    """A server that accepts what it receives. It answers with the next of the statuses, or 204."""
    got: list[dict[str, object]] = []
    statuses: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(statuses.pop(0) if statuses else 204)
            self.send_header("Location", f"http://127.0.0.1:{server.server_address[1]}/internal")
            self.end_headers()

        def do_GET(self) -> None:
            got.append({"event": self.path})
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/token", got, statuses
    server.shutdown()
    server.server_close()


def test_a_webhook_receives_the_events(receiver: tuple[str, list[dict[str, object]], list[int]]) -> None:
    url, got, statuses = receiver
    statuses += [204, 500]
    warned: list[str] = []
    webhook = Webhook(url, {"run": RUN}, warned.append)
    for event in ENDS:
        webhook(event)
    webhook.close()
    assert [one["event"] for one in got] == ["run.begin", "wave.done", "rollout.stopped", "run.done"]
    assert {one["run"] for one in got} == {RUN}
    assert warned == ["provision: the webhook did not accept wave.done: status 500"]
    # The answer does not choose another address.
    got.clear()
    warned.clear()
    statuses += [302, 307]
    webhook = Webhook(url, {"run": RUN}, warned.append)
    for event in ENDS:
        webhook(event)
    webhook.close()
    assert {one["event"] for one in got} == {"run.begin", "wave.done", "rollout.stopped", "run.done"}
    assert [text.rpartition(": ")[2] for text in warned] == ["status 302", "status 307"]
    # An unreachable webhook causes warnings, which do not contain its address.
    warned.clear()
    webhook = Webhook("http://127.0.0.1:9/token", {"run": RUN}, warned.append)
    webhook(ENDS[0])
    webhook.close()
    assert len(warned) == 1
    assert "token" not in warned[0]


@pytest.fixture
def invalid_receiver() -> Iterator[tuple[str, list[bytes]]]:
    """A server that accepts every delivery, and answers the first one with text that is not HTTP."""
    got: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))
    answers = [b"\x1b]0;owned\x07 garbage\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"]

    def serve() -> None:
        for answer in answers:
            peer, _ = server.accept()
            with peer, peer.makefile("rb") as file:
                size = 0
                while (header := file.readline()) not in (b"\r\n", b""):
                    if header.lower().startswith(b"content-length:"):
                        size = int(header.split(b":")[1])
                got.append(file.read(size))
                peer.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}/token", got
    server.close()


def test_an_answer_that_is_not_http_fails_only_its_delivery(invalid_receiver: tuple[str, list[bytes]]) -> None:
    url, got = invalid_receiver
    warned: list[str] = []
    webhook = Webhook(url, {"run": RUN}, warned.append)
    webhook(ENDS[0])
    webhook(ENDS[-1])
    webhook.close()
    assert [json.loads(one)["event"] for one in got] == ["run.begin", "run.done"]
    assert warned == ["provision: the webhook did not accept run.begin: its answer is not HTTP (BadStatusLine)"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/to ken", "http://127.0.0.1:9/to\nken", "http://127.0.0.1:x/token"])
def test_an_invalid_url_is_not_shown(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hosts.yml").write_text("all: {hosts: {web1: {ansible_host: 127.0.0.1, ansible_port: 9}}}\n")
    (tmp_path / "site.yml").write_text("- {name: Site, hosts: all, spec: {}}\n")
    words = ["plan", "-i", "hosts.yml", "site.yml", "--plain"]
    with pytest.raises(SystemExit) as caught:
        main([*words, "--webhook", url])
    assert caught.value.code == 1
    monkeypatch.setenv("PROVISION_WEBHOOK", url)
    assert main(words) == 1
    # The same for a reporter that gets such an address in spite of that.
    warned: list[str] = []
    webhook = Webhook(url, {"run": RUN}, warned.append)
    webhook(ENDS[0])
    webhook.close()
    printed = capsys.readouterr()
    assert "must be " in printed.err
    assert "ken" not in printed.err + printed.out + "".join(warned)


def test_the_terminal_shows_the_title_of_a_step_and_json_its_name() -> None:
    step = Step("packages:all", pkg_transaction(lock_timeout=1, install={"docker-ce": "5:28.5.2", "tree": None}))
    received: list[Event] = []
    progress = _Progress("web1", (step, Step("x", svc_reread())), received.append)
    for frame in (("step.begin", "0"), ("step.failed", "0", "100", "E: no such package")):
        progress.frame(frame)
    job: Any = argparse.Namespace(work=argparse.Namespace(confirm_within=1))
    failure = Job._error(job, progress, [], Finished(1, "")).failure
    received.append(Event("host.done", "web1", {"status": "failed", "changes": 0, "failure": failure}))
    for_people, for_programs = io.StringIO(), io.StringIO()
    text, json_lines = Text(for_people), JsonLines(for_programs)
    for event in received:
        text(shown(event))
        json_lines(shown(event))
    title = "install docker-ce 5:28.5.2, tree"
    reread = "reload the unit files of the service manager"
    assert for_people.getvalue().splitlines() == [
        f"web1: [1/2] {title}",
        f"web1: step: {title}: failed with status 100",
        "    | E: no such package",
        "    done: nothing",
        f"    not done: {title}",
        f"    not done: {reread}",
    ]
    begun, done = (json.loads(line) for line in for_programs.getvalue().splitlines())
    assert (begun["step"], begun["title"]) == ("packages:all pkg_transaction", title)
    assert (done["error"]["step"], done["error"]["title"]) == ("packages:all pkg_transaction", title)
    assert done["error"]["undone"] == ["packages:all pkg_transaction", "x svc_reread"]
    assert done["error"]["undone_titles"] == [title, reread]


def test_a_rollback_is_reported_as_complete_or_partial() -> None:
    left = ("service docker (enabled+active)", "package tree: 2.1 (before the run: absent)")
    for found, restored in ((left, "partial"), ((), "complete")):
        failure = Failure("interrupted", "it was killed", rolled_back=True, left=found)
        data = {"status": "rolled_back", "changes": 0, "failure": failure, "restored": restored, "left": list(found)}
        for_people, for_programs = io.StringIO(), io.StringIO()
        done = shown(Event("host.done", "web1", data))
        Text(for_people)(done)
        JsonLines(for_programs)(done)
        (line,) = for_people.getvalue().splitlines()[1:]
        assert line == "    restored: " + (f"partial; left: {'; '.join(left)}" if found else "complete")
        event = json.loads(for_programs.getvalue())
        assert (event["restored"], event["left"]) == (restored, list(found))


@pytest.mark.parametrize(("kind", "words"), [("timeout", "not done yet"), ("step", "not done")])
def test_a_host_that_continues_by_itself_has_not_done_its_steps_yet(kind: str, words: str) -> None:
    """At ``--deadline`` the job continues: it may still make what the report lists."""
    failure = Failure(kind, "it ended", undone=("container:web container_put",), undone_titles=("create web",))
    assert list(failure_lines("web1", failure))[-2:] == ["    done: nothing", f"    {words}: create web"]


def test_equal_verdicts_of_the_doctor_share_a_line() -> None:
    out = io.StringIO()
    text = Text(out)
    for number in range(1, 21):
        host = f"web{number:02}"
        for subject, level, said in (("kernel", "ok", "6.12"), ("clock", "bad" if number == 7 else "ok", "x")):
            text(Shown("verdict", host, {"subject": subject, "level": level, "text": said}))
    text(Shown("run.done", "", {"counts": {}, "seconds": 1.0, "mode": "doctor"}))
    lines = out.getvalue().splitlines()
    assert lines[:3] == [
        "web01-web20: ok       kernel: 6.12",
        "web01-web06, web08-web20: ok       clock: x",
        "web07: bad      clock: x",
    ]
