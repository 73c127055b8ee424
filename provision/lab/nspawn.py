"""A lab host on this machine's kernel: an overlay over the base, a network namespace, a control group, systemd-nspawn.

The host's pid 1 is a real systemd; a reboot (nspawn ends with 133) starts it again over the same files.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from provision.errors import LabError
from provision.lab import cgroups, identity, images, network
from provision.lab.process import run
from provision.lab.store import Record, Store, alive, start_time
from provision.lines import lines_of

#: nspawn's exit status when the host rebooted; anything else means that it ended (systemd-nspawn(1)).
_REBOOT = 133
#: Directories of /var/lib in which engines keep images and containers.
STORES = ("docker", "containerd")

# Joins the groups first, so that every process of the host is in them and can be found by its group.
_SUPERVISOR = f"""\
groups=$1; shift
for procs in $groups; do echo $$ > "$procs"; done
while :; do
    "$@"
    [ $? -eq {_REBOOT} ] || exit
done
"""


#: inotify(7): the instances that all processes of one user may have. All lab hosts share those of root, and each host's
#: systemd and its services need about five. The default of 128 is too small for thirty hosts: their systemd ends with
#: "Failed to create control group inotify object".
_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
_ENOUGH = 8192


def allow_many() -> None:
    """Raise this machine's limits that many hosts on one kernel exceed; they stay raised until it boots again."""
    if int(_INSTANCES.read_text()) < _ENOUGH:
        _INSTANCES.write_text(f"{_ENOUGH}\n")


def group(name: str) -> str:
    return f"provlab-{name}"


def boot(store: Store, lab: str, name: str, suite: str, index: int, under: Path | None = None) -> Record:
    """Start the host ``name`` and record it; :func:`wait` waits until it accepts logins.

    ``under`` is the directory of a host that has ended: the new one starts from its files.
    """
    folder = store.host(lab, name)
    layers = folder / "layers"
    for part in ("upper", "work", "root"):
        (layers / part).mkdir(parents=True, exist_ok=True)
    for part in STORES:
        if under and not (folder / part).exists():
            run(["cp", "-a", under / part, folder / part])
        (folder / part).mkdir(exist_ok=True)
    root = layers / "root"
    if not os.path.ismount(root):
        image = images.path(store, suite)
        lower = f"{under / 'layers/upper'}:{image}" if under else image
        options = f"lowerdir={lower},upperdir={layers / 'upper'},workdir={layers / 'work'}"
        run(["mount", "-t", "overlay", "-o", options, "provlab", root])
    identity.ensure(root / "etc/ssh", name)
    if images.is_lookalike(suite):
        # For `python -m tools.certify`: a run on this host is no test of the distribution that os-release names.
        (root / images.MARKER).write_text("look-alike\n")
    network.add_host(index)
    entries = cgroups.create(group(name))
    argv = [
        "systemd-nspawn",
        "--quiet",
        f"--directory={root}",
        "--register=no",
        "--keep-unit",
        f"--network-namespace-path=/run/netns/{network.namespace(index)}",
        "--boot",
        f"--machine={name}",
        "--capability=all",
        # overlay2 does not work on top of an overlay. So the directories that store images are real ones: docker's, and
        # containerd's, which Engine 29 uses.
        *(f"--bind={folder / part}:/var/lib/{part}" for part in STORES),
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
    ]
    environment = {**os.environ, "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "yes", "SYSTEMD_SECCOMP": "0"}
    with open(folder / "boot.log", "ab") as log:
        process = subprocess.Popen(
            ["sh", "-c", _SUPERVISOR, "sh", " ".join(map(str, entries)), *argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=environment,
        )
    record = Record(name, lab, suite, index, process.pid, start_time(process.pid) or 0)
    store.write(record)
    return record


def wait(store: Store, record: Record, seconds: float = 300.0) -> None:
    """Wait until sshd shows its banner and systemd no longer refuses logins (pam_nologin). Raises LabError."""
    end = time.monotonic() + seconds
    nologin = store.host(record.lab, record.name) / "layers/root/run/nologin"
    while running := alive(record):
        if identity.answers(record) and not nologin.exists():
            return
        if time.monotonic() >= end:
            break
        time.sleep(0.05)
    log = store.host(record.lab, record.name) / "boot.log"
    why = f"did not start within {seconds:.0f} s" if running else "ended while it started"
    said = log.read_text(errors="replace")[-1500:] if log.exists() else ""
    raise LabError(f"lab host {record.name} {why}; the end of {log}:\n{said}")


def stop(record: Record) -> None:
    """Stop the host immediately (its files stay): kill all processes of its group, then remove its network."""
    cgroups.kill(group(record.name))
    network.remove_host(record.index)
    cgroups.remove(group(record.name))


def strip(store: Store, record: Record) -> None:
    """Remove from a stopped host the files that identify it (keys, ids), so that other hosts can start from the rest.
    A host that starts without them generates new ones."""
    folder = store.host(record.lab, record.name)
    upper = folder / "layers/upper"
    shutil.rmtree(upper / "var/log/journal", ignore_errors=True)
    for key in (*(upper / "etc/ssh").glob("ssh_host_*"), folder / "docker/engine-id"):
        key.unlink(missing_ok=True)
    (upper / "etc/machine-id").write_text("")


def destroy(store: Store, lab: str, name: str) -> None:
    """Remove all remains of a host, also of one whose boot or removal was interrupted."""
    folder = store.host(lab, name)
    cgroups.kill(group(name))
    cgroups.remove(group(name))
    prefix = f"{folder}/"
    for line in reversed(lines_of(Path("/proc/self/mounts").read_text())):
        target = line.split()[1].encode().decode("unicode_escape")
        if target.startswith(prefix):
            run(["umount", "-l", target], check=False)
    if any(line.split()[1].startswith(prefix) for line in lines_of(Path("/proc/self/mounts").read_text())):
        raise LabError(f"lab host {name}: something is still mounted below {folder}; nothing was removed")
    shutil.rmtree(folder, ignore_errors=False)
