"""User accounts, and who is a member of which group."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from provision.engine import daemon_json
from provision.lines import words_of
from provision.model import Call, Drift, HostReport, Kept, Resource, Risk, State
from provision.remote.frames import GROUP, PASSWD, rows
from provision.resources import declaration as d
from provision.resources.base import Base
from provision.spec import Spec

ABSENT = "absent"


def _of_account(function: str, words: tuple[str, ...], title: str, name: str) -> Call:
    """The host records an account before a change, so that a rollback can restore its shell, home and groups."""
    return Call(function, words, title, keeps=(Kept("account", name),))


def user_add(name: str, *, system: bool = False, **fields: str) -> Call:
    """``fields`` are those of passwd(5): uid, shell, home, comment."""
    kind = "--system" if system else "--create-home"
    words = (word for key, value in fields.items() for word in ("--home-dir" if key == "home" else f"--{key}", value))
    return Call("user_add", (kind, *words, "--", name), title=f"add the user {name}")


def user_change(name: str, **fields: str) -> Call:
    changed = [key for key, value in fields.items() if value]
    words = (*(word for key, value in fields.items() for word in (f"--{key}", value)), "--", name)
    what = f"the {', '.join(changed)} of the user" if changed else "the user"
    return _of_account("user_change", words, f"change {what} {name}", name)


def user_remove(name: str) -> Call:
    return _of_account("user_remove", (name,), f"remove the user {name}", name)


def group_ensure(name: str) -> Call:
    return Call("group_ensure", (name,), title=f"create the group {name} if it does not exist", risk=Risk.NONE)


def member_add(user: str, *, group: str) -> Call:
    """Membership in docker's group only adds rights. sshd or sudo may refuse the members of another group."""
    call = _of_account("member_add", (user, group), f"add the user {user} to the group {group}", user)
    return replace(call, risk=Risk.NONE if group == daemon_json.GROUP else Risk.CUT_OFF)


def member_remove(user: str, *, group: str) -> Call:
    return _of_account("member_remove", (user, group), f"remove the user {user} from the group {group}", user)


def account_back(name: str, *, run: str, number: str) -> Call:
    """Restore an account from the record of a run: its fields of passwd(5), its password and its groups. ``number`` is
    the file's name in that record, which never leaves the host."""
    title = f"restore the user {name} as it was before run {run}"
    return _of_account("account_back", (run, number, name), title, name)


class Account(Base, frozen=True):
    """An account of the host, in whatever state it has to be."""

    kind = "user"
    place = d.Place.ACCOUNTS
    looks = "look_users"

    name: str


class User(Account, frozen=True):
    """An account. A field that is ``None`` is left unchanged. Its groups are :class:`Member` resources."""

    uid: int | None = None
    shell: str | None = None
    home: str | None = None
    comment: str | None = None
    system: bool = False

    def want(self) -> State:
        wanted = {"uid": self.uid, "shell": self.shell, "home": self.home, "comment": self.comment}
        return {"account": "present", **{key: str(value) for key, value in wanted.items() if value is not None}}

    def seen(self, report: HostReport) -> State:
        return _account(report, self.name)

    def fix(self, drift: Drift) -> Iterator[Call]:
        wanted = {key: drift.want[key] for key in drift.keys if key != "account"}
        if "account" in drift:
            yield user_add(self.name, system=self.system, **wanted)
        else:
            yield user_change(self.name, **wanted)


class NoUser(Account, frozen=True):
    """An account that must not exist; its home stays."""

    desired = ("account", ABSENT)

    def seen(self, report: HostReport) -> State:
        return {"account": _account(report, self.name).get("account", ABSENT)}

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield user_remove(self.name)


class Membership(Base, frozen=True):
    user: str
    group: str

    @property
    def id(self) -> str:
        return f"member:{self.group}/{self.user}"

    def look(self) -> tuple[Call, ...]:
        return (Call("look_users", (self.user,)), Call("look_groups", (self.group,)))


class Member(Membership, frozen=True):
    """A user in a group. ``ensure`` makes a missing group (not for a group that a package brings)."""

    desired = ("member", "yes")

    ensure: bool = True

    @property
    def makes(self) -> tuple[str, ...]:
        return (f"member {self.group} {self.user}",)

    def seen(self, report: HostReport) -> State:
        return {"member": "yes" if _is_member(report, self.user, self.group) else "no"}

    def fix(self, drift: Drift) -> Iterator[Call]:
        if self.ensure:
            yield group_ensure(self.group)
        yield member_add(self.user, group=self.group)


class NoMember(Membership, frozen=True):
    """A membership that a play made and no longer declares."""

    desired = ("member", "no")

    def seen(self, report: HostReport) -> State:
        asked = report.get("groups")
        if asked is None or self.group not in words_of(asked[1]):  # not read: the manifest says that provision made it
            return {"member": "yes"}
        return {"member": "yes" if _is_member(report, self.user, self.group) else "no"}

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield member_remove(self.user, group=self.group)


class KeptAccount(Account, frozen=True):
    """An account as the record of ``run`` has it. Only the host compares them: the record has the password's hash."""

    run: str
    number: str

    def want(self) -> State:
        return {"account": f"as before run {self.run}"}

    def look(self) -> tuple[Call, ...]:
        return (Call("look_kept_account", (self.run, self.number, self.name)),)

    def seen(self, report: HostReport) -> State:
        differs = report.fields("kept_account", self.name)[0]
        return {"account": differs} if differs else self.want()

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield account_back(self.name, run=self.run, number=self.number)


def _account(report: HostReport, name: str) -> dict[str, str]:
    """passwd(5)'s fields of a user; empty when there is none."""
    for line in rows(report.fields("users")[0], PASSWD, "one of passwd(5)"):
        if line[1] == name:
            keys = ("uid", "gid", "comment", "home", "shell")
            return {"account": "present", **dict(zip(keys, line.groups()[1:], strict=True))}
    return {}


def _is_member(report: HostReport, user: str, group: str) -> bool:
    """group(5): the group lists the user, or it is the user's primary group."""
    for line in rows(report.fields("groups")[0], GROUP, "one of group(5)"):
        if line[1] == group:
            return user in line[3].split(",") or _account(report, user).get("gid") == line[2]
    return False


def _declared(spec: Spec) -> Iterator[Resource]:
    for name, user in spec.users.items():
        if user.absent:
            yield NoUser(name)
            continue
        yield User(name, user.uid, user.shell, user.home, user.comment, user.system)
        for group in user.groups:
            yield Member(name, group)
    if spec.engine is not None:
        for name in spec.engine.users:
            if daemon_json.GROUP not in (spec.users[name].groups if name in spec.users else []):
                yield Member(name, daemon_json.GROUP, ensure=False)  # the package brings the group


_LINE = d.RecordLine(
    "undo_account",
    lambda line, record: [] if line.word == ABSENT else [KeptAccount(line.rest, record.run, line.word)],
    lambda line, report: f"user {line.rest}, which the run added" if line.word == ABSENT else "",
)
DECLARATION = d.Declaration(
    d.Part(d.Place.ACCOUNTS, _declared),
    {"account": d.Kind("keep_account", {"account": _LINE}, d.Stage.OBJECTS)},
    # The entry has the group, a blank and the user.
    {"member": d.Entry(lambda rest, before, watchers: NoMember(*rest.partition(" ")[::-2]))},
)
