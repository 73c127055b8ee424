"""The scheduler, tested with a hundred thousand random rollouts. Further tests show that these find a wrong one."""

from __future__ import annotations

import importlib
import inspect
import random
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from provision.project.rollout_options import ALL, RolloutOptions, Share
from provision.rollout import waves

#: The scheduler and the shares that it uses, as one text.
SOURCE = (
    Path(waves.__file__)
    .read_text()
    .replace(
        "from provision.project.rollout_options import ALL, Share\n",
        f"from dataclasses import dataclass\n{inspect.getsource(Share)}\nALL = {ALL!r}\n",
    )
)
STATUSES = ("ok", "changed", "failed", "unreachable", "rolled_back")
SCHEDULES = 100_000


def schedule_of(module: Any, dice: random.Random) -> tuple[dict[str, Any], Any]:
    """A random rollout: its options, and the schedule that the scheduler makes of them."""
    hosts = [f"h{number}" for number in range(dice.randint(1, 9))]
    serial = [
        module.Share(dice.choice((1, 10, 25, 50, 100)), True)
        if dice.random() < 0.5
        else module.Share(dice.randint(0, 4))
        for _ in range(dice.randint(1, 3))
    ]
    domains = {host: dice.choice("abc") for host in hosts} if dice.random() < 0.5 else None
    limit = dice.choice((None, module.Share(dice.randint(0, 2)), module.Share(dice.choice((0, 10, 34, 50)), True)))
    apart, order = dice.choice(("waves", "turns")), dice.choice(("inventory", "sorted", "shuffle"))
    asked = {"hosts": hosts, "serial": serial, "domains": domains, "apart": apart, "limit": limit}
    cut = module.waves(module.ordered(hosts, order, str(dice.randint(0, 99))), serial, domains, apart)
    return asked, module.Schedule(cut, limit, domains)


def flaws(asked: dict[str, Any], schedule: Any, dice: random.Random) -> list[str]:
    """Run one rollout as threads would: hosts of a turn begin and end in any order, with any result. Returns what was
    wrong with it, judged by rules that are written down here a second time."""
    wrong: list[str] = []
    hosts, domains, limit = asked["hosts"], asked["domains"], asked["limit"]
    ends: dict[str, str] = {}
    wave_of = {host: wave.number for wave in schedule.waves for host in wave.hosts}

    def allowed(total: int) -> int:
        return int(total * limit.amount // 100 if limit.percent else limit.amount)

    # The hosts of each group that has a budget, and how many of them may fail.
    budgets: list[tuple[set[str], int]] = []
    if limit is not None:
        for group_of in (dict.fromkeys(hosts, "the fleet"), wave_of, domains or {}):
            groups: dict[Any, set[str]] = defaultdict(set)
            for host, group in group_of.items():
                groups[group].add(host)
            budgets += [(members, allowed(len(members))) for members in groups.values()]

    def spent() -> bool:
        bad = {host for host, end in ends.items() if end in ("failed", "unreachable", "rolled_back")}
        return any(len(bad & members) > most for members, most in budgets)

    if sorted(wave_of) != sorted(hosts) or sum(len(wave.hosts) for wave in schedule.waves) != len(hosts):
        return ["a host has no wave, or two"]
    for wave in schedule.waves:
        share = asked["serial"][min(wave.number, len(asked["serial"])) - 1]
        most = max(1, len(hosts) * share.amount // 100 if share.percent else share.amount)
        if not 1 <= len(wave.hosts) <= most:
            wrong.append(f"wave {wave.number} has {len(wave.hosts)} hosts, {most} may be")
        if domains and asked["apart"] == "waves" and len({domains[host] for host in wave.hosts}) > 1:
            wrong.append("two domains in one wave")
    trouble, interrupted_at = dice.random() ** 2, dice.randint(0, 40)
    events = 0
    for wave, turn in schedule.turns():
        waiting: list[str] = list(turn)
        under_way: list[str] = []
        if any(host not in ends for host in hosts if wave_of[host] < wave.number):
            wrong.append("a wave began before the one before was over")
        while waiting or under_way:
            events += 1
            if events == interrupted_at:
                schedule.stop("interrupted")
            if waiting and (not under_way or dice.random() < 0.5):
                host = waiting.pop(0)
                if schedule.start(host):
                    ends[host] = "skipped"
                    continue
                if spent() or events >= interrupted_at > 0:
                    wrong.append(f"{host} began although the budget was spent, or the operator had stopped the run")
                under_way.append(host)
                if domains and len({domains[one] for one in under_way}) > 1:
                    wrong.append("two domains at a time")
            else:
                host = under_way.pop(dice.randrange(len(under_way)))
                if host in ends:
                    wrong.append(f"{host} ended twice")
                ends[host] = dice.choice(STATUSES[2:]) if dice.random() < trouble else dice.choice(STATUSES[:2])
                schedule.end(host, ends[host])
    stopped = spent() or 0 < interrupted_at <= events
    for host in schedule.left:
        if ends.get(host, "skipped") != "skipped":
            wrong.append(f"{host} has ended and is left")
        ends[host] = "skipped"
    if set(ends) != set(hosts):
        wrong.append("a host has no end")
    if stopped != bool(schedule.stopped) or ("skipped" in ends.values() and not stopped):
        wrong.append("it stopped for no reason, or went on although it had one")
    return wrong


def first_flaw(module: Any, count: int) -> str:
    for number in range(count):
        dice = random.Random(number)  # noqa: S311 - no secret
        asked, schedule = schedule_of(module, dice)
        try:
            wrong = flaws(asked, schedule, dice)
        except (ValueError, KeyError) as error:
            wrong = [f"misused: {error}"]
        if wrong:
            return f"schedule {number}: {wrong[0]}; {asked}"
    return ""


@pytest.mark.thorough
def test_random_rollouts_follow_the_rules() -> None:
    assert first_flaw(waves, SCHEDULES) == ""


MUTATIONS = {
    "one too many may end badly": ("self._bad[group] > allowed", "self._bad[group] > allowed + 1"),
    "one too few may": ("self._bad[group] > allowed", "self._bad[group] >= allowed"),
    "the unreachable are forgotten": ('"failed", "unreachable", "rolled_back"', '"failed", "rolled_back"'),
    "what was rolled back is forgotten": ('"failed", "unreachable", "rolled_back"', '"failed", "unreachable"'),
    "no budget for a wave": ('[f"wave {wave.number}", "the fleet"]', '["the fleet"]'),
    "no budget for a domain": ('[*groups, f"domain {domains[host]}"] if domains else groups', "groups"),
    "the fleet's alone is none": ('[f"wave {wave.number}", "the fleet"]', '[f"wave {wave.number}"]'),
    "percentages rounded up": ("total * self.amount // 100", "-(-total * self.amount // 100)"),
    "a spent budget does not stop": ("if self._budget.spent:", "if False:"),
    "stopped, and started all the same": (
        "        return self.stopped\n\n    def end",
        "        return ''\n\n    def end",
    ),
    "waves that mix domains": ('if domains and apart == "waves" else', "if False else"),
    "turns that mix domains": ("_by_domain(taken, domains) if domains else [taken]", "[taken]"),
    "a wave of one too many": ("queue[:size], queue[size:]", "queue[: size + 1], queue[size + 1 :]"),
    "a host in two waves": ("queue[:size], queue[size:]", "queue[:size], queue[max(1, size - 1) :]"),
    "waves of none": ("max(1, share.of(len(hosts)))", "share.of(len(hosts)) or len(hosts)"),
    "the last of serial does not repeat": ("min(len(found), len(serial) - 1)", "len(found) % len(serial)"),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_wrong_scheduler_is_found(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right, wrong = MUTATIONS[name]
    assert SOURCE.count(right) == 1, "the mutation must change the code"
    (tmp_path / "mutant.py").write_text(SOURCE.replace(right, wrong))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mutant", raising=False)
    mutant = importlib.import_module("mutant")
    flaw = first_flaw(mutant, 3000)
    print(f"{name}: {flaw}")
    assert flaw


def test_waves_are_as_the_documentation_shows() -> None:
    hosts = [f"h{number:02d}" for number in range(1, 21)]
    cut = waves.waves(hosts, (Share(1), Share(25, True), ALL))
    assert [len(wave.hosts) for wave in cut] == [1, 5, 14]
    racks = dict(zip(hosts, "aab" * 7, strict=False))
    cut = waves.waves(hosts, (Share(1), Share(50, True)), racks)
    assert [(len(wave.hosts), {racks[host] for host in wave.hosts}) for wave in cut] == [
        (1, {"a"}),
        (10, {"a"}),
        (3, {"a"}),
        (6, {"b"}),
    ]
    (only,) = waves.waves(hosts, domains=racks, apart="turns")
    assert [len(turn) for turn in only.turns] == [14, 6]


def test_hosts_take_their_turns_in_the_declared_order() -> None:
    hosts = ["b", "c", "a", "e", "d"]
    assert waves.ordered(hosts, "inventory") == ["b", "c", "a", "e", "d"]
    assert waves.ordered(hosts, "sorted") == ["a", "b", "c", "d", "e"]
    shuffled = [waves.ordered(hosts, "shuffle", seed) for seed in ("1", "2", "3")]
    assert len({tuple(one) for one in [hosts, *shuffled]}) == 4, "each seed gives another order"
    assert all(sorted(one) == ["a", "b", "c", "d", "e"] for one in shuffled)
    assert waves.ordered(hosts, "shuffle", "2") == shuffled[1], "equal seeds give equal orders"
    assert hosts == ["b", "c", "a", "e", "d"], "the inventory stays as it is"


def test_starting_a_host_without_a_turn_is_an_error() -> None:
    schedule = waves.Schedule(waves.waves(["a", "b"], (Share(1),)))
    assert [wave.number for wave in schedule.waves] == [1, 2]
    turns = schedule.turns()
    next(turns)
    with pytest.raises(ValueError, match="b is not in the current turn"):
        schedule.start("b")
    assert schedule.start("a") == ""
    with pytest.raises(ValueError, match="not finished: a"):
        next(turns)


def test_a_rollout_of_many_waves_ends_after_its_last_one() -> None:
    hosts = [f"h{number}" for number in range(300)]
    schedule = waves.Schedule(waves.waves(hosts, (Share(1),)))
    done = []
    for wave, (host,) in schedule.turns():
        assert schedule.start(host) == ""
        schedule.end(host, "ok")
        done.append((wave.number, host))
    assert done == list(enumerate(hosts, 1))
    assert (schedule.stopped, schedule.left) == ("", ())
    with pytest.raises(ValueError, match="h0 is not in the current turn"):
        schedule.start("h0")


@pytest.mark.parametrize("serial", [0, "0%", [0, 5], ["0%", 5], [1, 0]])
def test_a_wave_of_no_host_is_refused(serial: object) -> None:
    with pytest.raises(ValueError, match="a wave has at least one host"):
        RolloutOptions.model_validate({"serial": serial})
