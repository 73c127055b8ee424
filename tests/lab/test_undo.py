"""A rollback undoes only what the run has done. It does not disturb services and containers without need."""

from __future__ import annotations

import shlex
import subprocess

from tests.lab.conftest import LAB, LabHost, engine, slow_package, wrap
from tests.lab.runs import RUNS, leftovers, receipt, sleeper, start, until


def runs_bare(host: LabHost) -> None:
    """A container without a restart policy. It ends when docker is restarted without live-restore."""
    sleeper(host)
    host.sh("docker run -d --name bare sleeper:1 sleep 3600")


def what_runs(host: LabHost) -> str:
    """The pids of dockerd and of the container."""
    return host.sh("cat /run/docker.pid; echo; docker inspect --format '{{.State.Pid}}' bare")


def publish(host: LabHost, postinst: str) -> None:
    """The package ``slow`` in a repository on the host itself."""
    slow_package(host, postinst)
    host.sh(
        "mkdir -p /srv/slow && cp /tmp/slow.deb /srv/slow/ && cd /srv/slow && { dpkg-deb -f slow.deb; "
        'echo "Filename: ./slow.deb"; echo "Size: $(stat -c %s slow.deb)"; '
        'echo "SHA256: $(sha256sum slow.deb | cut -d" " -f1)"; } >Packages && '
        "echo 'deb [trusted=yes] file:/srv/slow ./' >/etc/apt/sources.list.d/slow.list && apt-get -q update"
    )


def test_a_rollback_leaves_docker_alone_if_the_run_did_not_change_it(docker_host: LabHost) -> None:
    host = docker_host
    runs_bare(host)
    before = what_runs(host)
    # dockerd refuses the file when it is asked to validate it: nothing was written.
    refused = host.apply({"engine": engine(nonsense=True)}, "--no-lint")
    assert refused.done["error"]["step"] == "file:/etc/docker/daemon.json daemon_check_content", refused.out
    assert (refused.counts, what_runs(host)) == ({"rolled_back": 1}, before)
    assert "nothing had to be restored" in refused.done["error"]["detail"]
    # A setting that this kernel does not have. Its step comes before the one of daemon.json.
    unknown = host.apply({"sysctl": {"nope.nope": 1}, "engine": engine(icc=False)})
    assert unknown.done["error"]["step"].endswith(" sysctl_set"), unknown.out
    assert (unknown.counts, what_runs(host)) == ({"rolled_back": 1}, before)
    # Another process holds dpkg's lock. daemon.json is written before that, and docker has not loaded it.
    slow_package(host, "sleep 30")
    holder = subprocess.Popen([*LAB.ssh(host.name), "apt-get -y install /tmp/slow.deb"], stdout=subprocess.DEVNULL)
    until(host, "pgrep -x sleep -a | grep -qx '[0-9]* sleep 30'")
    busy = host.apply({"packages": ["tree"], "engine": engine(icc=False)}, "--lock-timeout", "1")
    assert busy.done["error"]["step"] == "packages:all pkg_whole", busy.out
    assert "file:/etc/docker/daemon.json put_file" in busy.done["error"]["done"]
    assert (busy.counts, what_runs(host)) == ({"rolled_back": 1}, before)
    assert "/etc/docker/daemon.json" in busy.done["error"]["detail"]
    assert holder.wait() == 0
    # What docker has loaded equals the file: no later run restarts docker for it.
    assert host.apply({"engine": engine()}).counts == {"ok": 1}
    assert what_runs(host) == before
    assert leftovers(host) == ""


BROKEN = {"networks": {"broken": {"driver": "no-such-driver"}}}


def test_a_rollback_disturbs_docker_within_need_and_limit(docker_host: LabHost) -> None:
    host = docker_host
    runs_bare(host)
    before = what_runs(host)
    # A key that a reload resets: the rollback is a reload too.
    back = host.apply({"engine": engine(**{"max-concurrent-downloads": 7}), **BROKEN})
    assert back.done["error"]["step"] == "network:broken network_put", back.out
    assert (back.counts, what_runs(host)) == ({"rolled_back": 1}, before)
    assert host.apply({"engine": engine()}).counts == {"ok": 1}
    # A key that keeps its value until a restart: the plan shows the impact of the rollback, and the limit forbids it.
    spec = {"engine": engine(debug=True), **BROKEN}
    planned = host.plan(spec).all("host.plan")[0]
    assert planned["impact"] == "reload"
    assert [one["level"] for one in planned["rollback_impacts"]] == ["restart", "stop"]
    assert "bare (no restart policy)" in planned["rollback_impacts"][1]["reason"]
    bounded = host.apply(None, "--max-impact", "reload")
    assert (bounded.counts, what_runs(host)) == ({"rolled_back": 1}, before)
    assert "until docker is restarted" in bounded.done["error"]["detail"], bounded.done
    assert host.docker_info("Debug") == "true"
    assert host.sh("grep -c debug /etc/docker/daemon.json || true") == "0"
    pending = host.plan({"engine": engine()})
    assert pending.all("host.plan")[0]["impact"] == "stop", "the next plan says that docker has to be restarted"
    # Without a limit docker is restarted, and the result names the container that ended by it.
    free = host.apply(spec)
    assert free.counts == {"rolled_back": 1}
    assert host.docker_info("Debug") == "false"
    assert host.sh("docker inspect --format '{{.State.Running}}' bare") == "false"
    assert "bare" in free.done["error"]["detail"], free.done
    assert leftovers(host) == ""
    assert host.apply({"engine": engine()}).counts == {"ok": 1}


MOUNT = "[Mount]\nWhat=tmpfs\nWhere=/srv/data\nType=tmpfs\n[Install]\nWantedBy=multi-user.target\n"


def test_a_live_mount_declared_as_a_service_stays_mounted(host: LabHost) -> None:
    """The run enables the mount and then fails. The rollback disables it, and the file system stays mounted."""
    host.sh(f"printf %s {shlex.quote(MOUNT)} >/etc/systemd/system/srv-data.mount; systemctl daemon-reload")
    host.sh("systemctl start srv-data.mount; echo kept >/srv/data/file")
    mounted = host.sh("grep ' /srv/data ' /proc/self/mountinfo")
    # The command of this unit fails: a service that comes later in the plan.
    host.sh("printf '[Service]\\nExecStart=/bin/false\\nType=oneshot\\n' >/etc/systemd/system/zz-fails.service")
    spec = {
        "files": {"/etc/zz.conf": {"content": "new\n"}},
        "services": {
            "srv-data.mount": {"enabled": True, "running": True},
            "zz-fails": {"running": True, "watch": ["/etc/zz.conf"]},
        },
    }
    failed = host.apply(spec)
    assert failed.counts == {"rolled_back": 1}, failed.out
    assert "service:srv-data.mount svc_enable" in failed.done["error"]["done"], failed.done
    assert failed.done["error"]["step"].startswith("service:zz-fails "), failed.done
    assert failed.done["restored"] == "complete", failed.done
    assert host.sh("systemctl is-enabled srv-data.mount || true") == "disabled"
    assert host.sh("cat /srv/data/file") == "kept"
    assert host.sh("grep ' /srv/data ' /proc/self/mountinfo") == mounted, "the same mount as before"


def test_a_rollback_waits_for_the_package_manager_of_a_killed_job(docker_host: LabHost) -> None:
    host = docker_host
    host.sh("systemctl disable -q --now docker.socket docker")
    publish(host, "touch /tmp/in-postinst; until [ -e /tmp/go ]; do sleep 0.2; done; systemctl start docker")
    spec = {
        "sysctl": {"net.ipv4.conf.all.rp_filter": 2},
        "packages": ["slow"],
        "services": {"docker": {"enabled": True}},
    }
    host.playbook({"spec": spec})
    process = start(host, "--confirm-within", "30")
    until(host, "[ -e /tmp/in-postinst ]")
    run = host.within(f"ls -d {RUNS}/* | tail -n 1")
    host.within(f"kill -9 $(cut -d: -f1 {run}/owner)")
    until(host, f"[ -e {run}/undoing ]")
    # The rollback checks once a second, and has not begun.
    until(host, f"[ -e {run}/undo.waits ] || [ -e {run}/result ]")
    assert host.within(f"ls {run}/result 2>/dev/null || true") == ""
    assert host.within("cat /proc/sys/net/ipv4/conf/all/rp_filter") == "2"
    host.within("touch /tmp/go")
    out, _ = process.communicate(timeout=180)
    assert '"rolled_back": 1' in out, out
    assert "the rollback waits for the end of " in out
    assert receipt(host) == "rolled_back died"
    assert host.sh("dpkg --audit; dpkg-query -W -f '${db:Status-Abbrev}' slow") == "ii"
    assert host.sh("systemctl is-active docker || true") == "inactive"
    assert host.sh("cat /proc/sys/net/ipv4/conf/all/rp_filter") != "2"
    assert leftovers(host) == ""


#: `docker create` takes until the test releases it, as on a slow disk.
SLOW_CREATE = "create) until [ -e /tmp/continue ]; do sleep 0.1; done ;;"
WEB = "docker inspect --format '{{.State.Running}} {{.HostConfig.RestartPolicy.Name}} {{.Id}}' web"


def test_a_command_of_a_killed_job_changes_nothing_after_the_rollback(docker_host: LabHost) -> None:
    """The job's shell is killed while `docker create` works. In an earlier version that step continued after the
    rollback: it stopped the container that runs, and renamed it."""
    host = docker_host
    sleeper(host)
    spec = {"engine": engine(), "containers": {"web": {"image": "sleeper:1", "command": ["sleep", "3600"]}}}
    assert host.apply(spec).counts == {"changed": 1}
    before = host.sh(WEB)
    wrap(host, SLOW_CREATE)
    spec["containers"]["web"]["environment"] = {"A": "1"}
    host.playbook({"spec": spec})
    process = start(host)
    until(host, "pgrep -f '[d]ocker create' >/dev/null")
    run = host.within(f"ls -d {RUNS}/* | tail -n 1")
    host.within(f"kill -9 $(cut -d: -f1 {run}/owner)")
    out, _ = process.communicate(timeout=180)
    assert '"rolled_back": 1' in out, out
    assert '"restored": "complete", "left": []' in out, out
    assert "the process of the change has ended; waiting for the host" in out
    assert host.sh("pgrep -f '[d]ocker create' || true") == ""
    host.sh("touch /tmp/continue; sleep 3")
    assert host.sh(WEB) == before
    assert host.sh("docker ps -a --format '{{.Names}}'") == "web"
    assert leftovers(host) == ""
    assert host.apply(spec).counts == {"changed": 1}


def test_a_masked_socket_stops_no_docker(docker_host: LabHost) -> None:
    """docker requires docker.socket. A plan that restarts docker is refused while it is masked. Unmasked, systemd has
    lost the socket's descriptors, and a restart opens it again."""
    host = docker_host
    pid = host.dockerd_pid()
    host.sh("systemctl -q mask docker.socket")
    refused = host.apply({"engine": engine(icc=False)})
    assert (refused.code, refused.done["error"]["kind"]) == (3, "unsuited"), refused.out
    assert "systemctl unmask docker.socket; systemctl restart docker.socket docker" in refused.done["error"]["message"]
    assert host.dockerd_pid() == pid
    assert host.docker_info("ServerVersion")
    # A change that restarts nothing is possible.
    assert host.apply({"engine": engine(), "files": {"/etc/one": {"content": "1"}}}).counts == {"changed": 1}
    host.sh("systemctl -q unmask docker.socket")
    assert host.apply({"engine": engine(icc=False)}).counts == {"changed": 1}
    assert host.dockerd_pid() != pid
    host.sh("systemctl -q mask docker.socket; systemctl -q unmask docker.socket")
    # A failed step is rolled back, with a restart of docker.
    failed = host.apply({"engine": engine(icc=True), **BROKEN})
    assert failed.counts == {"rolled_back": 1}, failed.out
    assert (failed.done["restored"], failed.done["left"]) == ("complete", []), failed.done
    assert host.docker_info("ServerVersion")
    assert host.provision("verify", "--suite", "settings", spec={"engine": engine(icc=False)}).failed == set()


def test_a_stopped_docker_is_an_error_that_names_the_remedy(docker_host: LabHost) -> None:
    host = docker_host
    pid = host.dockerd_pid()
    host.sh(f"kill -STOP {pid}")
    planned = host.plan()
    assert (planned.code, planned.done["error"]["kind"]) == (3, "look"), planned.out
    assert f"kill -CONT {pid}" in planned.done["error"]["detail"]
    # One check of verify waits for docker, and fails. No other check is blamed.
    verified = host.provision("verify", "--suite", "daemon", "--suite", "settings")
    (check,) = (event for event in verified.all("check.done") if event["outcome"] == "failed")
    assert "docker did not answer within 30 s" in check["message"], verified.out
    skipped = [event for event in verified.all("check.done") if event["outcome"] == "skipped"]
    assert any("docker did not answer" in event["message"] for event in skipped)
    host.sh(f"kill -CONT {pid}")
    assert host.plan().counts == {"ok": 1}


#: A service that closes port 22 while it runs.
CUT = (
    "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=iptables -I INPUT -p tcp --dport 22 -j DROP\n"
    "ExecStop=iptables -D INPUT -p tcp --dport 22 -j DROP\n[Install]\nWantedBy=multi-user.target\n"
)
#: A service that runs until it is stopped.
RUNS_ON = "[Service]\nExecStart=sleep 3600\n[Install]\nWantedBy=multi-user.target\n"
LEFT = "systemctl is-active one; find /etc/systemd/system -name 'one.service'; pgrep -x sleep"


def _unit(text: str) -> dict[str, object]:
    return {
        "files": {"/etc/systemd/system/one.service": {"content": text}},
        "services": {"one": {"running": True, "enabled": True}},
    }


def test_a_unit_that_a_run_has_created_is_stopped_before_its_file_is_removed(docker_host: LabHost) -> None:
    """In an earlier version the rollback removed the file first, and then could not stop the unit: the operator was
    locked out, although the run was recorded as rolled back."""
    host = docker_host
    cut = host.apply(_unit(CUT), "--confirm-within", "4")
    assert (cut.counts, cut.done["restored"], cut.done["left"]) == ({"rolled_back": 1}, "complete", []), cut.out
    assert host.sh(LEFT, check=False) == "inactive"
    assert host.apply(_unit(RUNS_ON)).counts == {"changed": 1}
    assert host.sh(LEFT, check=False).startswith("active")
    # No longer declared.
    assert host.apply({"engine": engine()}).counts == {"changed": 1}
    assert host.sh(LEFT, check=False) == "inactive"
    # Rolled back later.
    assert host.apply(_unit(RUNS_ON)).counts == {"changed": 1}
    run = host.provision("runs", "--on-hosts").all("run")[-1]["run"]
    assert host.rollback(run).counts == {"changed": 1}
    assert host.sh(LEFT, check=False) == "inactive"
    # A rollback of that rollback starts it again.
    run = host.provision("runs", "--on-hosts").all("run")[-1]["run"]
    assert host.rollback(run).counts == {"changed": 1}
    assert host.sh(LEFT, check=False).startswith("active")


def test_the_rollback_of_a_run_restores_memberships_and_directories(docker_host: LabHost) -> None:
    """In an earlier version it reported `changed`, and left both as the run had made them, without a word."""
    host = docker_host
    state = "id -nG op; getent passwd op; stat -c '%U:%G %a' /etc/docker"
    member = {"users": {"op": {"groups": ["ops"]}}, "engine": {**engine(), "users": ["op"]}}
    assert host.apply(member).counts == {"changed": 1}
    host.sh("chmod 0775 /etc/docker; chgrp games /etc/docker")
    before = host.sh(state)
    assert before.startswith(("op docker ops", "op ops docker"))
    spec = {"users": {"op": {"shell": "/bin/sh"}}, "engine": engine(), "packages": ["tree"]}
    assert host.apply(spec).counts == {"changed": 1}
    assert host.sh(state) != before
    run = host.provision("runs", "--on-hosts").all("run")[-1]["run"]
    back = host.rollback(run)
    assert back.counts == {"changed": 1}, back.out
    assert host.sh(state) == before
    assert [event["text"] for event in back.all("note")] == [
        "the rollback leaves this as it is: package tree, which the run installed"
    ]
    assert host.rollback(run).counts == {"ok": 1}


def test_the_rollback_of_a_run_names_the_address_that_dockerd_keeps(docker_host: LabHost) -> None:
    host = docker_host
    address = "ip -o -4 address show dev docker0 | awk '{print $4}'"
    before = host.sh(address)
    assert host.apply({"engine": engine(bip="10.78.0.1/24")}).counts == {"changed": 1}
    run = host.provision("runs", "--on-hosts").all("run")[-1]["run"]
    back = host.rollback(run)
    assert back.counts == {"changed": 1}, back.out
    assert host.sh(address) == "10.78.0.1/24"
    (note,) = back.all("note")
    assert note["text"] == (
        f"the rollback leaves this as it is: the address 10.78.0.1/24 of docker0 (before the run: {before}), which"
        " dockerd keeps"
    )


def test_access_that_a_failed_run_has_restricted_is_restored(docker_host: LabHost) -> None:
    """The run changes back what another party opened, and fails. The record has the state before the run."""
    host = docker_host
    access = "stat -c '%a %U %G' /run/docker.sock /usr/bin/docker"
    repaired = host.sh(access)
    host.sh("chmod 0666 /run/docker.sock; chmod u+s /usr/bin/docker")
    before = host.sh(access)
    failed = host.apply({"engine": engine(), **BROKEN})
    assert failed.counts == {"rolled_back": 1}, failed.out
    assert {"socket:/run/docker.sock socket_guard", "programs:docker program_plain"} <= set(
        failed.done["error"]["done"]
    )
    assert (failed.done["restored"], failed.done["left"]) == ("complete", [])
    assert "restored the access to /run/docker.sock" in failed.done["error"]["detail"]
    assert "the change failed; the host rolls it back" in [event["text"] for event in failed.all("note")]
    assert host.sh(access) == before
    assert host.apply({"engine": engine()}).counts == {"changed": 1}
    assert host.sh(access) == repaired
    # A rollback of that run does not open the host again.
    run = host.provision("runs", "--on-hosts").all("run")[-1]["run"]
    back = host.rollback(run)
    assert host.sh(access) == repaired
    notes = [event["text"] for event in back.all("note")]
    assert len(notes) == 2, notes
    assert all("which the run restricted" in note for note in notes)


def test_a_rollback_names_what_it_cannot_restore(docker_host: LabHost) -> None:
    host = docker_host
    failed = host.apply({"users": {"op": {"groups": ["builders"]}}, "engine": engine(), **BROKEN})
    left = ["user op, which the run added", "group builders, which the run created"]
    assert (failed.counts, failed.done["restored"], failed.done["left"]) == ({"rolled_back": 1}, "partial", left)
    assert "op" in host.sh("getent passwd op; getent group builders").split("\n")[1]


def test_a_look_at_a_silent_docker_names_the_way_out(docker_host: LabHost) -> None:
    """dockerd runs and gives no answer, as on a disk that hangs."""
    host = docker_host
    wrap(host, "network) exec sleep 60 ;;")
    planned = host.plan({"engine": engine(), "networks": {"inner": {}}}, "--look-within", "5")
    error = planned.done["error"]
    assert (planned.code, error["kind"]) == (3, "timeout"), planned.out
    assert "took longer than 5 s" in error["message"]
    assert "--look-within SECONDS" in error["message"]
    assert "systemctl restart docker" in error["message"]
    host.sh("rm /usr/local/bin/docker")
    assert host.plan().counts == {"changed": 1}
