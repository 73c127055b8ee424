"""The plans of many hosts on one screen. Hosts with the same changes are one block. A later block shows how it differs
from an earlier one, and a summary has the counts.

A change is the same on two hosts when its words and its diff are equal after :data:`HOST` replaces the host's own name.
Only the changes determine the block: hosts of different distributions share one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from provision.model import Impact
from provision.report.layout import Style, View, by_number, compressed, count, fold, middle, ordered, plain
from provision.report.shown import ShownChange, ShownPlan

#: Placeholders for a host's name and for its first label, until a line is shown. They are private-use characters. Shown
#: text has these characters only as escapes (:mod:`provision.visible`), so no text of a host can contain a placeholder.
HOST, LABEL = "\ue000", "\ue001"
#: What a block of several hosts shows in their place.
_PLACEHOLDERS = {HOST: "<host>", LABEL: "<host's first label>"}
SYMBOLS = {"create": "+", "change": "~", "remove": "-"}
#: The maximum number of lines that are shown of a diff, and of values of one change that differ between hosts.
_LINES, _VARIANTS = 12, 4
#: How many of the larger blocks a block is compared with, and how much of it must be the same.
_BASES, _SHARED = 20, 0.5
#: The columns for the names of hosts in a line that has other text too.
_NAMES = 40


class _Block(Struct):
    """Hosts that need changes of the same resources; ``plans`` are those of equal hosts."""

    summaries: tuple[str, ...]
    plans: list[tuple[ShownPlan, list[str]]] = field(default_factory=list)

    @property
    def hosts(self) -> list[str]:
        return [host for _, hosts in self.plans for host in hosts]

    def split(self, of: Callable[[ShownPlan], object]) -> list[tuple[ShownPlan, list[str]]]:
        """For each value of ``of``: one plan, and all hosts with this value. The most frequent value comes first."""
        found: dict[object, tuple[ShownPlan, list[str]]] = {}
        for plan, hosts in self.plans:
            found.setdefault(of(plan), (plan, []))[1].extend(hosts)
        return sorted(found.values(), key=lambda one: -len(one[1]))

    def common(self) -> dict[str, ShownChange]:
        """The changes that are the same on all hosts of the block, by their summary."""
        first = self.plans[0][0].changes
        same = (all(plan.changes[place] == one for plan, _ in self.plans) for place, one in enumerate(first))
        return {one.summary: one for one, yes in zip(first, same, strict=True) if yes}


class Plans:
    """Collects the plans of hosts, until they are to be shown."""

    def __init__(self, view: View | None = None) -> None:
        self.view = view or View()
        self._waiting: dict[ShownPlan, list[str]] = {}
        self._hosts: set[str] = set()
        self._shown: dict[ShownPlan, str] = {}
        self._again: dict[str, list[str]] = {}

    def add(self, plan: ShownPlan) -> None:
        if not plan.changes:
            return
        key = _templated(plan)
        if key in self._shown:
            self._again.setdefault(self._shown[key], []).append(plan.host)
        else:
            self._waiting.setdefault(key, []).append(plan.host)
            self._hosts.add(plan.host)

    def waits(self, host: str) -> bool:
        """True if the host's plan was not shown yet. It must be shown before the first step."""
        return host in self._hosts

    def take(self, style: Style = plain, width: int | None = None, total: bool = False) -> Iterator[str]:
        """The lines of the plans that were not shown yet. With ``total`` these are the plans of all hosts, and a
        summary follows."""
        waiting = list(self._waiting.items())
        self._shown |= {plan: hosts[0] for plan, hosts in waiting}
        self._waiting, self._hosts = {}, set()
        yield from plan_lines(waiting, self.view, style, width)
        for first, hosts in self._again.items():
            yield f"{compressed(hosts)}: the same changes as {first}"
        self._again = {}
        if total and waiting:
            yield from (style(part, "host") for part in fold(summary(waiting), width, 2))


def _templated(plan: ShownPlan) -> ShownPlan:
    """The plan with :data:`HOST` in place of its host's name: the same for equal hosts."""
    marks = {plan.host: HOST}
    marks.setdefault(plan.host.partition(".")[0], LABEL)
    names = "|".join(re.escape(name) for name in sorted(marks, key=len, reverse=True) if name)
    pattern = re.compile(rf"(?<![\w-])(?:{names})(?![\w-])") if names else None

    def marked(text: str) -> str:
        return text if pattern is None else pattern.sub(lambda found: marks[found[0]], text)

    def impacts(some: Iterable[Impact]) -> tuple[Impact, ...]:
        return tuple(Impact(one.level, marked(one.subject), marked(one.reason)) for one in some)

    changes = (
        ShownChange(marked(one.resource), marked(one.summary), tuple(map(marked, one.diff))) for one in plan.changes
    )
    return replace(
        plan,
        host="",
        changes=tuple(changes),
        impacts=impacts(plan.impacts),
        disturbed=tuple(map(marked, plan.disturbed)),
        rollback_impacts=impacts(plan.rollback_impacts),
    )


def _named(text: str, hosts: Sequence[str]) -> str:
    """The text with the host's name if it is about one host, or with placeholders if it is about several."""
    names = {HOST: hosts[0], LABEL: hosts[0].partition(".")[0]} if len(hosts) == 1 else _PLACEHOLDERS
    return text.replace(HOST, names[HOST]).replace(LABEL, names[LABEL])


def plan_lines(
    plans: Sequence[tuple[ShownPlan, list[str]]], view: View, style: Style = plain, width: int | None = None
) -> Iterator[str]:
    """The blocks. ``style(text, kind)`` may colour ``host``, ``create``, ``change``, ``remove``, ``+``, ``-``."""
    blocks: dict[tuple[str, ...], _Block] = {}
    for plan, hosts in plans:
        summaries = tuple(change.summary for change in plan.changes)
        blocks.setdefault(summaries, _Block(summaries)).plans.append((plan, hosts))
    shown: list[_Block] = []
    for block in sorted(blocks.values(), key=lambda one: (-len(one.hosts), by_number(ordered(one.hosts)[0]))):
        yield from _Lines(view, style, width).block(block, shown[:_BASES])
        shown.append(block)


def diff_lines(
    diff: Sequence[str], style: Style = plain, view: View | None = None, width: int | None = None, indent: int = 6
) -> Iterator[str]:
    """The lines of a diff. A long diff is cut in the middle."""
    view = view or View()
    if not view.diff:
        return
    diff = _headless(diff)
    begin, left, end = middle(diff, _LINES) if not view.verbose else (diff, 0, ())
    for line in begin:
        yield from _row(line, _kind(line), style, width, indent)
    if left:
        yield from _row(f"... {count(left, 'more line')} (-v shows all)", "dim", style, width, indent)
    for line in end:
        yield from _row(line, _kind(line), style, width, indent)


def _headless(diff: Sequence[str]) -> Sequence[str]:
    """The diff without the file names, which the line above the diff has. A new file has no position in the old file,
    so its ``@@`` line is left out too."""
    for place in range(len(diff) - 2):
        if [line[:3] for line in diff[place : place + 3]] == ["---", "+++", "@@ "]:
            whole = diff[place + 2].startswith(("@@ -0,0 ", "@@ -1 +0,0 "))
            return [*diff[:place], *diff[place + 2 + whole :]]
    return diff


def _kind(line: str) -> str:
    return line[:1] if line[:1] in "+-@" else "value"


def _row(text: str, kind: str, style: Style, width: int | None, indent: int) -> Iterator[str]:
    room = None if width is None else max(20, width - indent)
    for part in fold(text, room, 2):
        yield " " * indent + style(part, kind)


class _Lines(Struct):
    """The lines of one block."""

    view: View
    style: Style
    width: int | None

    def block(self, block: _Block, bases: Sequence[_Block]) -> Iterator[str]:
        base = _base(block, bases)
        same = {} if base is None else _same(block, base)
        number = len(block.summaries)
        words = count(number, "change")
        if base is not None:
            words += f", {len(same)} of them as on {compressed(base.hosts, _NAMES)}"
        yield from self._head(block, words)
        first = block.plans[0][0]
        for place, change in enumerate(first.changes):
            if change.summary not in same:
                yield from self._change(block, place, change)
        if base is not None:
            for words in base.summaries:
                if words not in block.summaries:
                    yield from self._row(f"(not on these hosts: {_named(words, block.hosts)})", "dim", 2)
        known = set() if base is None else {line for plan, _ in base.plans for line in _effects(plan)}
        yield from self._effects(block, known)

    def _head(self, block: _Block, words: str) -> Iterator[str]:
        hosts = block.hosts
        platforms = block.split(lambda plan: plan.platform)
        about = [plan.platform for plan, _ in platforms]
        if len(platforms) > 1:
            about = [f"{len(some)} with {plan.platform}" for plan, some in platforms]
        if len(hosts) > 1:
            about.insert(0, count(len(hosts)))
        name, rest = compressed(hosts), f" ({', '.join(about)}): {words}"
        for number, part in enumerate(fold(name + rest, self.width, 4)):
            if number == 0 and part.startswith(name):
                yield self.style(name, "host") + part[len(name) :]
            else:
                yield part

    def _change(self, block: _Block, place: int, change: ShownChange) -> Iterator[str]:
        verb = change.summary.partition(" ")[0]
        symbol = SYMBOLS.get(verb, "~")
        first, *rest = self._row(f"{symbol} {_named(change.summary, block.hosts)}", "value", 2)
        yield first.replace(symbol, self.style(symbol, verb), 1)
        yield from rest
        variants = block.split(lambda plan: plan.changes[place].diff)
        if len(variants) == 1:
            yield from self._diff(change.diff, block.hosts, 6)
            return
        if not self.view.diff:
            return
        most = len(variants) if self.view.verbose or len(variants) == _VARIANTS + 1 else _VARIANTS
        for plan, hosts in variants[:most]:
            yield from self._variant(hosts, plan.changes[place].diff)
        if rest := [host for _, hosts in variants[most:] for host in hosts]:
            words = f"{compressed(rest, _NAMES)}: {len(variants) - most} more variants (-v shows all)"
            yield from self._row(words, "dim", 6)

    def _variant(self, hosts: list[str], diff: Sequence[str]) -> Iterator[str]:
        names = compressed(hosts, _NAMES)
        if len(diff) == 1:
            yield from self._row(f"{names}: {_named(diff[0], hosts)}", "value", 6)
            return
        yield from self._row(f"{names}:", "value", 6)
        yield from self._diff(diff, hosts, 8)

    def _effects(self, block: _Block, known: set[str]) -> Iterator[str]:
        """The effects of the changes on services and containers, with host names if an effect is not on all hosts."""
        found: dict[str, list[str]] = {}
        for plan, hosts in block.plans:
            for words in _effects(plan):
                found.setdefault(words, []).extend(hosts)
        number = len(block.hosts)
        for words, hosts in found.items():
            if words not in known:
                where = "" if len(hosts) == number else f" (on {compressed(hosts, _NAMES)})"
                yield from self._row(f"! {_named(words, hosts)}{where}", "disturb", 2)

    def _diff(self, diff: Sequence[str], hosts: Sequence[str], indent: int) -> Iterator[str]:
        named = [_named(line, hosts) for line in diff]
        return diff_lines(named, self.style, self.view, self.width, indent)

    def _row(self, text: str, kind: str, indent: int) -> Iterator[str]:
        return _row(text, kind, self.style, self.width, indent)


def _base(block: _Block, bases: Iterable[_Block]) -> _Block | None:
    """The earlier block with most of this block's changes, if enough are the same to show only the difference."""
    found = [(len(_same(block, base)), base) for base in bases]
    best = max(found, key=lambda one: one[0], default=(0, None))
    return best[1] if best[0] >= max(2, len(block.summaries) * _SHARED) else None


def _same(block: _Block, base: _Block) -> set[str]:
    changes, known = block.common(), base.common()
    return {words for words, change in changes.items() if known.get(words) == change}


def _effects(plan: ShownPlan) -> list[str]:
    found = [f"impact: {_impact(one)}" for one in plan.impacts]
    found += [f"a rollback: {_impact(one)}" for one in plan.rollback_impacts]
    named = {one.subject for one in plan.impacts}
    if units := [unit for unit in plan.disturbed if f"service:{unit}" not in named]:
        found.append(f"restarts, reloads or starts: {', '.join(units)}")
    return found


def _impact(one: Impact) -> str:
    return f"{one.level}: {one.subject}{': ' if one.reason else ''}{one.reason}"


_UNIT = "docker"
#: Kinds of resources whose impact is that of docker itself.
_DOCKER = ("packages", "service", "bridge")


def _impact_words(plan: ShownPlan) -> Iterator[str]:
    for one in plan.impacts:
        kind = one.subject.partition(":")[0]
        if one.level in ("restart", "reload") and kind in _DOCKER:
            yield f"docker {one.level}s"
        elif one.level == "reload":
            yield f"a {kind} is recreated"
        elif one.level == "stop":
            yield "data of a volume is removed" if kind == "volume" else "containers stop"
        elif one.level == "reboot":
            yield "the host restarts"
    # A stop, a restart and a reload of docker are impacts. A start is not, so it is added here.
    if _UNIT in plan.disturbed and not any(one.subject.partition(":")[0] in _DOCKER for one in plan.impacts):
        yield "docker starts"


def summary(plans: Iterable[tuple[ShownPlan, list[str]]]) -> str:
    """``Plan: 12 to create, 3 to change, 1 to remove on 20 hosts; docker restarts on 20, no container stops``. A
    resource counts once for all its hosts."""
    resources: dict[str, dict[str, None]] = {verb: {} for verb in SYMBOLS}
    effects: Counter[str] = Counter()
    number = 0
    for plan, hosts in plans:
        number += len(hosts)
        for change in plan.changes:
            resources.setdefault(change.summary.partition(" ")[0], {})[change.resource] = None
        for words in dict.fromkeys(_impact_words(plan)):
            effects[words] += len(hosts)
    counts = [f"{len(found)} to {verb}" for verb, found in resources.items() if found]
    ends = [f"{words} on {hosts}" for words, hosts in effects.items()]
    if not any(words.startswith("docker") for words in effects):
        ends.insert(0, "docker is not restarted")
    if "containers stop" not in effects:
        ends.append("no container stops")
    return f"Plan: {', '.join(counts)} on {count(number)}; {', '.join(ends)}"
