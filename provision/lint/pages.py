"""The docs' page of each rule, made from the rule: ``python -m provision.lint.pages docs/lint``."""

from __future__ import annotations

import sys
from pathlib import Path

from provision.lint.rules import RULES

_HEAD = """\
# What the linter finds

`provision lint` reads playbooks, inventories and daemon.json files, and connects to no host. `plan` and `apply` do the
same before they connect. An **error** means that dockerd refuses the file, or that no container starts. A **warning**
means that it works, but at a cost (DJ3xx: advice). The page of a rule has the reason, the correction, the version and
the source. `--ignore ID` disables a rule, and `# provision: ignore=ID` disables it for one line of YAML. These pages
are made from the rules (`make docs`).

| id | name | level |
| --- | --- | --- |
"""


def pages() -> dict[str, str]:
    """File name -> text."""
    rows = [f"| [{rule.id}]({rule.id}.md) | {rule.name} | {rule.level} |" for rule in RULES.values()]
    found = {"README.md": _HEAD + "\n".join(rows) + "\n"}
    for rule in RULES.values():
        found[f"{rule.id}.md"] = (
            f"# {rule.id}: {rule.name} ({rule.level})\n\n{rule.why}\n\n{rule.instead}\n\n"
            f"Wrong:\n\n```\n{rule.bad}\n```\n\nRight:\n\n```\n{rule.good}\n```\n\nSource: {rule.source}.\n"
        )
    return found


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.md"):
        old.unlink()
    for name, text in pages().items():
        (folder / name).write_text(text)
