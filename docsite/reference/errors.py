"""Exit codes, kinds of errors and statuses of hosts, from the mappings that the code has them in."""

from __future__ import annotations

from docsite.reference.tables import code, table
from provision.errors import EXIT_CODES
from provision.model import FAILURES, LEVELS, STATUSES

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
    codes = table(("code", "meaning"), [(code(str(number)), text) for number, text in EXIT_CODES.items()])
    statuses = table(("status", "meaning"), [(code(name), _STATUS[name]) for name in STATUSES])
    kinds = table(("`error.kind`", "meaning"), [(code(name), text) for name, text in FAILURES.items()])
    levels = table(("level", "meaning"), [(code(name), _LEVEL[name]) for name in LEVELS])
    return (
        "# Exit codes and error kinds\n\n"
        "Scripts may rely on the codes and words of this page. [Commands](../commands.md#json-lines) explains them.\n\n"
        f"## Exit codes\n\n{codes}\n"
        f"## Statuses of a host\n\n`status` of a `host.done` [event](events.md), and the table at the end of a run.\n\n"
        f"{statuses}\n"
        "## Error kinds\n\n`error.kind` of a host that failed. An error of the command line, inventory or spec has no "
        f"kind: it is a message on standard error, and the exit code is 1.\n\n{kinds}\n"
        f"## Impact levels\n\n`impact` of a plan, from least to most; `--max-impact` refuses more.\n\n{levels}"
    )
