"""The output of programs is searched for secrets, in each form: by provision, and by the host before it writes."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import os
import re
import urllib.parse
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from provision.distros import platform
from provision.errors import Where
from provision.lab.store import start_time
from provision.model import Call, Failure, Plan
from provision.project.host_config import context
from provision.remote.script import job_script, quote, submit_script
from provision.remote.transaction import Step, Work
from provision.secrets import secret
from tests.shells import each_shell, run

VALUE = "Pa'ss/wo+rd <&>?\"\\ü 1"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nsecond+line/of==\nshort\n-----END PRIVATE KEY-----"


def _b64(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


#: The forms that a program may make of a value.
FORMS: dict[str, Callable[[str], str]] = {
    "itself": str,
    "json": lambda value: json.dumps(value)[1:-1],
    "json in utf-8": lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
    "docker's json": lambda value: (
        json.dumps(value, ensure_ascii=False)[1:-1]
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("&", "\\u0026")
    ),
    "base64": _b64,
    "base64 without padding": lambda value: _b64(value).rstrip("="),
    "base64 for urls": lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    "base64 for urls without padding": lambda value: base64.urlsafe_b64encode(value.encode()).decode().rstrip("="),
    "base64 of echo": lambda value: _b64(f"{value}\n"),
    "hex": lambda value: value.encode().hex(),
    "large hex": lambda value: value.encode().hex().upper(),
    "url": lambda value: urllib.parse.quote(value),
    "all of a url": lambda value: urllib.parse.quote(value, safe=""),
    "small url": lambda value: re.sub("%..", lambda found: found[0].lower(), urllib.parse.quote(value, safe="")),
    "form": urllib.parse.quote_plus,
    "python": lambda value: repr(value)[1:-1],
    "shell": lambda value: value.replace("'", "'\\''"),
}
each_form = pytest.mark.parametrize("form", [pytest.param(form, id=name) for name, form in FORMS.items()])


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """A function that makes a secret of a value, and returns its token."""
    monkeypatch.setattr(secret, "_KNOWN", {})

    def declare(value: str, name: str = "pw") -> str:
        monkeypatch.setenv(f"VALUE_{name}", value)
        token = secret.declare(name, {"env": f"VALUE_{name}"}, Where(Path("site.yml"), 1))
        secret.resolve()
        return token

    return declare


@each_form
def test_each_form_is_masked(form: Callable[[str], str], known: Callable[..., str]) -> None:
    token = known(VALUE)
    assert secret.mask(f"error: [{form(VALUE)}] refused") == f"error: [{token}] refused"


@pytest.mark.parametrize("before", ["u:", "ab:", "abc:", "user:"])
@pytest.mark.parametrize("behind", ["", "\n", "@h", "@host"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_of_a_longer_text_with_a_secret_is_masked(
    before: str, behind: str, encode: Callable[[bytes], bytes], known: Callable[..., str]
) -> None:
    token = known(VALUE)
    shown = secret.mask(f"Authorization: Basic {encode(f'{before}{VALUE}{behind}'.encode()).decode()} refused")
    head, _, tail = shown.partition(token)
    assert len(head) <= len("Authorization: Basic ") + 8
    assert len(tail) <= 12 + len(" refused")
    assert "Basic" in head
    assert "refused" in tail


@pytest.mark.parametrize(
    ("value", "form", "words"),
    [
        (VALUE, lambda value: value[: len(value) // 2], "its first half"),
        (VALUE, lambda value: f"{value[:5]}-{value[5:]}", "a character in between"),
        ("abc", str, "fewer than 4 characters"),
        ("abcd", lambda value: _b64(f"user:{value}:x"), "of fewer than 5"),
        ("first-line\nshort\n", lambda value: value.split("\n")[1], "fewer than 8 characters"),
        (VALUE, lambda value: re.sub("(.{10})", "\\1\n", _b64(value)), "wrapped into lines"),
        (VALUE, lambda value: base64.b32encode(value.encode()).decode(), "base32"),
        (VALUE, lambda value: hashlib.sha256(value.encode()).hexdigest(), "hashed"),
        (VALUE, lambda value: zlib.compress(value.encode()).hex(), "compressed"),
        (VALUE, lambda value: value[::-1], "reversed"),
    ],
)
def test_the_documentation_names_each_form_that_is_not_masked(
    value: str, form: Callable[[str], str], words: str, known: Callable[..., str]
) -> None:
    """If one of these forms is masked one day, docs/security.md must no longer name it."""
    known(value)
    assert secret.mask(form(value)) == form(value)
    page = (Path(__file__).parent.parent / "docs/security.md").read_text(encoding="utf-8")
    assert words in page.split("### What masking cannot do")[1].split("\n## ")[0]


def test_each_line_of_a_key_is_masked(known: Callable[..., str]) -> None:
    token = known(KEY)
    _, first, second, short, _ = KEY.splitlines()
    assert secret.mask(f"bad key: {first}!") == f"bad key: {token}!"
    assert secret.mask(json.dumps({"line": second})) == json.dumps({"line": token}, ensure_ascii=False)
    assert secret.mask(f"{short} -----BEGIN PRIVATE KEY-----") == f"{short} -----BEGIN PRIVATE KEY-----"
    assert secret.mask(f"<{KEY}>") == f"<{token}>"


def test_overlapping_secrets_are_masked(known: Callable[..., str]) -> None:
    one, two = known("abcdefgh-1234", "one"), known("1234-ijklmnop", "two")
    three = known("abcdefgh-1234-and-more", "three")
    assert secret.mask("x abcdefgh-1234-ijklmnop y") == f"x {one} y"
    assert secret.mask("x abcdefgh-1234-and-more y") == f"x {three} y"
    assert secret.mask("1234-ijklmnop 123 abc") == f"{two} 123 abc"


def test_a_secret_is_masked_from_the_time_it_is_read(known: Callable[..., str]) -> None:
    known("value-number-one", "one")
    assert "value-number-two" in secret.mask("value-number-two")
    token = known("value-number-two", "two")
    assert secret.mask("value-number-two") == token


def test_each_part_of_a_failure_is_masked(known: Callable[..., str]) -> None:
    from provision.rollout.host_run import HostRun

    token = known(VALUE)
    ended: list[Failure | None] = []

    class Run(HostRun):
        def __init__(self) -> None:
            """A run without a host."""

        def _end(self, status: str, failure: Failure | None = None, reason: str = "") -> None:
            ended.append(failure)

    Run().fail(Failure("drift", f"is {VALUE}", detail=f"sysctl: {VALUE} instead of 1"))
    assert ended == [Failure("drift", f"is {token}", detail=f"sysctl: {token} instead of 1")]


def masks(*values: str) -> str:
    """Lines of shell, as a job reads them from its file of secrets."""
    forms = sorted({form for value in values for form in secret.spelled(value)}, key=lambda form: (-len(form), form))
    lines = [f"mask_{number}={quote(form)}" for number, form in enumerate(forms)]
    return "\n".join([*lines, f"masks={len(forms)}"])


@each_shell
@each_form
def test_the_host_masks_each_form(shell: list[str], form: Callable[[str], str]) -> None:
    text = f"error: [{form(VALUE)}] and [{form(VALUE)}] refused"
    script = f'{masks(VALUE, KEY)}\nmasked {quote(text)}\nemit text "$masked_text"'
    frames, done = run(shell, [], script, frame="fix.sh")
    assert done.returncode == 0, done.stderr
    (found,) = (fields[1] for fields in frames if fields[0] == "text")
    assert found == "error: [***] and [***] refused"


@each_shell
def test_the_host_masks_each_line_of_a_key(shell: list[str]) -> None:
    lines = "\n".join(f"{number}: {line}" for number, line in enumerate(KEY.splitlines()))
    script = (
        f'{masks(KEY)}\nmasked {quote(lines)}\nemit text "$masked_text"\nmasked {quote(KEY)}\nemit text "$masked_text"'
    )
    frames, _ = run(shell, [], script, frame="fix.sh")
    first, second = (fields[1] for fields in frames if fields[0] == "text")
    assert first.splitlines() == [
        "0: -----BEGIN PRIVATE KEY-----",
        "1: ***",
        "2: ***",
        "3: short",
        "4: -----END PRIVATE KEY-----",
    ]
    assert second == "***"


@each_shell
@pytest.mark.parametrize("before", [0, 1, 40, 7980, 7990, 8000, 15950, 15990, 16000, 16010, 30000])
def test_no_part_of_a_secret_remains_where_output_is_cut(shell: list[str], before: int, tmp_path: Path) -> None:
    """The last 8000 bytes are kept. A value may cross the place where they begin, because text before it may be masked,
    which moves that place."""
    value = "0123456789abcdefghijklmnopqrstuvwxyz"
    log = tmp_path / "log"
    for filler in ("x" * 79 + "\n", f"{value * 2}\n", "y" * 9000 + "\n"):
        text = f"head\nvalue {value}\n" + (filler * (before // len(filler) + 1))[:before]
        log.write_text(text)
        script = f'{masks(value)}\ntail_of {quote(str(log))} 8000\nemit text "$tail_text"'
        frames, done = run(shell, [], script, frame="fix.sh")
        (found,) = (fields[1] for fields in frames if fields[0] == "text")
        assert len(found) <= 8000
        assert done.stderr == b""
        pieces = {value[at : at + 8] for at in range(len(value) - 7)}
        assert not any(piece in line for line in found.splitlines()[:-1] for piece in pieces)
        assert found or before > 8000


@each_shell
def test_a_secret_that_a_step_prints_is_masked(shell: list[str], tmp_path: Path) -> None:
    """As a job runs it: the output of the step, the output outside of steps, and a note."""
    script = f"""
        run_home={quote(str(tmp_path))} run_folder={quote(str(tmp_path / "run"))}
        run=$run_home/r
        mkdir "$run" "$run_folder"
        run_log=$run_folder/step.1 run_noise=$run_folder/noise.$$ run_private=yes emit_to=journal journal_sent=0
        : >"$run/events"
        exec 2>>"$run_noise"
        {masks(VALUE)}
        leaks() {{
            printf 'it says %s\\n' {quote(VALUE)}
            emit note {quote(f"note {VALUE}")}
            return 3
        }}
        transaction_failed() {{ printf 'undone: %s\\n' {quote(VALUE)} >&2; }}
        live_step 0 180 file:/etc/x leaks
    """
    _, done = run(shell, [], script, frame="fix.sh")
    assert done.returncode == 0, done.stderr
    events, noise = (tmp_path / "r/events").read_text(), (tmp_path / "r/noise").read_text()
    assert "it says ***" in events
    assert "note ***" in events
    assert noise == "undone: ***\n"
    assert not list((tmp_path / "run").iterdir()), "no file remains where the output was written first"
    assert "wo+rd" not in events + noise


@each_shell
@pytest.mark.parametrize("private", ["yes", ""])
def test_a_rollback_by_the_timer_keeps_output_only_without_secrets(
    shell: list[str], private: str, tmp_path: Path
) -> None:
    """A rollback by the timer. The secrets were removed with the job, so its output is kept only for a run without
    secrets."""
    (tmp_path / "r").mkdir()
    (tmp_path / "r/before").write_text("file 1 /etc/x\nend - -\n")
    script = f"""
        run_home={quote(str(tmp_path))} run_folder={quote(str(tmp_path / "run"))} run_private={private}
        undo_one() {{ printf 'undone: %s\n' {quote(VALUE)}; return 1; }}
        svc_reread() {{ printf 'reread: %s\n' {quote(VALUE)} >&2; }}
        sweep() {{ :; }}
        begin_apart r
        (undo unconfirmed)
        emit_to=output
        emit failed "$(cat "$run/result")"
    """
    frames, done = run(shell, [], script, frame="fix.sh")
    assert frames == [("failed", "rolled_back unconfirmed")], done.stderr
    noise = (tmp_path / "r/noise").read_text()
    assert (VALUE in noise) == (not private)
    assert noise.startswith("what the steps of this undo print is not kept" if private else "undone: ")


@each_shell
def test_the_sweep_leaves_the_output_of_the_current_run(shell: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("noise.1", "noise.2", "step.1", "env.1"):
        (folder / name).write_text(VALUE)
    script = f"run_home={quote(str(tmp_path))} run_folder={quote(str(folder))} run_noise={quote(str(folder))}/noise.2\n"
    run(shell, [], f"{script}\nsweep_dead", frame="fix.sh")
    assert [path.name for path in folder.iterdir()] == ["noise.2"]


@each_shell
def test_secrets_of_a_job_that_does_not_start_are_removed(shell: list[str], tmp_path: Path) -> None:
    old = tmp_path / "runs/20200101T000000-0"
    old.mkdir(parents=True)
    (old / "secrets").write_text("secret_0=hush\n")
    (old / "owner").write_text("999999999:1\n")
    alive = tmp_path / "runs/20200101T000000-1"
    alive.mkdir()
    (alive / "secrets").write_text("secret_0=hush\n")
    (alive / "owner").write_text(f"{os.getpid()}:{start_time(os.getpid())}\n")
    script = f"""
        run_home={quote(str(tmp_path / "runs"))}
        submit_secrets="secret_0='hush'"
        job_start() {{ [ -f "$run/secrets" ] && printf 'it was there\\n' >&2; return 1; }}
        submit r - <<'END'\njob\nEND
    """
    frames, done = run(shell, [], script, frame="submit.sh")
    assert frames == [("died", "submit", "1")]
    assert b"it was there" in done.stderr
    assert (tmp_path / "runs/r/job").read_text() == "job\n"
    assert list((tmp_path / "runs").rglob("secrets")) == [alive / "secrets"], (
        "the file of a job that has not read it yet stays"
    )


def test_a_job_receives_every_secret_that_its_host_may_print(known: Callable[..., str]) -> None:
    """A job also gets a secret that none of its steps needs, because an earlier run may have put it on the host. No
    argument of a program has a secret."""
    on = platform("debian", "13", "trixie")
    assert on is not None
    one, two = known("value-number-one", "one"), known("value-number-two", "two")
    known("value-number-three", "three")
    secrets: dict[str, str] = {}
    step = Step("x", Call("put_file", ("/etc/x", "root", "root", "0600", "text", one)))
    allowed = frozenset({one, two})
    job = job_script(Work("run", Plan("web1", on), (step,), (), (), secrets=allowed), [], secrets)
    assert "run_private=yes" in job
    script = submit_script("run", job, secrets, allowed)
    line = next(line for line in script.splitlines() if line.startswith("submit_secrets="))
    assert "value-number" not in script.replace(script.partition("submit_secrets=")[2].partition("submit run")[0], "")
    assert line
    for number in ("one", "two"):
        assert f"value-number-{number}" in script
        assert _b64(f"value-number-{number}") in script
    assert "value-number-three" not in script
    none = job_script(Work("run", Plan("web1", on), (), (), ()), [], {})
    assert "run_private=\n" in none


def test_an_assertion_that_shows_a_secret_is_masked(known: Callable[..., str], tmp_path: Path) -> None:
    """Masked in the check's message, and in pytest's own JUnit."""
    from provision.verify.plugin import Check, Plugin

    token = known(VALUE)
    checks: list[Check] = []
    plugin = Plugin({}, context(Path("site.yml")), checks.append)
    plugin._checks = _Anything()
    file = tmp_path / "test_app.py"
    file.write_text(f"def test_it():\n    print({VALUE!r})\n    assert {VALUE!r} == 'x'\n")
    words = [str(file), "-q", "-c", "/dev/null", f"--rootdir={tmp_path}", f"--junitxml={tmp_path}/junit.xml"]
    words += ["-p", "no:cacheprovider", "-p", "no:pytest11.testinfra", "-o", "junit_logging=all"]
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main(words, plugins=[plugin])
    (check,) = checks
    assert token in check.message
    for text in (check.message, (tmp_path / "junit.xml").read_text()):
        assert "wo+rd" not in text


#: Longer than what pytest shows of a value; pytest cuts it in its middle. No four characters of it are in another text.
LONG = "".join(f"q{number:03}Z" for number in range(100))

_CUT = """\
from types import SimpleNamespace
LONG = {long!r}
def test_texts(): assert "front " + LONG == "front x"
def test_lines(): assert "a\\n" * 20 + LONG == "b\\n" * 20
def test_bytes(): assert ("ü " + LONG).encode() == b"x"
def test_lists(): assert ["a", LONG, "b"] == ["a", "b"]
def test_maps(): assert {{"a": LONG}} == {{"a": "b"}}
def test_within(): assert "x;" not in "x;" + LONG
def test_truth(): assert not ("x" * 100 + LONG)
def test_call(): assert (lambda word: not word)("front " + LONG)
def test_field(): assert not SimpleNamespace(word=LONG).word
def test_message(): assert not 1, ["a", LONG]
def test_skip():
    import pytest
    pytest.skip(LONG)
"""


@pytest.mark.parametrize("alone", [False, True], ids=["provision", "pytest"])
@pytest.mark.parametrize("threads", [False, True], ids=["loop", "thread"])
def test_a_secret_that_pytest_cuts_is_not_shown_in_part(
    known: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alone: bool, threads: bool
) -> None:
    """In checks that pytest runs itself, and in those that a thread runs outside of its loop."""
    from _pytest.assertion import util

    from provision.verify import reports, standalone
    from provision.verify.plugin import Check, Plugin

    class Alone:
        """The part of plain pytest's plugin that needs no inventory."""

        pytest_assertrepr_compare = staticmethod(standalone.pytest_assertrepr_compare)
        pytest_runtest_makereport = staticmethod(standalone.pytest_runtest_makereport)

        def pytest_configure(self, config: pytest.Config) -> None:
            reports.hide_before_cut(config)

    class OutsideOfTheLoop:
        @pytest.hookimpl(tryfirst=True)
        def pytest_pyfunc_call(self) -> None:
            util._reprcompare = None
            util._config = None

    monkeypatch.delenv("CI", raising=False)
    known(LONG)
    checks: list[Check] = []
    plugin = Plugin({}, context(Path("site.yml")), checks.append)
    plugin._checks = _Anything()
    file = tmp_path / f"test_cut_{alone}_{threads}.py"  # Python keeps a module of the same name
    file.write_text(_CUT.format(long=LONG))
    words = [str(file), "-q", "-rs", "-c", "/dev/null", f"--rootdir={tmp_path}", f"--junitxml={tmp_path}/junit.xml"]
    words += ["--import-mode=importlib", "--tb=short", "-p", "no:cacheprovider", "-p", "no:pytest11.testinfra"]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        pytest.main(words, plugins=[Alone() if alone else plugin, *([OutsideOfTheLoop()] if threads else [])])
    assert "10 failed, 1 skipped" in out.getvalue()
    assert len(checks) == (0 if alone else 11)
    shown = "\n".join([out.getvalue(), (tmp_path / "junit.xml").read_text(), *(check.message for check in checks)])
    assert re.findall("q[0-9]{3}|[0-9]{3}Z", shown) == []
    assert "«secret:pw:" in shown


def test_a_long_answer_is_not_compared_line_by_line() -> None:
    from provision.verify.reports import compared

    said = "\n".join(compared("==", "a\n" * 2_000_000, "b") or ())
    assert said
    assert len(said) < 3_000
    assert compared("==", "a\nb", "a\nc") is None


class _Anything(dict[str, tuple[str, str]]):
    def __missing__(self, key: str) -> tuple[str, str]:
        return "web1", key
