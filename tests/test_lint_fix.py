"""``provision lint --fix`` and ``lint -``: a fault with one right correction is corrected, and nothing else changes."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from provision.engine.keys import NEWEST
from provision.lint import loose_json
from provision.lint.daemon_file import lint_text
from provision.lint.fix import mended, write
from tests.lint_table import CASES


def lint(*words: str | Path, text: str | None = None) -> subprocess.CompletedProcess[bytes]:
    argv = [sys.executable, "-m", "provision", "lint", *map(str, words)]
    return subprocess.run(argv, input=(text or "").encode(), capture_output=True, check=False)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"debug": true,}', '{"debug": true}'),
        ('{"dns": ["192.0.2.53",], }', '{"dns": ["192.0.2.53"] }'),
        ('{"debug": true,, "icc": true}', '{"debug": true, "icc": true}'),
        ('{"debug": true\r\n "icc": true}', '{"debug": true,\r\n "icc": true}'),
        ('{"debug": true\uff0c"icc": true}', '{"debug": true,"icc": true}'),
        ('{"debug"\uff1atrue}', '{"debug":true}'),
        ("{\u201cdebug\u201d: true}", '{"debug": true}'),
        ('{"debug":\u00a0true}', '{"debug": true}'),
        ("{'debug': True, 'mtu': None}", '{"debug": true, "mtu": null}'),
        ('{debug: true, "icc"= true}', '{"debug": true, "icc": true}'),
        ('{"log-opts": {"max-file": 3, "compress": true}}', '{"log-opts": {"max-file": "3", "compress": "true"}}'),
        (
            '{"mtu": "1400", "debug": "true", "dns": "192.0.2.53"}',
            '{"mtu": 1400, "debug": true, "dns": ["192.0.2.53"]}',
        ),
        ('{"default-shm-size": 67108864}', '{"default-shm-size": "67108864"}'),
        ('{"graph": "/data"}', '{"data-root": "/data"}'),
        ('{"Debug": true, "log_driver": "local"}', '{"debug": true, "log-driver": "local"}'),
        ('\ufeff{"debug": true,}', '\ufeff{"debug": true}'),
    ],
)
def test_a_fault_with_one_correction_is_corrected(before: str, after: str) -> None:
    text, count = mended(before, NEWEST)
    assert text == after
    assert count > 0


@pytest.mark.parametrize(
    "text",
    [
        '{"debug: true}',  # the place of the quote is a guess
        '// why\n{"debug": true,}',  # the comment would be lost
        '{"debug": true} x',
        '{"debug": true',
        '{"graph": "/a", "data-root": "/b"}',  # either name could be the intended one
        '{"mtu": "large"}',
        '{"gragh": "/data"}',  # a misspelling is a guess
        '{"registry-mirror": ["https://m.example"]}',  # its effect would change
        '{"registry-mirrors": "https://a.example,https://b.example"}',
        '{"debug": "yes"}',
        '{"debug": true, "debug": "true"}',
        '{"experimental": true}',
    ],
)
def test_a_fault_without_one_correction_stays(text: str) -> None:
    assert mended(text, NEWEST) == (text, 0)


@pytest.mark.parametrize("engine", [(20, 10), (29, 7)])
def test_a_corrected_file_is_not_corrected_again_and_has_no_new_fault(engine: tuple[int, int]) -> None:
    def errors(text: str) -> int:
        return sum(one.level == "error" for one in lint_text(Path("x"), text, engine))

    corrected = 0
    for case, before in CASES.items():
        text, count = mended(before, engine)
        assert mended(text, engine) == (text, 0), case
        assert (count > 0) == (text != before), case
        if count:
            json.loads(text.removeprefix("\ufeff"))
            assert errors(text) <= errors(before), case
            corrected += 1
    assert corrected >= 40


def test_a_corrected_file_has_the_values_that_the_linter_read() -> None:
    """Every character of a file is removed, doubled, and replaced by characters that users type by mistake."""
    whole = (
        '{"debug": true,\n "dns": ["192.0.2.53", \'192.0.2.54\'], "log-opts": {\u201cmax-file\u201d: "3"}, mtu = 1400}'
    )
    corrected = 0
    for at in range(len(whole)):
        for put in ("", whole[at] * 2, *"\uff0c\uff1a\u201c\u2018'\",:{}[]= \n#/"):
            text = whole[:at] + put + whole[at + 1 :]
            after, count = mended(text, NEWEST)
            if not count:
                assert after == text
                continue
            corrected += 1
            assert not loose_json.parse(Path(), after).faults, (text, after)
            json.loads(after)
            assert mended(after, NEWEST) == (after, 0)
    assert corrected > 300


def test_an_old_key_stays_for_an_engine_that_has_no_newer_one() -> None:
    assert mended('{"host-gateway-ip": "192.0.2.1"}', NEWEST)[1] == 0  # its successor takes a list
    assert mended('{"graph": "/data"}', (20, 10)) == ('{"data-root": "/data"}', 1)


def test_a_link_out_of_the_project_is_not_corrected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    (tmp_path / "real.json").write_text(text := '{"debug": true,}')
    (tmp_path / "project/daemon.json").symlink_to("../real.json")
    done = lint("--fix", "daemon.json")
    assert done.returncode == 2
    assert b"leads out of the project" in done.stderr
    assert (tmp_path / "real.json").read_text() == text
    assert lint("--fix", "--trusted", "daemon.json").returncode == 0
    assert (tmp_path / "real.json").read_text() == '{"debug": true}'


def test_a_corrected_file_is_replaced_as_a_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "daemon.json"
    real.write_bytes(b'{\r\n  "debug": true,\r\n  "icc": false,\r\n}')
    real.chmod(0o640)
    link.symlink_to("real.json")
    inode = real.stat().st_ino
    done = lint("--fix", link)
    assert done.returncode == 0, done.stderr
    assert real.read_bytes() == b'{\r\n  "debug": true,\r\n  "icc": false\r\n}'
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert real.stat().st_ino != inode, "the file was replaced by a new one"
    assert b"1 corrected" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["daemon.json", "real.json"]
    before = real.stat()
    assert lint("--fix", link).returncode == 0
    assert real.stat() == before, "a file without faults is not written"


def test_a_file_that_cannot_be_replaced_is_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "daemon.json"
    path.write_text("{}")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(path, '{"debug": true}')
    assert path.read_text() == "{}"
    assert [one.name for one in tmp_path.iterdir()] == ["daemon.json"]


def test_standard_input_is_linted() -> None:
    clean = lint("-", text='{"log-driver": "local"}')
    assert (clean.returncode, clean.stdout) == (0, b"0 errors, 0 warnings\n")
    wrong = lint("-", "--stdin-filename", "etc/daemon.json", text='{"gragh": 1}')
    assert wrong.returncode == 1
    assert wrong.stdout.startswith(b"etc/daemon.json:1: error DJ101 unknown key gragh")


def test_standard_input_is_corrected_to_standard_output() -> None:
    done = lint("--fix", "-", text='{"log-driver": "local",\r\n "mtu": "x",}')
    assert done.stdout == b'{"log-driver": "local",\r\n "mtu": "x"}'
    assert done.returncode == 1
    assert b'error DJ110 mtu must be a whole number, not "x"' in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("-", "--engine", "new"),
        ("-", "--ignore", "DJ999"),
        ("-", "-"),
        ("--fix", "-", "other.json"),
        ("--fix", "not-there.json"),
    ],
)
def test_wrong_usage_of_fix_and_standard_input_exits_with_2(words: tuple[str, ...]) -> None:
    done = lint(*words, text="{}")
    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr.startswith(b"provision: ")


def test_exit_codes_without_fix_are_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_text('{"debug": true}')
    assert lint(path).returncode == 0, "warnings alone"
    assert lint(path, "--engine", "new").returncode == 1
    assert lint(tmp_path / "not-there.json").returncode == 1
