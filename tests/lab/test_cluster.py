"""A real Dask cluster over mutual TLS, with processes on this machine. One of its workers is killed during a run."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.lab.conftest import LabHost, Outcome, engine, together


@dataclass
class Certificates:
    """A small CA, and a certificate for each member."""

    folder: Path

    def make(self) -> Certificates:
        self._openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test CA", *self._out("ca")
        )
        extensions = self.folder / "extensions"
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        for name in ("node", "stranger"):
            self._openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", *self._out(name, "csr"))
        self._openssl(
            *("x509", "-req", "-in", str(self.folder / "node.csr"), "-CA", str(self.folder / "ca.pem")),
            *("-CAkey", str(self.folder / "ca.key"), "-days", "2", "-extfile", str(extensions)),
            *("-out", str(self.folder / "node.pem")),
        )
        # A certificate that no authority of the cluster has signed.
        stranger = [str(self.folder / f"stranger.{ending}") for ending in ("csr", "key", "pem")]
        self._openssl("x509", "-req", "-in", stranger[0], "-signkey", stranger[1], "-days", "2", "-out", stranger[2])
        return self

    def _out(self, name: str, ending: str = "pem") -> list[str]:
        return ["-keyout", str(self.folder / f"{name}.key"), "-out", str(self.folder / f"{name}.{ending}")]

    def _openssl(self, *words: str) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True)

    def options(self, member: str = "node", prefix: str = "--tls-", ca: str = "ca-file") -> list[str]:
        pairs = {ca: "ca.pem", "cert": f"{member}.pem", "key": f"{member}.key"}
        return [word for name, file in pairs.items() for word in (f"{prefix}{name}", str(self.folder / file))]


@dataclass
class Dask:
    """A scheduler and workers, each in a separate process."""

    certificates: Certificates
    port: int
    folder: Path
    scheduler: subprocess.Popen[bytes] | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"tls://127.0.0.1:{self.port}"

    def start(self, workers: int) -> Dask:
        self.scheduler = self._process("distributed.cli.dask_scheduler", "--port", str(self.port), "--no-dashboard")
        for number in range(workers):
            words = [self.url, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--name", f"w{number}"]
            self.workers.append(
                self._process("distributed.cli.dask_worker", *words, "--local-directory", str(self.folder))
            )
        return self

    def _process(self, module: str, *words: str) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", module, *words, "--host", "127.0.0.1", *self.certificates.options()]
        environment = {**os.environ, "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true"}
        with (self.folder / "dask.log").open("ab") as log:
            return subprocess.Popen(argv, env=environment, stdout=log, stderr=log)

    def stop(self) -> None:
        for process in [*self.workers, self.scheduler]:
            if process is not None:
                process.kill()
                process.wait()


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[Dask]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    (tmp_path / "dask").mkdir()
    found = Dask(Certificates(tmp_path / "dask").make(), port, tmp_path / "dask").start(3)
    yield found
    found.stop()
    print((found.folder / "dask.log").read_text()[-6000:])


@pytest.fixture(scope="module")
def three(docker_fleet: Callable[[int], list[LabHost]]) -> list[LabHost]:
    return together(docker_fleet(3))


def applies(host: LabHost) -> str:
    """The number of runs of which a host has records. Each of them changed something."""
    return host.sh("ls /var/lib/provision/runs | wc -l")


def test_after_the_death_of_a_worker_each_host_is_changed_once(three: list[LabHost], dask: Dask) -> None:
    first = three[0]
    first.playbook({"spec": {"engine": engine(labels=["a=1"], icc=False)}, "rollout": {"max_failures": 3}})
    before = [int(applies(host)) for host in three]
    words = ["--cluster", dask.url, "--shard", "1", *dask.certificates.options(prefix="--cluster-", ca="ca")]
    argv = [sys.executable, "-m", "provision", "apply", "-i", str(first.folder / "inventory.yml")]
    argv += [str(first.folder / "site.yml"), "--json", "--yes", *words]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines, killed = [], False
    for line in process.stdout:
        lines.append(line)
        if not killed and '"step.begin"' in line and "svc_settle" in line:
            # In the middle of a restart of docker, one of the three workers is killed.
            dask.workers[0].send_signal(signal.SIGKILL)
            killed = True
    code = process.wait()
    assert process.stderr is not None
    outcome = Outcome(code, "".join(lines), process.stderr.read())
    assert killed
    assert (code, outcome.counts) == (0, {"changed": 3}), outcome.out + outcome.err
    assert [int(applies(host)) for host in three] == [number + 1 for number in before], "one apply on each host"
    for host in three:
        assert host.docker_info("Labels") == "[a=1]"
    # A spec that breaks the daemon, run by the two workers that are left. The controller keeps the budget of failures.
    first.playbook({"spec": {"engine": engine(**{"storage-driver": "none-such"})}, "rollout": {"serial": [1, "100%"]}})
    broken = first.apply(None, "--no-lint", *words)
    assert broken.code == 3
    assert broken.counts == {"rolled_back": 1, "skipped": 2}


def test_only_members_with_a_certificate_of_the_authority_take_part(three: list[LabHost], dask: Dask) -> None:
    first = three[0]
    (first.folder / "group_vars").mkdir()
    (first.folder / "group_vars/all.yml").write_text("word: !secret {file: word}\n")
    (first.folder / "group_vars/word").write_text("cluster-secret-1\n")
    first.playbook({"spec": {"files": {"/etc/app": {"content": "{{ word }}\n", "mode": "0600"}}}})
    files = dask.certificates.options(prefix="--cluster-", ca="ca")
    end = time.monotonic() + 60
    while first.plan(None, "--cluster", dask.url, *files).code != 0:
        assert time.monotonic() < end, "the cluster must start"
    for words, said in (
        (["--cluster", "tcp://192.0.2.1:8786"], "accepts commands from every user"),
        (["--cluster", dask.url], "needs --cluster-ca, --cluster-cert, --cluster-key"),
        (["--cluster", dask.url.replace("tls", "tcp"), *files], "accepts commands from every user"),
        (["--cluster", "127.0.0.1:8786"], "is not the address of a scheduler"),
        (["--cluster", dask.url, *dask.certificates.options("stranger", "--cluster-", "ca")], "no cluster at tls://"),
    ):
        refused = first.apply(None, *words)
        assert (refused.code, said in refused.err) == (1, True), (words, refused.err)
    assert three[0].sh("ls /etc/app 2>/dev/null || echo none") == "none"
    # A plan of this process equals the plan of other processes, although the tokens of secrets differ.
    plan = first.folder / "plan.json"
    assert first.plan(None, "--out", str(plan)).code == 0
    assert "keyed hash" in plan.read_text(), "the file is private: the plan has neither its value nor a reference"
    changed = first.apply(None, "--plan", str(plan), "--cluster", dask.url, *files, "--shard", "2")
    assert (changed.code, changed.counts) == (0, {"changed": 3}), changed.out + changed.err
    assert {host.sh("cat /etc/app") for host in three} == {"cluster-secret-1"}
    assert "cluster-secret-1" not in changed.out + changed.err + plan.read_text()
