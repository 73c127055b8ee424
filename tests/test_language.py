"""No text of the project has a word or a phrase that tests/language.py lists."""

from __future__ import annotations

import pytest

from tests.language import ALLOWED, BANNED, ROOT, files, found

#: A text for each pattern of ``BANNED``, in their order: a pattern that matches nothing would never fail.
EXAMPLES = (
    "nobody reads it",
    "somebody else's container",
    "whoever holds the lock",
    "the host whom it serves",
    "the image is built anew",
    "a container of ours",
    "a network of one's own",
    "before we log in",
    "the host is as wished",
    "the host is right already",
    "the host put everything back",
    "a login came in again",
    "20 hosts were gone through",
    "a run that ended badly",
    "the user is told",
    "the run goes on",
    "the file beside it",
    "the playbook's folder",
    "decided beforehand",
    "the walkthrough",
    "the wish of a host",
    "an outlook",
    "the pacing",
    "the crew",
)


@pytest.mark.parametrize("name", files())
def test_a_file_has_no_banned_phrase(name: str) -> None:
    hits = [f"{name}:{line}: {phrase!r}: write {instead}" for line, phrase, instead in found((ROOT / name).read_text())]
    assert not hits, "\n".join(hits)


def test_the_files_are_those_that_people_read() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "provision/cli.py", "provision/sh/fix.sh", "tests/test_language.py"):
        assert (name in files()) == (name != "tests/test_language.py")
    folders = {name.split("/")[0] for name in files()}
    assert folders >= {
        "provision",
        "tests",
        "docs",
        "docsite",
        "scripts",
        "templates",
        "molecule",
        "playbooks",
        "bench",
    }


@pytest.mark.parametrize(("example", "instead"), list(zip(EXAMPLES, BANNED.values(), strict=True)))
def test_a_banned_phrase_is_found(example: str, instead: str) -> None:
    assert [(line, text) for line, _, text in found(f"x\n{example.upper()}")][:1] == [(2, instead)]


@pytest.mark.parametrize("phrase", ALLOWED)
def test_an_exception_occurs_and_hides_only_itself(phrase: str) -> None:
    assert any(phrase in (ROOT / name).read_text() for name in files())
    assert not list(found(phrase))
    assert list(found(f"{phrase} nobody"))
