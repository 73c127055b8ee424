"""Output formats of findings, for people and for programs: text, JSON, SARIF 2.1.0 (OASIS), GitHub's workflow
commands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from provision import __version__
from provision.lint.finding import Finding
from provision.visible import json_text, line

#: Advice that most files get.
_REPEATED = frozenset(("DJ210",))


def text(findings: list[Finding]) -> str:
    """A line for each finding. Advice that many files get with the same words is one line."""
    errors = sum(finding.level == "error" for finding in findings)
    same = Counter((one.rule.id, one.message) for one in findings if one.rule.id in _REPEATED)
    lines = []
    for finding in findings:
        count = same.pop((finding.rule.id, finding.message), 0)
        if finding.rule.id not in _REPEATED or count:
            lines.append(line(f"{finding} [and {count - 1} more with this advice]" if count > 1 else str(finding)))
    return "\n".join([*lines, f"{errors} errors, {len(findings) - errors} warnings"]) + "\n"


def as_json(findings: list[Finding]) -> str:
    """A list of objects: id, name, level, file, line, message, hint."""
    rows = [
        {
            "id": finding.rule.id,
            "name": finding.rule.name,
            "level": finding.level,
            "file": str(finding.where.file),
            "line": finding.where.line,
            "message": line(finding.message),
            "hint": line(finding.hint),
        }
        for finding in findings
    ]
    return json_text(rows, indent=2) + "\n"


def sarif(findings: list[Finding]) -> str:
    rules = {finding.rule.id: finding.rule for finding in findings}
    driver = {
        "name": "provision",
        "version": __version__,
        "rules": [
            {
                "id": rule.id,
                "name": rule.name,
                "shortDescription": {"text": rule.name.replace("-", " ")},
                "fullDescription": {"text": rule.why},
                "help": {"text": rule.instead},
                "defaultConfiguration": {"level": rule.level},
            }
            for rule in rules.values()
        ],
    }
    numbers = {id: number for number, id in enumerate(rules)}
    results = [_result(finding, numbers) for finding in findings]
    whole = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
    return json_text(whole, indent=2) + "\n"


def _result(finding: Finding, numbers: dict[str, int]) -> dict[str, Any]:
    place = {
        # A URI (SARIF 2.1.0, 3.4.3): a blank or a bracket in a file's name is escaped.
        "artifactLocation": {"uri": quote(finding.where.file.as_posix())},
        "region": {"startLine": finding.where.line},
    }
    return {
        "ruleId": finding.rule.id,
        "ruleIndex": numbers[finding.rule.id],
        "level": finding.level,
        "message": {"text": _whole(finding)},
        "locations": [{"physicalLocation": place}],
    }


def github(findings: list[Finding]) -> str:
    lines = []
    for finding in findings:
        file = _escaped(line(str(finding.where.file))).replace(":", "%3A").replace(",", "%2C")
        place = f"file={file},line={finding.where.line},title={finding.rule.id} {finding.rule.name}"
        lines.append(f"::{finding.level} {place}::{_escaped(_whole(finding))}\n")
    return "".join(lines)


def _whole(finding: Finding) -> str:
    return line(finding.message + (f" ({finding.hint})" if finding.hint else ""))


def _escaped(words: str) -> str:
    return words.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


FORMATS: dict[str, Callable[[list[Finding]], str]] = {"text": text, "json": as_json, "sarif": sarif, "github": github}
