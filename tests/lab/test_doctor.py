"""The doctor on a real host: the host is suitable, a conflict is found, and the doctor leaves nothing on the host."""

from __future__ import annotations

from tests.lab.conftest import LabHost, engine


def test_a_bare_host_is_suitable_and_unchanged(host: LabHost) -> None:
    before = host.sessions()
    outcome = host.provision("doctor", spec={"engine": engine(bip="10.77.0.1/24")})
    assert outcome.code == 0, outcome.out
    assert outcome.counts == {"ok": 1}
    assert host.sessions() - before == 2, "one exec, and the test's own count"
    levels = {event["subject"]: event["level"] for event in outcome.all("verdict")}
    assert levels["namespaces"] == levels["overlay"] == levels["bip 10.77.0.1/24"] == "ok"
    assert host.sh("test -e /run/provision || echo none") == "none"


def test_a_bip_that_conflicts_with_the_hosts_network_is_reported(host: LabHost) -> None:
    outcome = host.provision("doctor", spec={"engine": engine(bip="198.51.100.1/24")})
    assert outcome.code == 3
    assert outcome.done["error"]["kind"] == "unsuited"
    assert "overlaps eth0 198.51.100." in outcome.done["error"]["message"]
