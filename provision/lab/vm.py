"""A lab host with a separate kernel: qemu with KVM if that works, otherwise with software emulation.

It is for tests that are not possible on hosts which share this machine's kernel: cgroup version 2, kernel modules,
sysctls of the whole machine, a reboot, and a power cut.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tarfile
import time
from pathlib import Path

from provision.errors import LabError
from provision.lab import cgroups, disk, identity, network
from provision.lab.process import run
from provision.lab.store import SUBNET, Record, Store, alive, start_time

_MEMORY = "1536"  # MiB
#: Mitigations of processor flaws are off: on an emulated machine they take a quarter of a boot's processor time.
_KERNEL = "root=/dev/vda rw console=ttyS0 quiet panic=5 net.ifnames=0 mitigations=off"
#: The emulator translates a program again for each address that it is loaded at. So all processes of a program have one
#: address, and the machine has one processor: a process starts in a fifth of the time, and dockerd in a quarter.
_EMULATED = "norandmaps"

# Joins the groups first, so that all processes of the machine can be found by their group.
_SUPERVISOR = """\
groups=$1; shift
for procs in $groups; do echo $$ > "$procs"; done
exec "$@"
"""

_NETWORK = """\
[Match]
Name=eth0

[Network]
Address={address}/24
LinkLocalAddressing=no
"""


def group(name: str) -> str:
    return f"provlab-{name}"


def boot(store: Store, lab: str, name: str, suite: str, index: int) -> Record:
    """Make the host ``name`` and start it; :func:`wait` waits until it accepts logins (50 s without KVM)."""
    folder = store.host(lab, name)
    folder.mkdir(parents=True, exist_ok=True)
    image = disk.path(store, suite)
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", image / "disk.img", "-F", "raw", folder / "disk.qcow2"])
    seed = folder / "seed"
    identity.ensure(seed / "etc/ssh", name)
    (seed / "etc/hostname").write_text(f"{name}\n")
    (seed / "etc/systemd/network").mkdir(parents=True, exist_ok=True)
    (seed / "etc/systemd/network/10-lab.network").write_text(_NETWORK.format(address=f"{SUBNET}.{index}"))
    with tarfile.open(folder / "seed.tar", "w") as archive:
        archive.add(seed, ".")
    return start(store, Record(name, lab, suite, index, 0, 0, "vm"))


def start(store: Store, record: Record, kernel: str = "") -> Record:
    """Start the machine and return its new record; ``kernel`` is added to the kernel command line."""
    folder = store.host(record.lab, record.name)
    image = disk.path(store, record.suite)
    accelerator = _accelerator(store, image)
    drive = "if=virtio,cache=unsafe,format"
    processors, fitting = ("2", "") if accelerator == "kvm" else ("1", _EMULATED)
    words = " ".join(word for word in (_KERNEL, fitting, kernel) if word)
    argv = [
        f"qemu-system-{platform.machine()}",
        *("-accel", accelerator, "-cpu", _cpu(accelerator), "-smp", processors, "-m", _MEMORY),
        *("-nodefaults", "-display", "none", "-serial", f"file:{folder / 'console.log'}"),
        *("-kernel", image / "vmlinuz", "-initrd", image / "initrd", "-append", words),
        *("-drive", f"{drive}=qcow2,file={folder / 'disk.qcow2'}"),
        *("-drive", f"{drive}=raw,readonly=on,file={folder / 'seed.tar'}"),
        *("-netdev", f"tap,id=lan,ifname={network.add_tap(record.index)},script=no,downscript=no"),
        *("-device", f"virtio-net-pci,netdev=lan,mac={network.hardware(record.index)}"),
        *("-device", "virtio-rng-pci"),
    ]
    entries = cgroups.create(group(record.name))
    with open(folder / "boot.log", "ab") as log:
        process = subprocess.Popen(
            ["sh", "-c", _SUPERVISOR, "sh", " ".join(map(str, entries)), *map(str, argv)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    found = Record(
        record.name, record.lab, record.suite, record.index, process.pid, start_time(process.pid) or 0, record.kind
    )
    store.write(found)
    return found


def wait(store: Store, record: Record, seconds: float = 900.0) -> None:
    """Wait until the host accepts logins and systemd has reached multi-user.target. Raises LabError."""
    folder = store.host(record.lab, record.name)
    known = folder / "known_hosts"
    known.write_text("\n".join(identity.known_hosts(store, record)) + "\n")
    # A login takes long on an emulated machine. So the probe logs in once, when sshd answers, and waits on the host.
    booted = "systemctl is-system-running --wait >/dev/null; systemctl is-active --quiet multi-user.target"
    ready = [*identity.ssh(store, record, known), booted]
    ready[1:1] = ["-o", "ConnectTimeout=10", "-o", "BatchMode=yes"]
    end = time.monotonic() + seconds
    while time.monotonic() < end and alive(record):
        if identity.answers(record) and run(ready, check=False).returncode == 0:
            return
        time.sleep(0.2)
    raise LabError(f"lab host {record.name} did not start; see {folder / 'console.log'}")


def stop(record: Record) -> None:
    """Cut the power: kill the emulator. Data that the machine has not written to its disk is lost."""
    cgroups.kill(group(record.name))
    network.remove_host(record.index)
    cgroups.remove(group(record.name))


def destroy(store: Store, lab: str, name: str) -> None:
    """Remove all remains of a host, also of one whose boot or removal was interrupted."""
    cgroups.kill(group(name))
    cgroups.remove(group(name))
    shutil.rmtree(store.host(lab, name))


def _cpu(accelerator: str) -> str:
    """The processor model of the machine. An emulated one has no AVX: its emulation takes more time than AVX saves."""
    return "Nehalem" if accelerator != "kvm" and platform.machine() == "x86_64" else "max"


def _accelerator(store: Store, image: Path) -> str:
    """KVM if a kernel really starts under it, otherwise emulation. The existence of /dev/kvm does not prove that."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg,thread=multi"
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    known = store.root / f"kvm-{boot_id}"
    if not known.exists():
        # Without a root file system the kernel prints its version and panics, and the machine ends.
        argv = [f"qemu-system-{platform.machine()}", "-accel", "kvm", "-cpu", "max", "-m", "256", "-no-reboot"]
        argv += ["-nodefaults", "-display", "none", "-serial", "stdio", "-kernel", str(image / "vmlinuz")]
        argv += ["-append", "console=ttyS0 panic=-1"]
        try:
            done = subprocess.run(argv, capture_output=True, timeout=15, check=False, stdin=subprocess.DEVNULL)
            works = b"Linux version" in done.stdout
        except subprocess.TimeoutExpired:
            works = False
        known.write_text("kvm" if works else "")
    return "kvm" if known.read_text() == "kvm" else "tcg,thread=multi"
