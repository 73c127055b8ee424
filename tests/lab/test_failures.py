"""Failures on a host: provision names each exactly, leaves the rest of the host untouched, and does not harm other
hosts."""

from __future__ import annotations

import subprocess
import time

from tests.lab.conftest import LAB, LabHost, engine, slow_package


def test_the_error_of_a_failing_step_names_it_and_the_finished_steps(host: LabHost) -> None:
    spec = {"files": {"/etc/first": {"content": "1\n"}}, "packages": ["no-such-package"], "users": {"zoe": {}}}
    outcome = host.apply(spec)
    assert outcome.code == 3
    error = outcome.done["error"]
    assert error["kind"] == "step"
    assert error["step"] == "packages:all pkg_transaction"
    assert "Unable to locate package no-such-package" in error["detail"]
    assert error["done"] == [
        "manifest put_file",
        "file:/etc/first put_file",
        "packages:all pkg_whole",
        "packages:all pkg_refresh",
    ]
    assert outcome.done["changes"] == 0
    assert error["undone"] == ["packages:all pkg_transaction", "user:zoe user_add"]
    assert outcome.counts == {"rolled_back": 1}
    assert host.sh("ls /etc/first 2>/dev/null; getent passwd zoe || echo none") == "none"
    assert host.sh("ls /run/provision; cat /run/provision/queue") == "queue", "no lock and no log may stay"


def _hold_dpkg_lock(host: LabHost, seconds: int) -> subprocess.Popen[bytes]:
    """A real process that holds the lock: a package whose installation takes long."""
    slow_package(host, f"sleep {seconds}")
    holder = subprocess.Popen([*LAB.ssh(host.name), "apt-get -y install /tmp/slow.deb"], stdout=subprocess.DEVNULL)
    host.sh("until fuser /var/lib/dpkg/lock 2>/dev/null || pgrep -x sleep >/dev/null; do sleep 0.1; done")
    return holder


def test_a_run_waits_for_a_held_package_lock_and_names_its_holder(host: LabHost) -> None:
    holder = _hold_dpkg_lock(host, 5)
    outcome = host.apply({"packages": ["tree"]})
    assert outcome.counts == {"changed": 1}, outcome.out
    notes = [event["text"] for event in outcome.all("note")]
    assert any("held by" in note and "slow.deb" in note for note in notes), notes
    assert holder.wait() == 0


def test_a_lock_held_for_too_long_is_an_error_and_its_holder_survives(host: LabHost) -> None:
    holder = _hold_dpkg_lock(host, 25)
    outcome = host.apply({"packages": ["tree"]}, "--lock-timeout", "2")
    assert holder.poll() is None, "the run failed while the lock was still held"
    assert outcome.code == 3
    assert "still held by" in outcome.done["error"]["detail"]
    assert host.sh("command -v tree || echo none") == "none"
    assert holder.wait() == 0, "the other package manager must have finished undisturbed"


def test_two_runs_do_not_interleave(host: LabHost) -> None:
    host.sh("mkdir -p /run/provision/lock; systemd-run -q --unit=owner sleep 300")
    pid = host.sh("systemctl show -p MainPID --value owner")
    start = host.sh(f"cut -d' ' -f22 /proc/{pid}/stat")
    host.sh(f"echo '{pid}:{start} 2026-01-01T00:00:00Z' >/run/provision/lock/owner")
    outcome = host.apply({"files": {"/etc/x": {"content": "x"}}})
    assert outcome.done["error"]["kind"] == "locked"
    assert f"process {pid}, since 2026-01-01T00:00:00Z" in outcome.done["error"]["message"]
    # The lock of a dead owner is taken over, also when its pid now belongs to another process.
    host.sh(f"echo '{pid}:{int(start) - 1} 2026-01-01T00:00:00Z' >/run/provision/lock/owner")
    assert host.apply().counts == {"changed": 1}
    assert host.sh("ls /run/provision; cat /run/provision/queue") == "queue"


def test_the_error_quotes_a_daemon_that_does_not_start(docker_host: LabHost) -> None:
    outcome = docker_host.apply({"engine": engine(**{"storage-driver": "no-such-driver"})}, "--no-lint")
    assert outcome.code == 3
    error = outcome.done["error"]
    assert error["step"] == "service:docker svc_settle"
    assert "no-such-driver" in error["detail"], "dockerd's own words"
    # The change was rolled back, although systemd has counted the failed starts.
    assert outcome.counts == {"rolled_back": 1}
    assert docker_host.docker_info("ServerVersion")
    assert docker_host.apply({"engine": engine()}).counts == {"ok": 1}


def test_a_directory_at_the_path_of_a_file_is_an_error(host: LabHost) -> None:
    host.sh("mkdir /etc/x")
    outcome = host.apply({"files": {"/etc/x": {"content": "x"}}})
    assert outcome.code == 3
    assert "/etc/x is a directory" in outcome.done["error"]["detail"]
    # A link is replaced, and its target stays.
    host.sh("echo keep >/etc/target; rmdir /etc/x; ln -s /etc/target /etc/x")
    assert host.apply().counts == {"changed": 1}
    assert host.sh("cat /etc/target; test -L /etc/x || cat /etc/x") == "keep\nx"


def test_a_truncated_script_changes_nothing(host: LabHost) -> None:
    """The script is one function, called on its last line."""
    host.playbook({"spec": {"files": {"/etc/x": {"content": "x\n" * 2000}}}})
    from provision import tasks
    from provision.catalog import Options
    from provision.load import load
    from provision.planning.prepare import work
    from provision.remote.script import job_script, submit_script
    from provision.transport.ssh import Connecting, Transport

    config, context = load(host.inventory(), host.folder / "site.yml").for_host(host.name)
    connection = Transport(Connecting()).open(config.host, time.monotonic() + 30)
    found = tasks.look(connection, config, context, Options())
    calls = [call for resource in found.resources for call in resource.look()]
    script = submit_script("one", job_script(work("one", found.plan, found.report), calls, {}))
    for part in (0.3, 0.6, 0.9, 0.999):
        cut = script[: int(len(script) * part)]
        subprocess.run([*LAB.ssh(host.name), "sh"], input=cut.encode(), capture_output=True, check=False)
        assert host.sh("ls -d /etc/x /run/provision 2>/dev/null || true") == ""
    subprocess.run([*LAB.ssh(host.name), "sh"], input=script.encode(), capture_output=True, check=True)
    assert host.sh("wc -l </etc/x") == "2000"
    connection.close()


def test_a_fabfile_of_the_operator(host: LabHost) -> None:
    """The fix stage is a fabric task that runs on a plain fabric connection."""
    from fabric import Connection

    from provision.load import load
    from provision.tasks import apply

    host.playbook({"spec": {"files": {"/etc/x": {"content": "x"}}}})
    config, context = load(host.inventory(), host.folder / "site.yml").for_host(host.address)
    with Connection(host.address, user="root", connect_kwargs={"key_filename": str(LAB.store.key)}) as connection:
        assert [change.resource for change in apply(connection, config, context).plan.changes] == ["file:/etc/x"]
        assert apply(connection, config, context).plan.changes == ()
    assert host.sh("cat /etc/x") == "x"
