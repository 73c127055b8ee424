"""Exit codes, kinds of errors and statuses of hosts, from the mappings in the code."""

from __future__ import annotations

from collections.abc import Mapping

from docsite.reference.tables import code, table
from provision.explanations import CODES, KINDS, Explanation
from provision.model import LEVELS, STATUSES

_STATUS = {
    "ok": "in the desired state; nothing was changed",
    "changed": "changed, and in the desired state afterwards",
    "failed": "an error; `error.kind` says which",
    "unreachable": "no login was possible",
    "rolled_back": "an error after the first change; the host restored what the run had replaced",
    "skipped": "not begun: the rollout was stopped, or another host that it depends on failed",
}
_LEVEL = {
    "none": "nothing that runs is affected",
    "reload": "a service reloads its configuration (SIGHUP)",
    "restart": "a service restarts",
    "stop": "containers are stopped",
    "reboot": "the host restarts",
}


def page() -> str:
    codes = table(("code", "meaning"), [(code(str(number)), one.meaning) for number, one in CODES.items()])
    statuses = table(("status", "meaning"), [(code(name), _STATUS[name]) for name in STATUSES])
    kinds = table(("`error.kind`", "meaning"), [(code(name), one.meaning) for name, one in KINDS.items()])
    of_kinds = _sections({code(name): one for name, one in KINDS.items()})
    of_codes = _sections({f"Exit code {number}": one for number, one in CODES.items()})
    levels = table(("level", "meaning"), [(code(name), _LEVEL[name]) for name in LEVELS])
    return (
        "# Exit codes and error kinds\n\n"
        "Scripts may rely on the codes and words of this page. [Commands](../commands.md#json-lines) explains them.\n"
        "`provision explain WORD` prints what is here, and in the pages of [lint rules](../lint/README.md).\n\n"
        f"## Exit codes\n\n{codes}\n{of_codes}"
        f"## Statuses of a host\n\n`status` of a `host.done` [event](events.md), and the table at the end of a run.\n\n"
        f"{statuses}\n"
        "## Error kinds\n\n`error.kind` of a host that failed. An error of the command line, inventory or spec has no "
        f"kind: it is a message on standard error, and the exit code is 1.\n\n{kinds}\n{of_kinds}"
        f"## Impact levels\n\n`impact` of a plan, from least to most; `--max-impact` refuses more.\n\n{levels}"
    )


def _sections(found: Mapping[str, Explanation]) -> str:
    """A section for each. A test parses its commands; it does not run them, because they need a host."""
    return "".join(
        f"### {title}\n\n{one.why}\n\n**What to do.** {one.todo}\n\n<!-- host -->\n```sh\n{one.example}\n```\n\n"
        for title, one in found.items()
    )
