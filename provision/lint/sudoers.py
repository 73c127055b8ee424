"""Declared files of sudo: names and modes that sudo refuses, and faults that disable a line, or sudo for all users.

The rules are those of sudoers(5). Only faults that are certain are reported, because visudo is not on every controller.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from provision.lines import lines_of
from provision.lint.finding import Finding
from provision.lint.rules import finding
from provision.project.host_config import Context, HostConfig
from provision.text.yamlfile import locate

_FILE = re.compile(r"/etc/sudoers(?:\.d/([^/]+))?")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\\.')
_ALIAS = re.compile(r"(?:User|Runas|Host|Cmnd|Cmd)_Alias\s+[A-Z][A-Z0-9_]*\s*=\s*\S")
_DEFAULTS = re.compile(r"Defaults(?:[@:!>]\s*\S+)?\s+\S")
_INCLUDE = re.compile(r"[@#]include(?:dir)?\s+\S")
#: USER HOST = [(RUNAS)] [OPTION=VALUE] [TAG:] COMMAND
#: No item contains a comma: otherwise a list could be split in exponentially many ways.
_ITEMS = r"[^\s=(),]+(?:\s*,\s*[^\s=(),]+)*"
_RULE = re.compile(rf"{_ITEMS}\s+{_ITEMS}\s*=\s*(?:\([^()]*\)\s*)?[^()\s].*")
_TAGS = re.compile(
    r"(?:NO)?(?:PASSWD|EXEC|SETENV|LOG_INPUT|LOG_OUTPUT|MAIL|FOLLOW|INTERCEPT)|(?:TYPE|ROLE|PRIVS|LIMITPRIVS|CWD|CHROOT)"
)
_TAG = re.compile(r"(?<![\w/=.:\\-])([A-Z_]+):(?=\s|[/A-Z!])")


def lint(configs: list[HostConfig], context: Context) -> Iterator[Finding]:
    for config in configs:
        for path, file in config.spec.files.items():
            match = _FILE.fullmatch(path)
            where = locate(config.source, ("files", path))
            if match is None or file.absent or where is None:
                continue
            if match[1] and ("." in match[1] or match[1].endswith("~")):
                yield finding("SP416", where, f"sudo does not read {path}: its name has a dot or ends in ~")
                continue
            writers = int(file.mode, 8) & (0o002 if file.group == "root" else 0o022)
            if writers:
                message = f"sudo does not use {path}: other users may write to it (mode {file.mode})"
                yield finding("SP416", where, message, 'mode: "0440"')
            text = file.content
            if file.template is not None:
                text = context.templates.render(file.template, config.scope)
            for number, reason in faults(text or ""):
                yield finding("SP416", where, f"{path}, line {number}: {reason}", "visudo -cf checks the file")


def faults(text: str) -> Iterator[tuple[int, str]]:
    """The number of each line with a fault, and what is wrong in it."""
    start, whole = 0, ""
    for number, line in enumerate(lines_of(text), 1):
        start = start or number
        if line.endswith("\\"):
            whole += line[:-1] + " "
            continue
        if reason := _fault(whole + line):
            yield start, reason
        start, whole = 0, ""
    if whole:
        yield start, "the line continues after its last \\"


def _fault(line: str) -> str:
    line = _QUOTED.sub("x", line).strip()
    if _INCLUDE.fullmatch(line.partition(" ")[0] + " x") and " " in line:
        return ""
    line = re.sub(r"(?:^|\s)#(?!\d).*|^#.*", "", line).strip() if not re.match(r"#\d", line) else line
    if not line or _ALIAS.match(line) or _DEFAULTS.match(line):
        return "" if '"' not in line else "a quote is not closed"
    if '"' in line:
        return "a quote is not closed"
    if line.count("(") != line.count(")"):
        return "a parenthesis is not closed"
    if not _RULE.fullmatch(line):
        return "is neither USER HOST=(RUNAS) COMMAND nor an alias nor Defaults"
    unknown = [
        tag for tag in _TAG.findall(re.sub(r"\([^()]*\)", "", line.partition("=")[2])) if not _TAGS.fullmatch(tag)
    ]
    return f"unknown tag {unknown[0]}" if unknown else ""
