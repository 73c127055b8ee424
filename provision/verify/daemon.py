"""What a running daemon says of itself: asked once per host and run, for it takes the host a tenth of a second."""

from __future__ import annotations

import json
import threading
from typing import Any
from weakref import WeakKeyDictionary

from testinfra.host import Host

_INFO: WeakKeyDictionary[Host, Any] = WeakKeyDictionary()
_LOCK = threading.Lock()

# The client starts every plugin that it finds, only to list them, which takes longer than the answer. In a mount
# namespace of its own (unshare(1)) it finds none; where that can't be made, it is asked as it is.
_INFO_COMMAND = """
docker_info="docker info --format '{{json .}}'"
unshare --mount sh -c "
    for folder in /usr/local/lib /usr/local/libexec /usr/lib /usr/libexec; do
        folder=\\$folder/docker/cli-plugins
        [ ! -d \\$folder ] || mount -t tmpfs none \\$folder || exit 1
    done
    exec $docker_info" 2>/dev/null || eval "$docker_info"
"""


def info(host: Host) -> Any:
    """`docker info` as JSON (moby, api/types/system/info.go)."""
    with _LOCK:
        found = _INFO.get(host)
    if found is None:
        found = ask(host, _INFO_COMMAND)
        # Without a daemon the client prints an empty answer and succeeds.
        assert found.get("ServerVersion"), found.get("ServerErrors") or "the daemon does not answer"  # noqa: S101
        with _LOCK:
            _INFO[host] = found
    return found


def ask(host: Host, command: str) -> Any:
    """The JSON that a command prints."""
    return json.loads(host.check_output(command))
