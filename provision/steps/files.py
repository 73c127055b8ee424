"""Steps that write, own or remove files and directories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from provision.engine.daemon_json import BRIDGE, DAEMON_JSON
from provision.model import Call, Kept, Risk, Written
from provision.remote.script import encoded
from provision.secrets.disclosure import open_mode

#: Files whose content cannot stop a login or sudo, and cannot remove a route. Any other file may do so.
HARMLESS_FILES = (
    # Shown at a login, by programs that continue without them (pam_motd(8), getty(8)).
    "/etc/motd",
    "/etc/issue",
    # Read by a package manager when the operator or provision uses it, and by no program that a login runs.
    "/etc/apt/sources.list.d/",
    "/etc/apt/keyrings/",
    "/etc/yum.repos.d/",
    "/etc/pki/rpm-gpg/",
    "/etc/zypp/repos.d/",
    "/etc/apk/keys/",
    # Read by dockerd at a pull or a push (docs.docker.com/engine/security/certificates).
    "/etc/docker/certs.d/",
    # Files of provision: manifests, and compose files, which have no effect until `docker compose up`.
    "/var/lib/provision/",
)


def put_file(
    path: str,
    *,
    content: bytes,
    owner: str = "root",
    group: str = "root",
    mode: str = "0644",
    watchers: tuple[str, ...] = (),
    literal: bool = False,
    private: bool = False,
    data: Mapping[str, Any] | None = None,
) -> Call:
    """Write a file. The script has text unchanged, so that a person can read it, and other content in base64. In
    ``literal`` content no text counts as a token. No plan shows a ``private`` content, or one that the mode hides from
    some users of the host. ``data`` is what a content in JSON means."""
    encoding, word = encoded(content, literal)
    return replace(
        _of_path("put_file", (path, owner, group, mode, encoding, word), f"write {path}"),
        # For text, use the encoded word: in literal content, text that looks like a token is not a token.
        writes=Written(path, word if encoding == "text" else content.decode("utf-8", "surrogateescape"), data),
        watchers=watchers,
        private=_hidden(mode, private),
    )


def own_file(
    path: str, *, content: bytes, owner: str, group: str, mode: str, literal: bool = False, private: bool = False
) -> Call:
    """Give a file another owner or mode. The step has the content too: in some directories the name may stand for
    another file when the step runs."""
    title = f"give {path} the owner {owner}:{group} and the mode {mode}"
    call = _of_path("own_file", (path, owner, group, mode, *encoded(content, literal)), title)
    return replace(call, private=_hidden(mode, private))


def remove_file(path: str, *, watchers: tuple[str, ...] = ()) -> Call:
    return replace(_of_path("remove_file", (path,), f"remove {path}"), writes=Written(path, None), watchers=watchers)


def folder_put(path: str, *, owner: str, group: str, mode: str) -> Call:
    """Make a missing directory, and set its owner and mode."""
    title = f"create the directory {path} with the owner {owner}:{group} and the mode {mode}"
    return replace(_of_path("folder_put", (path, owner, group, mode), title), keeps=(Kept("folder", path),))


def _hidden(mode: str, private: bool) -> tuple[int, ...]:
    """The position of the content among the arguments, where a plan must not show it."""
    return (5,) if private or not open_mode(mode) else ()


def _of_path(function: str, words: tuple[str, ...], title: str) -> Call:
    """A step that changes the file of the first word. dockerd keeps the address that its bridge has, unless daemon.json
    sets another one. So the host keeps the address together with daemon.json."""
    path = words[0]
    harmless = any(path == place or (place.endswith("/") and path.startswith(place)) for place in HARMLESS_FILES)
    keeps = (Kept("file", path), *((Kept("bridge", BRIDGE),) if path == DAEMON_JSON else ()))
    return Call(function, words, title, Risk.NONE if harmless else Risk.CUT_OFF, (path,), keeps=keeps)
