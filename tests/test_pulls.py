"""How many hosts pull at once: the limit holds for each order, and no host waits for another host that also waits."""

from __future__ import annotations

import threading
import time
from collections import Counter

from provision.model import Call, Change, Drift, Event, Plan, Platform
from provision.project.host_config import HostConfig
from provision.rollout.run_request import Pulls
from tests.conftest import Project

PLATFORM = Platform("debian", "13", "trixie", "amd64", "apt")
SPEC = """\
engine: {registries: {"a.example:5000": {pulls: 2}, "b.example:5000": {pulls: 1}}}
"""


def plan(*images: str) -> Plan:
    calls = tuple(Call("image_pull", (image, "-"), pulls=(image,)) for image in images)
    changes = tuple(Change(f"image:{call.args[0]}", Drift({}, {}, ()), (call,)) for call in calls)
    return Plan("web1", PLATFORM, changes)


def done(image: str) -> Event:
    return Event("step.done", "web1", {"step": f"image:{image} image_pull"})


def test_no_more_hosts_pull_at_once_than_the_limit(project: Project) -> None:
    project.spec(SPEC)
    config: HostConfig = project.config()
    pulls, lock = Pulls(), threading.Lock()
    now: Counter[str] = Counter()
    most: Counter[str] = Counter()
    names = ["a.example:5000/x:1", "b.example:5000/y:1"]

    def host(seed: int) -> None:
        # From one registry or from both, in either order.
        images = (names, names[::-1], names[:1], names[1:])[seed % 4]
        with pulls.held(config, plan(*images)) as pulling:
            for image in images:
                with lock:
                    now[image] += 1
                    most[image] = max(most[image], now[image])
                time.sleep(0.001)
                with lock:
                    now[image] -= 1
            for image in images:
                pulling.received(done(image))

    threads = [threading.Thread(target=host, args=(seed,)) for seed in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads), "no host waits for ever"
    assert most["b.example:5000/y:1"] == 1
    assert most["a.example:5000/x:1"] == 2


def test_a_hosts_place_is_free_after_its_last_image(project: Project) -> None:
    project.spec(SPEC)
    config, pulls = project.config(), Pulls()
    place = pulls.place("b.example:5000", 1)
    with pulls.held(config, plan("b.example:5000/x:1", "b.example:5000/y:1")) as pulling:
        assert not place.acquire(blocking=False)
        pulling.received(done("b.example:5000/x:1"))
        assert not place.acquire(blocking=False), "the host has another image to pull"
        pulling.received(done("b.example:5000/y:1"))
        assert place.acquire(blocking=False), "a host holds no place after its pulls"
        place.release()


def test_the_place_of_a_failed_run_is_free(project: Project) -> None:
    project.spec(SPEC)
    config, pulls = project.config(), Pulls()
    place = pulls.place("b.example:5000", 1)
    try:
        with pulls.held(config, plan("b.example:5000/x:1")):
            raise RuntimeError
    except RuntimeError:
        pass
    assert place.acquire(blocking=False)
