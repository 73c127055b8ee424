"""Containers and images: declared, compared field by field, recreated one by one, and rolled back by the host when
unhealthy."""

from __future__ import annotations

import json
import os
import re
import shlex
from typing import Any

import pytest

from tests.lab import images
from tests.lab.conftest import LabHost, engine
from tests.lab.runs import leftovers

PLUGINS = {**engine(), "plugins": ["buildx", "compose"]}
HEALTHY = {"command": "test -e /well", "interval": "300ms", "retries": 2}


def image(host: LabHost, tag: str, name: str = "", **more: Any) -> dict[str, Any]:
    """An image that provision sends to the host, and its declaration."""
    file = f"{name or tag.replace(':', '-').replace('/', '-')}.tar"
    images.archive(host.folder / file, tag, **more)
    return {tag: {"archive": file}}


def inspect(host: LabHost, name: str, field: str) -> str:
    return host.sh(f"docker inspect --format '{{{{{field}}}}}' {name}")


def test_the_old_container_is_restored_when_the_new_one_is_unhealthy(docker_host: LabHost) -> None:
    host = docker_host
    known = image(host, "app:1", more={"well": b"", "version": b"one"})
    known |= image(host, "app:2", more={"version": b"two"})  # unhealthy
    web = {"image": "app:1", "health": HEALTHY, "ports": ["8080:80"], "volumes": ["data:/data"], "stop_timeout": 1}
    web["command"] = ["httpd", "-f", "-p", "80", "-h", "/"]
    spec: dict[str, Any] = {"engine": engine(), "volumes": {"data": {}}, "images": known, "containers": {"web": web}}
    first = host.apply(spec)
    assert first.counts == {"changed": 1}, first.out[-3000:]
    old = inspect(host, "web", ".Id")
    host.sh("docker exec web sh -c 'echo kept >/data/file'")
    ask = "exec 3<>/dev/tcp/127.0.0.1/8080; printf 'GET /version HTTP/1.0\\r\\n\\r\\n' >&3; tail -n 1 <&3"
    serves = f"timeout 5 bash -c {shlex.quote(ask)}"
    assert host.sh(serves) == "one"

    planned = host.plan({**spec, "containers": {"web": {**web, "image": "app:2"}}})
    (event,) = planned.all("host.plan")
    assert [item["summary"] for item in event["items"]] == ["change container:web"]
    assert {"level": "stop", "subject": "container:web", "reason": "recreated because of: image"} in event["impacts"]
    outcome = host.apply()
    assert outcome.code == 3
    assert outcome.done["status"] == "rolled_back"
    assert "unhealthy" in outcome.done["error"]["detail"]
    print(outcome.done["error"]["message"], "|", outcome.done["error"]["detail"])
    assert inspect(host, "web", ".Id") == old, "the old container itself, and not a copy"
    assert inspect(host, "web", ".HostConfig.RestartPolicy.Name") == "unless-stopped"
    assert host.sh(serves) == "one"
    assert host.sh("docker exec web cat /data/file") == "kept"
    assert host.sh("docker ps -aq | wc -l") == "1"
    assert leftovers(host) == ""
    assert host.apply(spec).counts == {"ok": 1}

    # A healthy container takes its place, and the old one can be restored.
    known |= image(host, "app:3", more={"well": b"", "version": b"three"})
    third = host.apply({**spec, "images": known, "containers": {"web": {**web, "image": "app:3", "memory": "64m"}}})
    assert third.counts == {"changed": 1}, third.out[-3000:]
    assert host.sh(serves) == "three"
    assert host.sh("docker ps -aq | wc -l") == "1", "the old container is removed when the new one is healthy"
    run = host.provision("runs", "--on-hosts").all("run")[-1]["run"]
    back = host.rollback(run)
    assert back.counts == {"changed": 1}, back.out[-3000:] + back.err
    assert host.sh(serves) == "one"
    assert inspect(host, "web", ".HostConfig.Memory") == "0"
    assert host.sh("docker exec web cat /data/file") == "kept"

    # A container that is no longer declared is removed. The volume and an operator's container stay.
    host.sh("docker run -d --name other app:1")
    gone = host.apply({**spec, "containers": {}})
    assert gone.counts == {"changed": 1}
    assert host.sh("docker ps -a --format '{{.Names}}'") == "other"
    assert host.sh("docker volume ls -q") == "data"


AS_DECLARED = "--network back --restart unless-stopped --stop-timeout 0 --memory 64m --memory-swap 64m"


def made_by_hand(*words: str) -> str:
    """A container made by hand, with provision's label."""
    return f"docker rm -f web; docker run -d --name web --label provision.spec={{}} {AS_DECLARED} {' '.join(words)}"


def other_network(options: str) -> str:
    make = f"docker network create {options} back; docker network connect back web"
    return f"docker network disconnect -f back web; docker network rm back; {make}"


#: On an internal network docker publishes nothing.
UNREACHABLE = {"network back", "container_port web 8080:80"}
STOPPED = {"container_runs web", "container_port web 8080:80", "container_limit web memory"}
GONE = {f"container_{what} web" for what in ("image", "environment", "fields", "mounts")}
#: The manual change -> the only change that the plan names, and in which fields; and the checks that must fail.
BY_HAND: list[tuple[str, str, str, set[str], set[str]]] = [
    (
        "a limit",
        "docker update --memory 128m --memory-swap 128m web",
        "container:web",
        {"memory", "memory_swap"},
        {"container_limit web memory"},
    ),
    ("a policy", "docker update --restart no web", "container:web", {"restart"}, {"container_fields web"}),
    ("stopped", "docker stop -t 0 web", "container:web", {"state"}, STOPPED),
    ("removed", "docker rm -f web", "container:web", set(), STOPPED | GONE),
    ("another network", "docker network connect other web", "container:web", {"networks"}, {"container_fields web"}),
    (
        "a variable",
        made_by_hand("-e MODE=slow -p 8080:80 app:1"),
        "container:web",
        {"environment MODE"},
        {"container_environment web"},
    ),
    (
        "a port",
        made_by_hand("-e MODE=fast -p 8081:80 app:1"),
        "container:web",
        {"ports"},
        {"container_port web 8080:80"},
    ),
    (
        "a capability, a label, a command, read-only",
        made_by_hand("-e MODE=fast -p 8080:80 --cap-add NET_ADMIN --label by=hand --read-only app:1 sleep 5000"),
        "container:web",
        {"cap_add", "other labels", "command", "read_only"},
        {"container_fields web"},
    ),
    (
        "a tag that moved",
        "docker tag app:2 app:1",
        "image:app:1",
        {"image"},
        {"loaded_image app:1", "container_image web"},
    ),
    (
        "an image that is gone",
        "docker rmi -f app:2",
        "image:app:2",
        set(),
        {"image app:2", "loaded_image app:2", "container_image neighbour"},
    ),
    (
        "a network of another kind",
        other_network("--internal"),
        "network:back",
        {"internal", "labels"},
        UNREACHABLE,
    ),
    ("a removed volume", "docker volume rm spare", "volume:spare", set(), {"volume spare"}),
]


def test_each_manual_change_is_reported_and_repaired_alone(docker_host: LabHost) -> None:
    repairs_alone(docker_host, engine())


def repairs_alone(host: LabHost, engine_: dict[str, Any]) -> None:
    """Each manual change of BY_HAND fails its checks, is named in the plan, and apply undoes it alone."""
    known = image(host, "app:1") | image(host, "app:2", more={"two": b""})
    web = {
        "image": "app:1",
        "environment": {"MODE": "fast"},
        "ports": ["8080:80"],
        "networks": ["back"],
        "memory": "64m",
        "memory_swap": "64m",
        "steady": 0,
        "stop_timeout": 0,
    }
    spec = {
        "engine": engine_,
        "networks": {"back": {"labels": {"tier": "back"}}, "other": {}},
        "volumes": {"spare": {}},
        "images": known,
        "containers": {"web": web, "neighbour": {"image": "app:2", "steady": 0, "stop_timeout": 0}},
    }
    first = host.apply(spec)
    assert first.counts == {"changed": 1}, first.out[-3000:]
    neighbour = inspect(host, "neighbour", ".State.StartedAt")
    for what, command, resource, fields, checks in BY_HAND:
        host.sh(f"{{ {command}; }} >/dev/null")
        assert host.provision("verify", "--suite", "containers").failed == checks, what
        healed = host.apply()
        (event,) = healed.all("host.plan")
        items = {item["resource"]: item for item in event["items"]}
        named = {line.partition(":")[0] for line in items[resource]["diff"]}
        assert not fields or named == fields, f"{what}: {named}"
        others = items.keys() - {resource}
        # A container is recreated after its image has changed. What containerd's store calls an image is not known
        # before the image is there.
        user = {"image:app:1": {"container:web"}, "image:app:2": {"container:neighbour"}}
        assert others <= user.get(resource, set()), f"{what}: {others}"
        assert healed.counts == {"changed": 1}, f"{what}: {healed.out[-2000:]}"
        print(f"{what}: {resource} {', '.join(sorted(fields)) or '(not there)'}")
    assert host.apply().counts == {"ok": 1}
    assert inspect(host, "neighbour", ".State.StartedAt") == neighbour, "no other container was restarted"
    verified = host.provision("verify", "--suite", "containers")
    assert verified.code == 0, verified.failed


def test_secrets_reach_a_container_and_are_not_shown(docker_host: LabHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host, canary = docker_host, "container-secret-1 \"'\\ $x"
    monkeypatch.setenv("APP_PASSWORD", canary)
    known = image(host, "app:1")
    web = {
        "image": "app:1",
        "environment": {"PASSWORD": "{{ app_password }}", "MODE": "fast"},
        "steady": 0,
        "stop_timeout": 0,
    }
    host.playbook({"spec": {"engine": engine(), "images": known, "containers": {"web": web}}, "vars": "secret"})
    path = host.folder / "site.yml"
    path.write_text(path.read_text().replace("vars: secret", "vars: {app_password: !secret {env: APP_PASSWORD}}"))
    first = host.apply()
    assert first.counts == {"changed": 1}, first.out[-3000:]
    assert host.sh("docker exec web sh -c 'echo \"$PASSWORD\"'") == canary
    assert host.apply().counts == {"ok": 1}
    host.sh(
        "docker rm -f web; docker run -d --name web --label provision.spec={} --label provision.secrets=,PASSWORD,"
        " -e PASSWORD=other-secret-2 -e MODE=fast --restart unless-stopped --stop-timeout 0 app:1"
    )
    planned = host.plan()
    (item,) = planned.all("host.plan")[0]["items"]
    assert [line.partition(":")[0] for line in item["diff"]] == ["environment PASSWORD"]
    second = host.apply()
    assert second.counts == {"changed": 1}
    for word in ("container-secret-1", "other-secret-2"):
        assert word not in first.out + first.err + planned.out + second.out + second.err
        found = host.sh(f"grep -rlF {word} /var/lib/provision /run/provision /tmp /var/log /etc || true")
        assert found == "", found
    # The container's label names the secret, for a rollback in another run, whose tokens differ.
    label = host.sh("docker inspect --format '{{index .Config.Labels \"provision.spec\"}}' web")
    assert re.search(r"secret-ref:[a-z0-9_.]*app_password:[0-9a-f]{16}", label), label
    assert "secret:" not in label
    path.write_text(path.read_text().replace("MODE: fast", "MODE: slow"))
    third = host.apply()
    assert third.counts == {"changed": 1}, third.out[-3000:]
    run = host.sh("ls /var/lib/provision/runs | tail -n 1")
    back = host.rollback(run)
    assert back.counts == {"changed": 1}, back.out[-3000:]
    assert host.sh("docker exec web sh -c 'echo \"$PASSWORD $MODE\"'") == f"{canary} fast"


#: Values that broke a format once, or could. Each is declared both plain and as a secret.
DIFFICULT = [
    *("it's", 'say "x"', "\\", "end\\", "C:\\new\\table", "\\'", "'\\", "$HOME ${HOME} $$", "'$$\\$X", "a #b", "#x"),
    *(
        " both ",
        "\ttab\t",
        "two\nlines",
        "lines'\n",
        "\n",
        "a\r\nb",
        "end\r'",
        "é'😀\u2028",
        "'\\n\\0123",
        '"quoted"',
        "",
    ),
    *("\x01\x08\x0c\x7f'", "x" * 70_000),
]


def test_each_value_arrives_byte_for_byte(docker_host: LabHost) -> None:
    """Variables of a container and of a compose project, plain and secret: docker has exactly the declared text, and
    the next run finds nothing to do."""
    host = docker_host
    known = image(host, "app:1")
    (host.folder / "group_vars").mkdir()
    (host.folder / "group_vars/secrets").mkdir()
    (host.folder / "group_vars/all.yml").write_text(
        "".join(f"s{number}: !secret {{file: secrets/{number}}}\n" for number in range(len(DIFFICULT)))
    )
    plain = {f"P{number}": value for number, value in enumerate(DIFFICULT)}
    secret = {f"S{number}": f"{{{{ s{number} }}}}" for number in range(len(DIFFICULT))}
    for number, value in enumerate(DIFFICULT):
        # The last newline of such a file is not part of its value.
        (host.folder / f"group_vars/secrets/{number}").write_bytes(f"{value}\n".encode())
    variables = plain | secret
    service = {"image": "app:1", "environment": {name: f"${{{name}}}" for name in variables}, "stop_grace_period": "0s"}
    shop = {"content": json.dumps({"services": {"one": service}}), "environment": variables}
    web = {"image": "app:1", "environment": variables, "steady": 0, "stop_timeout": 0}
    spec = {"engine": PLUGINS, "images": known, "containers": {"web": web}, "compose": {"shop": shop}}
    first = host.apply(spec)
    assert first.counts == {"changed": 1}, first.out[-3000:]
    wanted = {f"{kind}{number}": value for number, value in enumerate(DIFFICULT) for kind in "PS"}
    for name in ("web", "shop-one-1"):
        lines = json.loads(inspect(host, name, "json .Config.Env"))
        found = dict(line.split("=", 1) for line in lines)
        assert {key: found.get(key) for key in wanted} == wanted, name
    again = host.apply()
    assert again.counts == {"ok": 1}, again.out[-3000:]
    assert host.provision("verify", "--suite", "containers").failed == set()
    assert host.sh("ls /run/provision/env.* 2>/dev/null || echo none") == "none"


def test_a_compose_project_is_applied_changed_and_removed(docker_host: LabHost) -> None:
    follows_its_file(docker_host, PLUGINS)


def follows_its_file(host: LabHost, engine_: dict[str, Any]) -> None:
    """Only a changed service is recreated, a removed one is started again, and an unhealthy one is rolled back."""
    known = image(host, "app:1")
    services = {
        name: {"image": "app:1", "environment": {"WORD": "${WORD}"}, "stop_grace_period": "0s"}
        for name in ("one", "two", "three")
    }
    services["two"].pop("environment")
    services["three"].pop("environment")

    def spec(**more: Any) -> dict[str, Any]:
        content = json.dumps({"services": {**services, **more}})
        shop = {"content": content, "environment": {"WORD": "it's $HOME"}}
        return {"engine": engine_, "images": known, "compose": {"shop": shop}}

    def ids() -> dict[str, str]:
        lines = host.sh(
            "docker ps --no-trunc --format '{{.Label \"com.docker.compose.service\"}} {{.ID}}'"
        ).splitlines()
        return dict(line.split() for line in lines)

    first = host.apply(spec())
    assert first.counts == {"changed": 1}, first.out[-3000:]
    assert host.sh("docker exec shop-one-1 sh -c 'echo $WORD'") == "it's $HOME"
    assert host.apply().counts == {"ok": 1}
    before = ids()
    changed = host.apply(spec(two={**services["two"], "mem_limit": "64m"}))
    assert changed.counts == {"changed": 1}, changed.out[-3000:]
    after = ids()
    assert {name for name in before if before[name] != after[name]} == {"two"}
    print("recreated:", {name for name in before if before[name] != after[name]}, "of", sorted(before))

    host.sh("docker rm -f shop-three-1")
    (event,) = host.plan().all("host.plan")
    assert event["items"][0]["resource"] == "compose:shop"
    assert "three has no container" in event["items"][0]["diff"][0]
    assert host.apply().counts == {"changed": 1}
    # A service that never becomes healthy: the file, and the containers of the project, are as before.
    now = ids()
    unhealthy_check = {"test": ["CMD", "false"], "interval": "300ms", "retries": 2}
    bad = host.apply(
        spec(one={**services["one"], "healthcheck": unhealthy_check}, two={**services["two"], "mem_limit": "64m"})
    )
    assert bad.code == 3
    assert bad.done["status"] == "rolled_back"
    assert ids().keys() == now.keys()
    assert {name for name in now if now[name] != ids()[name]} == {"one"}
    assert host.apply(spec(two={**services["two"], "mem_limit": "64m"})).counts == {"ok": 1}
    gone = host.apply({"engine": engine_, "images": known})
    assert gone.counts == {"changed": 1}, gone.out[-2000:]
    assert host.sh("docker ps -aq") == ""


def test_a_compose_service_follows_its_image(docker_host: LabHost) -> None:
    follows_its_image(docker_host, PLUGINS)


def follows_its_image(host: LabHost, engine_: dict[str, Any]) -> None:
    """An image was built or pulled under the same name: plan and verify see it, and apply recreates the service. An
    image that a service names by its id has no name that could move."""
    known = image(host, "app:1") | image(host, "fixed:1", more={"fixed": b""})
    service = {"image": "app:1", "stop_grace_period": "0s"}
    content = {"services": {"one": service, "two": {**service, "image": "${FIXED}"}}}
    spec = {"engine": engine_, "images": known, "compose": {"shop": {"content": json.dumps(content)}}}
    host.apply({"engine": engine_, "images": known})
    spec["compose"]["shop"]["environment"] = {"FIXED": inspect(host, "fixed:1", ".Id")}
    assert host.apply(spec).counts == {"changed": 1}
    assert host.apply().counts == {"ok": 1}
    assert host.provision("verify", "--suite", "containers").failed == set()
    # By hand. The images are not declared, so only the project can show the change.
    undeclared = {**spec, "images": {}}
    assert host.apply(undeclared).counts == {"ok": 1}
    ids = {name: inspect(host, f"shop-{name}-1", ".Id") for name in ("one", "two")}
    host.sh("mkdir /tmp/b && printf 'FROM app:1\\nLABEL built=again\\n' >/tmp/b/Dockerfile")
    host.sh("docker tag app:1 app:old; DOCKER_BUILDKIT=0 docker build -q -t app:1 /tmp/b")
    compose = (
        "docker compose -p shop -f /etc/provision/compose/shop/compose.yaml --env-file /etc/provision/compose/shop/.env"
    )
    assert "Recreate" in host.sh(f"{compose} up -d --dry-run 2>&1"), "compose itself would recreate it"
    planned = host.plan()
    (event,) = planned.all("host.plan")
    assert [item["resource"] for item in event["items"]] == ["compose:shop"]
    assert "one was not made from the image that app:1 names now" in event["items"][0]["diff"][0]
    assert "two" not in event["items"][0]["diff"][0]
    assert host.provision("verify", "--suite", "containers").failed == {"compose_image shop"}
    mended = host.apply()
    assert mended.counts == {"changed": 1}, mended.out[-3000:]
    assert inspect(host, "shop-one-1", 'index .Config.Labels "built"') == "again"
    assert inspect(host, "shop-one-1", ".Id") != ids["one"]
    assert inspect(host, "shop-two-1", ".Id") == ids["two"], "only the service whose image has changed"
    assert host.apply().counts == {"ok": 1}
    assert host.provision("verify", "--suite", "containers").failed == set()
    # When they are declared again, the image and the service return in one run.
    back = host.apply(spec)
    (event,) = back.all("host.plan")
    assert [item["resource"] for item in event["items"]] == ["image:app:1", "compose:shop"]
    assert back.counts == {"changed": 1}, back.out[-3000:]
    assert inspect(host, "shop-one-1", ".Image") == inspect(host, "app:old", ".Id")
    assert host.apply().counts == {"ok": 1}


UNHEALTHY = {"test": ["CMD", "false"], "interval": "300ms", "retries": 2}


def failing_project(host: LabHost) -> dict[str, Any]:
    services = {
        "one": {"image": "app:1", "stop_grace_period": "0s", "restart": "always"},
        "two": {"image": "app:1", "stop_grace_period": "0s", "restart": "always", "healthcheck": UNHEALTHY},
    }
    shop = {"content": json.dumps({"services": services})}
    web = {"image": "app:1", "networks": ["back"], "steady": 0, "stop_timeout": 0}
    return {
        "engine": PLUGINS,
        "images": image(host, "app:1"),
        "networks": {"back": {}},
        "containers": {"web": web},
        "compose": {"shop": shop},
    }


#: What docker has that did not exist before docker was installed.
OBJECTS = (
    "docker ps -a --format '{{.Names}}'; docker image ls --format '{{.Repository}}';"
    " docker network ls --format '{{.Name}}' | grep -vxE 'bridge|host|none' || true"
)


def test_the_rollback_of_a_first_apply_removes_its_project(host: LabHost) -> None:
    """Docker, images, containers and a project are installed in one run, and the project never becomes healthy."""
    failed = host.apply(failing_project(host))
    assert failed.counts == {"rolled_back": 1}, failed.out[-3000:]
    assert failed.done["error"]["step"] == "compose:shop compose_up"
    # Packages stay installed, and no more than that.
    assert [line for line in failed.done["left"] if not line.startswith("package ")] == [], failed.done
    assert host.sh("ls -A /var/lib/docker/containers") == ""
    host.sh("systemctl start docker")
    assert host.sh(OBJECTS) == ""
    assert host.sh("ls /etc/provision/compose 2>/dev/null || echo none") == "none"
    assert leftovers(host) == ""


def test_the_rollback_of_a_run_that_started_docker(docker_host: LabHost) -> None:
    """The run starts docker. The rollback removes what the run made while docker runs, and then stops docker."""
    host = docker_host
    host.sh("systemctl disable -q --now docker.socket docker")
    failed = host.apply(failing_project(host))
    assert failed.counts == {"rolled_back": 1}, failed.out[-3000:]
    # Packages stay installed, and no more than that.
    assert [line for line in failed.done["left"] if not line.startswith("package ")] == [], failed.done
    assert host.sh("systemctl is-active docker || true") == "inactive"
    assert host.sh("ls -A /var/lib/docker/containers") == ""
    host.sh("systemctl start docker")
    assert host.sh(OBJECTS) == ""
    assert leftovers(host) == ""


def test_an_interrupted_transfer_of_an_archive_is_resumed(docker_host: LabHost) -> None:
    """The connection is cut during an upload: the same run reconnects, and continues with the bytes that have
    arrived."""
    host = docker_host
    known = image(host, "big:1", more={"blob": os.urandom(20_000_000)})
    # The receiver on the host takes six million bytes, once, and then the connection is cut: sshd's own process is
    # killed.
    cut = '#!/bin/sh\n[ $# -eq 0 ] || exec /bin/cat "$@"\nrm /usr/local/bin/cat\nhead -c 6000000\nkill -9 $PPID\n'
    host.sh(f"printf %s {shlex.quote(cut)} >/usr/local/bin/cat; chmod +x /usr/local/bin/cat")
    outcome = host.apply({"engine": engine(), "images": known})
    assert host.sh("command -v /usr/local/bin/cat || echo gone") == "gone", "the connection was not cut"
    assert outcome.counts == {"changed": 1}, outcome.out[-3000:]
    notes = [event["text"] for event in outcome.all("note") if "sending" in event["text"]]
    print(notes)
    assert len(notes) == 2
    assert "from byte" in notes[1]
    start = int(notes[1].rpartition("from byte ")[2].split()[0])
    assert start == 6_000_000
    assert host.sh("ls /var/lib/provision/blobs") == ""
    assert host.apply().counts == {"ok": 1}


def test_prune_keeps_images_that_are_used_or_declared(docker_host: LabHost) -> None:
    host = docker_host
    known = image(host, "kept:1", more={"kept": b""}) | image(host, "used:1", more={"used": b""})
    spec = {
        "engine": engine(),
        "images": {"kept:1": known["kept:1"], "used:1": known["used:1"]},
        "containers": {"app": {"image": "used:1", "running": False}},
        "prune": {"after": "1h"},
    }
    first = host.apply(spec)
    assert first.counts == {"changed": 1}, first.out[-3000:]
    assert host.apply().counts == {"ok": 1}
    assert host.sh("systemctl is-active provision-prune.timer") == "active"
    host.sh(
        "docker tag used:1 stopped:1; docker run -d --name other used:1; docker stop -t 0 other >/dev/null;"
        " for n in old young; do docker export app | docker import --message $n - $n:1; done >/dev/null"
    )
    host.sh("systemctl start provision-prune.service")
    assert host.sh("docker image inspect --format x old:1") == "x", "the image is not old enough yet"
    # The test uses half a minute in place of the hour: even on a busy machine a new tag is younger than that.
    line = host.sh("sed -n s/^ExecStart=//p /etc/systemd/system/provision-prune.service")
    assert " 3600 " in line
    host.sh(f"sleep 31; docker tag young:1 young:2; {line.replace(' 3600 ', ' 30 ')}")
    left = host.sh("docker image ls --format '{{.Repository}}:{{.Tag}}' | sort").splitlines()
    assert left == ["kept:1", "stopped:1", "used:1", "young:1", "young:2"], left
    print("left:", left)
    assert host.apply().counts == {"ok": 1}


def test_an_archive_is_sent_over_a_login_that_becomes_root(docker_host: LabHost) -> None:
    """The bytes follow sudo's password on the same standard input."""
    host = docker_host
    known = image(host, "app:1")
    host.inventory(ansible_user="ops", ansible_become=True, ansible_become_password="lab-secret-1")
    assert host.apply({"engine": engine(), "images": known}).counts == {"changed": 1}
    assert host.apply().counts == {"ok": 1}
