"""Evidence in Markdown, for a person: next to its JSON file, and in the page of all evidence."""

from __future__ import annotations

from tools.certify.evidence import Evidence

KIND_WORDS = {
    "machine": "the distribution with its own kernel",
    "container": "the distribution's programs in a container, on another kernel",
    "look-alike": "a look-alike: not the distribution",
}


def summary(evidence: Evidence, level: int = 1) -> str:
    """Title, facts, and a table of the steps. ``level`` is the level of the heading."""
    of, system = evidence.distribution, evidence.system
    counts = ", ".join(f"{count} {outcome}" for outcome, count in _counts(evidence).items() if count)
    lines = [
        f"{'#' * level} {evidence.file}",
        "",
        f"{of.name or of.id}: {counts}.",
        "",
        "| | |",
        "| --- | --- |",
        f"| host | {KIND_WORDS[system.kind]} |",
        f"| kernel | {system.kernel}, {system.architecture}, virtualization: {system.virtualization} |",
        f"| service manager | {system.services} |",
        f"| engine | {evidence.engine.version or 'unknown'}, source: {_source(evidence)} |",
        f"| provision | {evidence.provision}, transport: {evidence.transport}, {evidence.date} |",
        "",
        "| step | result | seconds | seen |",
        "| --- | --- | --: | --- |",
    ]
    lines += [
        f"| {step.name} | {step.outcome} | {step.seconds:.1f} | {step.reason or step.seen} |" for step in evidence.steps
    ]
    return "\n".join(lines) + "\n"


def _source(evidence: Evidence) -> str:
    return f"{evidence.engine.source}, from a mirror" if evidence.engine.mirror else evidence.engine.source


def _counts(evidence: Evidence) -> dict[str, int]:
    outcomes = [step.outcome for step in evidence.steps]
    return {outcome: outcomes.count(outcome) for outcome in ("passed", "failed", "skipped")}
