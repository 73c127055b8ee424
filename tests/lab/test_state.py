"""The need for a restart follows from the state: what the running daemon reports as loaded. And the removal of
resources that a play no longer declares."""

from __future__ import annotations

import json

from tests.lab.conftest import LabHost, engine

#: Kills itself with the whole run at the moment at which docker would be restarted: /usr/local/sbin comes first on the
#: job's PATH. It disarms the rollback, so that the state after the kill can be tested.
_KILLER = """cat >/usr/local/sbin/systemctl <<'X'
#!/bin/sh
case "$*" in *restart*) rm -f /var/lib/provision/runs/*/armed; kill -9 0 ;; esac
exec /usr/bin/systemctl "$@"
X
chmod +x /usr/local/sbin/systemctl"""


def test_a_run_killed_between_write_and_restart_is_completed(docker_host: LabHost) -> None:
    pid = docker_host.dockerd_pid()
    docker_host.sh(_KILLER)
    killed = docker_host.apply({"engine": engine(debug=True, icc=False)})
    assert killed.code == 3
    assert killed.done["error"]["kind"] == "disconnected"
    docker_host.sh("rm /usr/local/sbin/systemctl")
    assert json.loads(docker_host.sh("cat /etc/docker/daemon.json"))["debug"] is True
    assert docker_host.docker_info("Debug") == "false", "the file is new, the daemon is old"
    assert docker_host.dockerd_pid() == pid

    planned = docker_host.plan()
    assert planned.items == ["change service:docker"]
    assert docker_host.apply().counts == {"changed": 1}
    assert docker_host.docker_info("Debug") == "true"
    assert docker_host.dockerd_pid() != pid
    assert docker_host.apply().counts == {"ok": 1}


def test_a_killed_run_is_completed_on_a_host_without_a_stamp(docker_host: LabHost) -> None:
    """After a boot no stamp records what dockerd loaded, and docker info can't show bip."""
    docker_host.sh("rm -r /run/provision/loaded; sleep 1.1; systemctl restart docker")
    docker_host.sh(_KILLER)
    assert docker_host.apply({"engine": engine(bip="10.78.0.1/24")}).code == 3
    docker_host.sh("rm /usr/local/sbin/systemctl")
    gateway = "docker network inspect bridge --format '{{(index .IPAM.Config 0).Gateway}}'"
    assert docker_host.sh(gateway) != "10.78.0.1"
    again = docker_host.apply()
    assert again.counts == {"changed": 1}, again.out
    assert docker_host.sh(gateway) == "10.78.0.1"


def test_an_operators_edit_with_restart_is_undone_with_a_restart(docker_host: LabHost) -> None:
    docker_host.sh(
        """sed -i 's/^{/{"debug": true,/' /etc/docker/daemon.json && sleep 1.1 && systemctl restart docker"""
    )
    assert docker_host.docker_info("Debug") == "true"
    outcome = docker_host.apply()
    assert outcome.counts == {"changed": 1}
    assert "change file:/etc/docker/daemon.json" in outcome.items
    assert "change service:docker" in outcome.items
    assert docker_host.docker_info("Debug") == "false"
    assert docker_host.apply().counts == {"ok": 1}


def test_an_operators_edit_with_reload_is_undone_with_a_restart(docker_host: LabHost) -> None:
    docker_host.sh("""sed -i 's/^{/{"debug": true,/' /etc/docker/daemon.json && systemctl reload docker && sleep 0.5""")
    assert docker_host.docker_info("Debug") == "true"
    assert docker_host.apply().counts == {"changed": 1}
    assert docker_host.docker_info("Debug") == "false"


def test_several_changes_cost_one_restart(docker_host: LabHost) -> None:
    dropin = "/etc/systemd/system/docker.service.d/limits.conf"
    spec = {
        "files": {dropin: {"content": "[Service]\nLimitNOFILE=4096\n"}},
        "services": {"docker": {"watch": [dropin]}},
        "engine": engine(debug=True),
    }
    outcome = docker_host.apply(spec)
    assert outcome.counts == {"changed": 1}, outcome.out
    starts = docker_host.sh("journalctl -q -u docker -o cat | grep -c 'API listen on /run/docker.sock'")
    assert starts == "2", "one restart at the installation, one for all changes together"
    assert docker_host.docker_info("Debug") == "true"
    limit = docker_host.sh('grep "open files" /proc/$(systemctl show -p MainPID --value docker)/limits')
    assert limit.split()[3] == "4096"
    assert docker_host.apply().counts == {"ok": 1}


def test_a_look_at_a_host_in_the_desired_state_starts_few_processes(docker_host: LabHost) -> None:
    """Most of a look's cost is the programs that it starts on the host. The host's kernel counts them: the last process
    ID of its namespace, threads included. Only one thread is not part of the look: the one that reads the number."""
    assert docker_host.apply().counts == {"ok": 1}  # the first look may write a stamp

    def started() -> int:
        before = int(docker_host.within("cut -d ' ' -f 5 /proc/loadavg"))
        assert docker_host.apply().counts == {"ok": 1}
        return int(docker_host.within("cut -d ' ' -f 5 /proc/loadavg")) - before

    # The host's services start processes and threads at any time, so the smallest number counts.
    assert min(started() for _ in range(5)) <= 20


def test_a_touched_file_is_compared_and_not_restarted(docker_host: LabHost) -> None:
    # Without a stamp the ages decide. The start of a process is known to two seconds, so the file must be younger.
    docker_host.sh(
        'rm -r /run/provision/loaded; began=$(date -d "$(systemctl show -P ExecMainStartTimestamp docker)" +%s);'
        " while [ $(date +%s) -le $((began + 3)) ]; do sleep 0.2; done; touch /etc/docker/daemon.json"
    )
    pid = docker_host.dockerd_pid()
    assert docker_host.apply().counts == {"changed": 1}, "only a reload proves what the daemon has loaded"
    assert docker_host.apply().counts == {"ok": 1}
    assert docker_host.dockerd_pid() == pid


def test_a_daemon_json_of_equal_meaning_is_loaded_by_a_reload(docker_host: LabHost) -> None:
    """The file is left alone, no container ends, and verify passes afterwards."""
    assert docker_host.apply().code == 0
    for change in (
        "touch {}",
        "chown root:root {}",
        "chmod 0644 {}",
        "sed -i '1s/^/\\xef\\xbb\\xbf/' {}",
        "tr -d '\n' <{} >/tmp/x && cat /tmp/x >{}",
        "cp {} /tmp/x && mv /tmp/x {}",
    ):
        docker_host.sh("sleep 1.1; " + change.replace("{}", "/etc/docker/daemon.json"))
        before = docker_host.sh("cat /etc/docker/daemon.json; systemctl show -p MainPID docker")
        outcome = docker_host.apply()
        assert outcome.items == ["change service:docker"], change
        assert outcome.counts == {"changed": 1}, change
        assert docker_host.sh("cat /etc/docker/daemon.json; systemctl show -p MainPID docker") == before, change
        assert docker_host.provision("verify", "--suite", "settings", "--suite", "daemon").failed == set(), change
        assert docker_host.apply().counts == {"ok": 1}, change
    # A change of the meaning is still loaded by a restart. The file still begins with the BOM of the loop.
    pid = docker_host.dockerd_pid()
    docker_host.sh("sed -i 's/{/{\"debug\": true,/' /etc/docker/daemon.json; systemctl reload docker; sleep 0.5")
    assert "debug" in docker_host.sh("cat /etc/docker/daemon.json")
    assert docker_host.apply().counts == {"changed": 1}
    assert docker_host.dockerd_pid() != pid


def test_a_mode_is_repaired_after_a_restart(docker_host: LabHost) -> None:
    """The file is newer than the process, with the same content: the daemon is asked to read it again."""
    docker_host.sh(
        "systemctl restart docker; began=$(date +%s); while [ $(date +%s) -le $((began + 1)) ]; do sleep 0.2; done;"
        " chmod 0666 /etc/docker/daemon.json"
    )
    mended = docker_host.apply()
    assert mended.counts == {"changed": 1}, mended.out
    assert docker_host.sh("stat -c %a /etc/docker/daemon.json") == "644"
    assert docker_host.apply().counts == {"ok": 1}


def test_dockers_variables_in_the_logins_environment_have_no_effect(docker_host: LabHost) -> None:
    """docker's context, its configuration and root's environment name another daemon: provision uses this host's
    daemon."""
    spec = {"engine": engine(), "networks": {"inner": {}}}
    docker_host.sh(
        "docker context create other --docker host=tcp://127.0.0.1:1 && docker context use other;"
        " printf '%s=%s\\n' DOCKER_HOST tcp://127.0.0.1:1 DOCKER_CONTEXT other PATH /nowhere TMPDIR /nowhere"
        " POSIXLY_CORRECT 1 >>/etc/environment"
    )
    # This login now has that environment, as an operator's login would.
    assert "not found" in docker_host.sh("id 2>&1", check=False)
    made = docker_host.apply(spec)
    assert made.counts == {"changed": 1}, made.out
    assert "inner" in docker_host.within("docker --host unix:///run/docker.sock network ls --format '{{.Name}}'")
    assert docker_host.apply().counts == {"ok": 1}
    verified = docker_host.provision("verify", "--suite", "daemon", "--suite", "containers")
    assert verified.code == 0, verified.failed


def test_a_stopped_and_a_disabled_service_are_repaired(docker_host: LabHost) -> None:
    docker_host.sh("systemctl disable --now docker.service docker.socket 2>/dev/null")
    outcome = docker_host.apply()
    assert outcome.counts == {"changed": 1}
    assert docker_host.sh("systemctl is-enabled docker; systemctl is-active docker") == "enabled\nactive"
    assert docker_host.docker_info("ServerVersion")
    # Disabled only: the one difference is a missing link in a directory, which the stamp's short cut must notice.
    docker_host.sh("systemctl disable docker 2>/dev/null")
    assert docker_host.apply().counts == {"changed": 1}
    docker_host.sh("systemctl mask docker 2>/dev/null")
    error = docker_host.plan().done["error"]
    assert (error["kind"], "systemctl unmask docker" in error["message"]) == ("unsuited", True), error


def test_what_is_no_longer_declared_is_removed(docker_host: LabHost) -> None:
    base = {"engine": engine()}
    docker_host.sh("echo operator >/etc/operator; chmod 0600 /etc/operator")
    more = {
        **base,
        "sysctl": {"net.ipv4.ip_forward": 1, "net.ipv4.conf.all.rp_filter": 1},
        "files": {"/etc/declared": {"content": "x\n"}, "/etc/operator": {"content": "operator\n", "mode": "0600"}},
        "users": {"bob": {"groups": ["docker"]}},
        "packages": ["tree"],
    }
    filter_before = docker_host.sh("cat /proc/sys/net/ipv4/conf/all/rp_filter")
    assert docker_host.apply(more).counts == {"changed": 1}
    assert docker_host.sh("cat /proc/sys/net/ipv4/conf/all/rp_filter") == "1"
    planned = docker_host.plan(base)
    assert "remove file:/etc/declared" in planned.items
    assert docker_host.apply(base).counts == {"changed": 1}
    assert docker_host.sh("cat /proc/sys/net/ipv4/conf/all/rp_filter") == filter_before
    assert docker_host.sh("ls /etc/declared /etc/sysctl.d/*provision* 2>/dev/null || true") == ""
    assert "docker" not in docker_host.sh("id -nG bob").split()
    # Users, packages, and files that provision never made, stay.
    assert (
        docker_host.sh("getent passwd bob >/dev/null && command -v tree && cat /etc/operator")
        == "/usr/bin/tree\noperator"
    )
    assert docker_host.apply(base).counts == {"ok": 1}
    assert docker_host.sh("cat /var/lib/provision/manifests/docker-hosts").startswith("provision-manifest 1\n")


def test_a_daemon_json_that_is_no_longer_declared_is_removed_and_unloaded(docker_host: LabHost) -> None:
    assert docker_host.apply({"engine": engine(debug=True)}).counts == {"changed": 1}
    without = engine()
    del without["daemon"]
    outcome = docker_host.apply({"engine": without})
    assert outcome.counts == {"changed": 1}, outcome.out
    assert docker_host.sh("test -e /etc/docker/daemon.json || echo none") == "none"
    assert docker_host.docker_info("Debug") == "false"
    assert docker_host.apply().counts == {"ok": 1}


def test_two_plays_can_declare_one_setting_of_a_host(host: LabHost) -> None:
    base = {"name": "Base", "spec": {"packages": ["tree"], "sysctl": {"net.ipv4.ip_forward": 1}}}
    extra = {"name": "Extra", "spec": {"packages": ["jq"], "sysctl": {"net.ipv4.ip_forward": 1}}}
    host.playbook(base, extra)
    assert host.apply().counts == {"changed": 1}
    assert host.sh("ls /var/lib/provision/manifests") == "base\nextra"
    assert host.apply().counts == {"ok": 1}
    # One play no longer declares the setting, the other one still does.
    host.playbook({**base, "spec": {}}, extra)
    assert host.apply().counts == {"changed": 1}
    assert host.sh("cat /proc/sys/net/ipv4/ip_forward; ls /etc/sysctl.d | grep provision") == (
        "1\n99-zz-provision-extra.conf"
    )


def test_the_error_names_a_file_that_wins_at_boot(host: LabHost) -> None:
    host.sh("printf '# mine\\nnet.ipv4.ip_forward = 0\\n' >/etc/sysctl.d/zzz-late.conf")
    for command in ("plan", "apply"):
        outcome = host.provision(command, spec={"sysctl": {"net.ipv4.ip_forward": 1}})
        assert outcome.code == 3
        error = outcome.done["error"]
        assert error["kind"] == "unsuited"
        assert "/etc/sysctl.d/zzz-late.conf:2 sets net.ipv4.ip_forward" in error["message"]
        assert "{/etc/sysctl.d/zzz-late.conf: {absent: true}}" in error["message"]
    assert host.sh("cat /proc/sys/net/ipv4/ip_forward; ls /etc/sysctl.d | grep -c provision || :") == "0\n0"
    # The solution that the message offers.
    absent = {"/etc/sysctl.d/zzz-late.conf": {"absent": True}}
    assert host.apply({"sysctl": {"net.ipv4.ip_forward": 1}, "files": absent}).counts == {"changed": 1}
    assert host.apply().counts == {"ok": 1}
    assert host.apply({"sysctl": {"net.ipv4.ip_forward": 1}}).counts == {"ok": 1}
    # A live value of 0 counts as a value.
    assert host.apply({"sysctl": {"net.ipv4.ip_forward": 0}}).counts == {"changed": 1}
    assert host.sh("cat /proc/sys/net/ipv4/ip_forward") == "0"
    assert host.apply().counts == {"ok": 1}


def test_a_manifest_of_a_later_version_is_refused(host: LabHost) -> None:
    host.sh(
        "mkdir -p /var/lib/provision/manifests && echo provision-manifest 9 >/var/lib/provision/manifests/docker-hosts"
    )
    outcome = host.apply({"packages": ["tree"]})
    assert outcome.code == 3
    assert "provision-manifest 9" in outcome.done["error"]["message"]
    assert host.sh("command -v tree || echo none") == "none"
