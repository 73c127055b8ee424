"""Users, and who is a member of which group."""

from __future__ import annotations

from collections.abc import Iterator

from provision.catalog.setting import Setting
from provision.dockerd import daemon_json
from provision.model import Resource
from provision.resources.user import Member, NoUser, User


def accounts(at: Setting) -> Iterator[Resource]:
    for name, user in at.spec.users.items():
        if user.absent:
            yield NoUser(name)
            continue
        yield User(name, user.uid, user.shell, user.home, user.comment, user.system)
        for group in user.groups:
            yield Member(name, group)
    if at.spec.engine is not None:
        for name in at.spec.engine.users:
            if daemon_json.GROUP not in (at.spec.users[name].groups if name in at.spec.users else []):
                yield Member(name, daemon_json.GROUP, ensure=False)  # the package brings the group
