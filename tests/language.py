"""The project's language: words and phrases that texts must not have, and what to write in their place.

The reader is an operator whose second language is English: name the actor, use the field's standard term, one word for
one thing. ``tests/test_language.py`` fails for each occurrence; ``python -m tests.language`` lists them.
"""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent

#: A regular expression (letter case is ignored) -> what to write.
BANNED = {
    r"\bnobody\b": "the actor: no user, no process, no operator",
    r"\bsomebody('s)?( else)?\b": "the actor: an operator, another program, third-party",
    r"\bwhoever\b": "the actor: the process that, the operator who",
    r"\bwhom\b": "the actor, and a shorter sentence",
    r"\banew\b": "again, or new",
    r"\b(of )?(ours|theirs)\b": "managed by provision, custom, private",
    r"\bof one's own\b": "custom, private",
    r"\b(we|us|our|ourselves)\b(?![-.\w])": "provision, the host, dockerd: the actor",
    r"\bas (wished|wanted)\b": "in the desired state, up to date",
    r"\bright already\b|\balready right\b": "in the desired state",
    r"\b(put|puts|putting) (everything )?back\b": "roll back, restore",
    r"\b(come|comes|came|coming) in (anew|again)\b|\bcame in\b": "log in again, reconnect",
    r"\bgone through\b": "processed, rolled out to",
    r"\bends badly\b|\bended (well|badly)\b|\bdid not end well\b": "fails, succeeds",
    r"\b(is|are|was|were) told\b|\bhears?\b|\bheard\b": "receives, is given, reads",
    r"\bgoes on\b": "continues",
    r"\bbeside\b": "next to, with, in the same directory as",
    r"(?<![`\w])(a|the|this|that|its|each|every|same|other|any|\w+'s) folders?\b(?![`\w=(.:/])": "directory",
    r"\bbeforehand\b|\bthereof\b|\bby itself alone\b": "before, of it, alone",
    r"\b(the )?walkthrough\b": "the reference setup",
    r"(?<![a-z])wish(es|ed)?(?![a-z])": "host configuration (HostConfig)",
    r"(?<![a-z])outlooks?(?![a-z])": "inspection, plan result",
    r"(?<![a-z])pacings?(?![a-z])": "rollout options",
    r"(?<![a-z])crew(?![a-z])": "worker pool",
}
#: Proper names that look like a banned word, each as the exact phrase of the file: the account nobody, the unit
#: microsecond, patterns of host names.
ALLOWED = (
    "AuthorizedKeysCommandUser nobody",
    "install -d -o nobody",
    "nobody nogroup",
    ":nobody:nogroup:",
    '"nobody"',
    "the user nobody:",
    "symbolic link of nobody",
    "give it to nobody by hand",
    "it belongs to nobody; remove it",
    "(?:ns|us|µs|μs|ms|s|m|h)",
    "*ms | *us)",
    "Host we?",
    '"a folder with subfolders"',
    "`Loaded.wishes` is now",
    "`Pacing` is now",
)
#: Files that have others' words (licences, recordings, public keys), and this list.
OTHERS = re.compile(r"^(LICENSE|requirements\.lock|tests/(data|golden)/|tests/(test_)?language\.py|stubs/)")
READ = re.compile(r"\.(py|sh|md|j2|yml|yaml|toml|svg)$|^(Makefile|\.ci/run|scripts/[a-z-]+)$")

_PATTERNS = {pattern: re.compile(pattern, re.IGNORECASE) for pattern in BANNED}


def files() -> list[str]:
    """The tracked files with texts of the project."""
    tracked = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).split("\n")
    return [name for name in tracked if READ.search(name) and not OTHERS.search(name) and (ROOT / name).is_file()]


def found(text: str) -> Iterator[tuple[int, str, str]]:
    """Each banned phrase of a text: its line, the phrase, and what to write."""
    for number, line in enumerate(text.split("\n"), 1):
        for phrase in ALLOWED:
            line = line.replace(phrase, "")
        for pattern, instead in BANNED.items():
            for match in _PATTERNS[pattern].finditer(line):
                yield number, match.group(), instead


def main() -> None:
    counts: Counter[str] = Counter()
    for name in files():
        for number, phrase, instead in found((ROOT / name).read_text()):
            counts[phrase.lower()] += 1
            print(f"{name}:{number}: {phrase!r}: write {instead}")
    print(f"\n{sum(counts.values())} in all")
    for phrase, count in counts.most_common():
        print(f"{count:6} {phrase}")


if __name__ == "__main__":
    main()
