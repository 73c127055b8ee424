"""Steps that change user accounts and groups. The host records an account before the change, so that a rollback can
restore its shell, its home and its groups."""

from __future__ import annotations

from provision.engine.daemon_json import GROUP
from provision.model import Call, Kept, Risk


def user_add(
    name: str,
    *,
    system: bool = False,
    uid: str | None = None,
    shell: str | None = None,
    home: str | None = None,
    comment: str | None = None,
) -> Call:
    kind = "--system" if system else "--create-home"
    words = _options(("--uid", uid), ("--shell", shell), ("--home-dir", home), ("--comment", comment))
    return Call("user_add", (kind, *words, "--", name), title=f"add the user {name}")


def user_change(
    name: str,
    *,
    uid: str | None = None,
    shell: str | None = None,
    home: str | None = None,
    comment: str | None = None,
) -> Call:
    words = _options(("--uid", uid), ("--shell", shell), ("--home", home), ("--comment", comment))
    changed = [key for key, value in (("uid", uid), ("shell", shell), ("home", home), ("comment", comment)) if value]
    return Call(
        "user_change",
        (*words, "--", name),
        title=f"change the {', '.join(changed)} of the user {name}" if changed else f"change the user {name}",
        keeps=_kept(name),
    )


def user_remove(name: str) -> Call:
    return Call("user_remove", (name,), title=f"remove the user {name}", keeps=_kept(name))


def group_ensure(name: str) -> Call:
    return Call("group_ensure", (name,), title=f"create the group {name} if it does not exist", risk=Risk.NONE)


def member_add(user: str, *, group: str) -> Call:
    """Membership in docker's group only adds rights. sshd or sudo may refuse the members of another group."""
    return Call(
        "member_add",
        (user, group),
        title=f"add the user {user} to the group {group}",
        risk=Risk.NONE if group == GROUP else Risk.CUT_OFF,
        keeps=_kept(user),
    )


def member_remove(user: str, *, group: str) -> Call:
    return Call(
        "member_remove", (user, group), title=f"remove the user {user} from the group {group}", keeps=_kept(user)
    )


def account_back(name: str, *, run: str, number: str) -> Call:
    """Restore an account from the record of a run: its fields of passwd(5), its password and its groups. ``number`` is
    the file's name in that record, which never leaves the host."""
    return Call(
        "account_back",
        (run, number, name),
        title=f"restore the user {name} as it was before run {run}",
        keeps=_kept(name),
    )


def _options(*pairs: tuple[str, str | None]) -> tuple[str, ...]:
    return tuple(word for flag, value in pairs if value is not None for word in (flag, value))


def _kept(name: str) -> tuple[Kept, ...]:
    return (Kept("account", name),)
