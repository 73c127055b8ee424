"""Resources on a real host, as data: the part ``host`` of a resource's cases (tests/cases).

``spec`` declares it. ``state`` is a script that prints what a rollback must restore. ``differs`` is what another party
changes, and ``fails`` are the checks of verify that fail then, and no others. ``undeclared: restored`` says that the
old state is restored too when no play declares the resource any more.
"""

from __future__ import annotations

import pytest
import yaml

from tests.lab.conftest import LabHost
from tests.test_cases import FOLDER

CASES = {
    path.stem: case for path in sorted(FOLDER.glob("*.yml")) if (case := yaml.safe_load(path.read_text()).get("host"))
}


#: A step that fails on every host, after those of the resource: uid 0 is root's.
FAILS = {"users": {"second-root": {"uid": 0}}}


@pytest.mark.parametrize("resource", CASES)
def test_a_resource_is_applied_verified_mended_and_rolled_back(host: LabHost, resource: str) -> None:
    case = CASES[resource]
    spec = case["spec"]

    def state() -> str:
        return host.sh(case["state"], check=False)

    before = state()
    failing = host.apply({**spec, **FAILS})
    assert failing.done["error"]["step"] == "user:second-root user_add", failing.out + failing.err
    assert (failing.counts, state()) == ({"rolled_back": 1}, before)
    done = host.apply(spec)
    assert done.counts == {"changed": 1}, done.out + done.err
    run, applied = host.provision("runs", "--on-hosts").all("run")[-1]["run"], state()
    assert applied != before
    assert host.apply(spec).counts == {"ok": 1}
    assert host.provision("verify").failed == set()
    host.sh(case["differs"])
    assert host.provision("verify").failed == set(case["fails"])
    assert (host.apply(spec).counts, state()) == ({"changed": 1}, applied)
    back = host.rollback(run)
    assert (back.counts, state()) == ({"changed": 1}, before), back.out + back.err
    assert host.apply(spec).counts == {"changed": 1}
    undeclared = host.apply({})
    restored = case.get("undeclared") == "restored"
    assert undeclared.counts == {"changed" if restored else "ok": 1}, undeclared.out + undeclared.err
    assert state() == (before if restored else applied)
