"""Temporary containers for the suites. Their image needs no registry: it is made on the host from the host's programs.

All of these objects have the label, are limited in time, memory and processes, and are removed afterwards. Containers
remove themselves when their only command ends. A timer on the host removes the rest, even if provision is killed. The
label's value is that of the run: several runs may check a host at once, and none removes the objects of another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from testinfra.host import Host

from provision.verify.once import Once
from provision.verify.services import LATER, never

RUN = uuid4().hex[:12]
LABEL = f"provision.verify={RUN}"
IMAGE = f"provision-verify:{RUN}"
#: Seconds after which the host itself removes the remaining objects. All checks together take less on a slow host.
_LATEST = 3600
#: Seconds that one container may run. An emulated or overloaded host takes a minute to start one.
_LONGEST = 300
#: Seconds after which a packet without an answer counts as not forwarded. By then the kernel has sent it three times
#: (tcp(7), tcp_syn_retries: after 1 s, 3 s and 7 s).
_UNANSWERED = 5
#: Seconds to wait for an answer that must come.
_ANSWERED = 60
#: Limits of every container: memory, processes, and no new privileges.
BOUNDS = f"--label {LABEL} --memory 64m --pids-limit 32 --security-opt no-new-privileges"
#: Only checks of the network get a network, because its creation takes longer than all other steps.
OFFLINE = f"{BOUNDS} --network none"

# Repeated, because docker refuses to remove the image of a container that it is removing at that moment.
_CLEAN = (
    "for round in 1 2 3 4 5 6 7 8 9 10; do "
    f"docker ps -aq --filter label={LABEL} | xargs -r docker rm -f && "
    f"docker images -q --filter label={LABEL} | xargs -r docker rmi -f && break; sleep 1; done"
)

# Each program, and the libraries that the dynamic linker lists for it (ldd(1)), at the same paths as on the host.
_BUILD = """
set -e
if docker image inspect IMAGE >/dev/null 2>&1; then exit 0; fi
later BOUND provision-verify-clean-RUN 'CLEAN'
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/bin" "$folder/proc" "$folder/sys" "$folder/tmp"
for program in sh bash cat sleep ls readlink uname touch timeout; do
    path=$(command -v "$program")
    for file in $(ldd "$path" | grep -o '/[^ )]*'); do
        mkdir -p "$folder${file%/*}"
        cp -L "$file" "$folder$file"
    done
    cp -L "$path" "$folder/bin/$program"
done
tar -C "$folder" -c . | docker import --change 'LABEL LABEL' --change 'ENV PATH=/bin' - IMAGE
"""

#: What docker printed when it made the image, until :func:`clean` removes it.
_MADE: Once[str] = Once()


def prepare(host: Host) -> None:
    """Make sure that the image exists; raises ``AssertionError`` with docker's message when it can't be made.

    The host is asked once, because each start of docker's client takes processor time: a second on an emulated host.
    """
    _MADE.of(host, _make)


def _make(host: Host) -> str:
    script = (
        _BUILD.replace("BOUND", str(_LATEST))
        .replace("CLEAN", _CLEAN)
        .replace("IMAGE", IMAGE)
        .replace("LABEL LABEL", f"LABEL {LABEL}")
        .replace("RUN", RUN)
    )
    return str(host.check_output(LATER + script))


def run(host: Host, command: str, options: str = OFFLINE) -> str:
    """Run ``command`` in a separate container, and return its output."""
    prepare(host)
    return host.check_output(f"timeout {_LONGEST} docker run --rm {options} {IMAGE} sh -c %s", command)


@contextmanager
def running(host: Host, options: str = OFFLINE) -> Iterator[str]:
    """The id of a container that sleeps until it is removed."""
    prepare(host)
    name = host.check_output(f"docker run -d --rm {options} {IMAGE} sleep {_LATEST}")
    try:
        yield name
    finally:
        host.run("docker rm -f %s", name)


def reaches(host: Host, address: str, port: int, *, expected: bool) -> bool:
    """True if a container on docker's bridge reaches ``address``: the other end accepts or refuses the connection.

    A refusal is an answer too, so the port need not be open. A packet that is not forwarded is never answered. On a
    busy host an ``expected`` answer may take long.
    """
    script = (
        f"timeout {_ANSWERED if expected else _UNANSWERED} bash -c 'exec 3<>/dev/tcp/{address}/{port}' 2>&1 || echo $?"
    )
    said = run(host, script, BOUNDS)
    return said == "" or "Connection refused" in said


def clean(host: Host) -> None:
    """Remove what is left: containers, the image, and the timer that would have removed them."""
    _MADE.forget(host)
    host.run(f"{_CLEAN}; {never(f'provision-verify-clean-{RUN}')}")
