"""Each constructor of a step sets every field that other modules need, and each kind that a run keeps can be undone."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from provision import resources, steps
from provision.engine import steps as engine_steps
from provision.engine.steps import (
    bridge_free,
    bridge_settle,
    containers_return,
    daemon_check,
    daemon_check_content,
)
from provision.model import Blob, Call, Loading, Packed, Risk
from provision.planning.manifest import ENTRIES, KINDS, LINES
from provision.remote.sources import defined, included, sources
from provision.resources.access import program_plain, socket_guard
from provision.resources.discovery import declarations
from provision.resources.docker.compose import compose_down, compose_up
from provision.resources.docker.container import container_follow, container_put, container_remove, container_state
from provision.resources.docker.image import image_build, image_load, image_pull, image_push, image_remove, image_tag
from provision.resources.docker.network import network_put, network_remove, network_replace
from provision.resources.docker.volume import volume_put, volume_remove
from provision.resources.keyring import key_distrust, key_fetch
from provision.resources.user import (
    account_back,
    group_ensure,
    member_add,
    member_remove,
    user_add,
    user_change,
    user_remove,
)
from provision.steps.files import folder_put, own_file, put_file, remove_file
from provision.steps.packages import pkg_hold, pkg_refresh, pkg_spare, pkg_transaction, pkg_whole
from provision.steps.services import (
    port_wait,
    svc_disable,
    svc_enable,
    svc_mark,
    svc_reread,
    svc_retire,
    svc_settle,
    svc_start,
    svc_stop,
)

FIX = {source.path.name: included(source) for source in sources("fix")}
DEFINED = set().union(*defined("fix").values())


class _Sent:
    """Data to send."""

    name, title, spares = "a" * 64, "the directory app", ()

    def packed(self) -> Packed:
        raise NotImplementedError


SENT: Blob = _Sent()
LOADING = Loading("docker", "/etc/docker/daemon.json", "reload", ran=True)
PUT = container_put(
    "web",
    running=True,
    within=60,
    steady=0,
    networks=["back"],
    secrets={"PASSWORD": "a token"},
    words=["--name", "web", "app:2"],
    differs=("image", "ports"),
    limit=180,
)
#: One call of each constructor of provision/steps and provision/engine/steps.py, with its title. A step that the module
#: of a resource makes itself is here, or in a case with `titles` (tests/cases). No case has a step that is made only
#: from a record or from an archive.
EXAMPLES: list[tuple[Callable[..., Call], Call, str]] = [
    (
        socket_guard,
        socket_guard("/run/docker.sock", "docker", before="root:docker:0666"),
        "give /run/docker.sock the owner root:docker and the mode 0660",
    ),
    (
        program_plain,
        program_plain("/usr/bin/docker", before="u+s"),
        "remove the set-id bits of /usr/bin/docker",
    ),
    (put_file, put_file("/etc/docker/daemon.json", content=b"{}"), "write /etc/docker/daemon.json"),
    (
        own_file,
        own_file("/etc/x", content=b"", owner="root", group="adm", mode="0640"),
        "give /etc/x the owner root:adm and the mode 0640",
    ),
    (remove_file, remove_file("/etc/x"), "remove /etc/x"),
    (
        folder_put,
        folder_put("/srv", owner="root", group="root", mode="0755"),
        "create the directory /srv with the owner root:root and the mode 0755",
    ),
    (pkg_whole, pkg_whole(lock_timeout=300), "check that the package manager was not interrupted"),
    (pkg_refresh, pkg_refresh(lock_timeout=300), "refresh the package indexes"),
    (pkg_spare, pkg_spare("sudo", version="1.9"), "check that sudo 1.9 could be installed again"),
    (
        pkg_transaction,
        pkg_transaction(
            lock_timeout=300,
            install={"docker-ce": "5:28.5.2", "containerd.io": "1.7.24", "tree": None},
            remove=["docker.io", "nano"],
            before={"docker-ce": "5:27.0.1", "containerd.io": "1.7.24", "docker.io": "26.1", "nano": "8.4"},
        ),
        "install docker-ce 5:28.5.2, containerd.io 1.7.24, tree; remove docker.io, nano",
    ),
    (
        pkg_hold,
        pkg_hold(["docker-ce", "docker-ce-cli"], lock_timeout=300, hold=True),
        "hold docker-ce, docker-ce-cli at the installed version",
    ),
    (
        key_fetch,
        key_fetch("/etc/apt/keyrings/x.asc", url="https://me:hush@repo.example", field="f", fingerprints=()),
        "fetch the signing key /etc/apt/keyrings/x.asc",
    ),
    (key_distrust, key_distrust(["ab12"]), "withdraw the trust in the signing key ab12"),
    (svc_reread, svc_reread(), "reload the unit files of the service manager"),
    (svc_enable, svc_enable("docker"), "enable docker"),
    (svc_disable, svc_disable("docker"), "disable docker"),
    (svc_start, svc_start("docker"), "start docker"),
    (account_back, account_back("op", run="r1", number="2"), "restore the user op as it was before run r1"),
    (svc_stop, svc_stop("docker"), "stop docker"),
    (
        svc_retire,
        svc_retire("cut", path="/etc/systemd/system/cut.service"),
        "stop and disable cut, whose unit file is removed",
    ),
    (svc_settle, svc_settle(LOADING, stale=True), "reload docker"),
    (
        svc_mark,
        svc_mark("docker", watched="/etc/x", loaded="current"),
        "record which files docker has loaded until now",
    ),
    (port_wait, port_wait(5000, seconds=30, unit="registry"), "wait until registry listens on port 5000"),
    (user_add, user_add("bob"), "add the user bob"),
    (user_change, user_change("bob", home="/srv/bob"), "change the home of the user bob"),
    (user_remove, user_remove("bob"), "remove the user bob"),
    (group_ensure, group_ensure("ops"), "create the group ops if it does not exist"),
    (member_add, member_add("bob", group="docker"), "add the user bob to the group docker"),
    (member_remove, member_remove("bob", group="docker"), "remove the user bob from the group docker"),
    (daemon_check, daemon_check(), "have dockerd check /etc/docker/daemon.json"),
    (
        daemon_check_content,
        daemon_check_content(b"{}", private=False),
        "have dockerd check the new /etc/docker/daemon.json",
    ),
    (bridge_free, bridge_free("bip"), "check that no container uses docker's bridge (bip)"),
    (containers_return, containers_return(), "check that each container can be started again"),
    (
        bridge_settle,
        bridge_settle("docker", change="stop", watched="", bip="10.0.0.1/24"),
        "restart docker to give docker0 the address 10.0.0.1/24",
    ),
    (image_pull, image_pull("app:1", digest=None, renews="image:app:1", late=False), "pull the image app:1"),
    (image_push, image_push("app:1"), "push the image app:1"),
    (
        image_load,
        image_load("app:1", blob=SENT, tag="app:1", ids=["sha256:1"], shared=False, renews=("image:app:1",)),
        "load the image app:1",
    ),
    (
        image_build,
        image_build(
            "app:1",
            blob=SENT,
            context="0a",
            dockerfile="Dockerfile",
            target="",
            args=[("A", "hush")],
            renews="image:app:1",
        ),
        "build the image app:1",
    ),
    (
        image_tag,
        image_tag("sha256:0123456789abcdef", reference="app:1", renews="image:app:1"),
        "restore the name app:1 of the image sha256:0123456789ab",
    ),
    (image_remove, image_remove("app:1"), "remove the image app:1"),
    (container_put, PUT, "replace the container web (image, ports)"),
    (
        container_follow,
        container_follow("app:2", put=PUT),
        "replace the container web (image, ports) if app:2 then names another image",
    ),
    (
        container_state,
        container_state("web", verb="restart", within=60, steady=0, limit=180),
        "restart the container web",
    ),
    (container_remove, container_remove("web", limit=180), "remove the container web"),
    (network_put, network_put("back", words=["--opt", "a=hush"]), "create the network back"),
    (
        network_replace,
        network_replace("back", words=["--opt", "a=hush"], before="-", differs=["subnet"]),
        "replace the network back (subnet)",
    ),
    (network_remove, network_remove("back", before="--driver\nbridge"), "remove the network back"),
    (volume_put, volume_put("data", words=["--opt", "o=password=hush"]), "create the volume data"),
    (volume_remove, volume_remove("data"), "remove the volume data and its data"),
    (
        compose_up,
        compose_up("shop", file="/x/compose.yaml", within=60, images=("app:1",), runs=True),
        "start the compose project shop",
    ),
    (compose_down, compose_down("shop", file="/x/compose.yaml"), "stop and remove the compose project shop"),
]
BY_CONSTRUCTOR = pytest.mark.parametrize(
    ("constructor", "call", "title"), EXAMPLES, ids=[constructor.__name__ for constructor, _, _ in EXAMPLES]
)


def constructors(package: ModuleType) -> set[Callable[..., Call]]:
    found: set[Callable[..., Call]] = set()
    names = [one.name for one in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{package.__name__}.")]
    for loaded in (package, *map(importlib.import_module, names)):
        for name, one in inspect.getmembers(loaded, inspect.isfunction):
            if one.__module__ == loaded.__name__ and inspect.get_annotations(one).get("return") == "Call":
                found |= {one} if not name.startswith("_") else set()
    return found


#: The steps that the modules of resources make themselves.
OWN_STEPS = {constructor.__name__ for constructor in constructors(resources)}


def test_each_constructor_has_an_example() -> None:
    shared = {constructor for constructor, _, _ in EXAMPLES} - constructors(resources)
    assert shared == constructors(steps) | constructors(engine_steps)


def test_each_step_that_a_resource_makes_itself_has_an_example_or_a_case_with_its_title() -> None:
    assert OWN_STEPS <= DEFINED
    examples = {constructor.__name__ for constructor, _, _ in EXAMPLES}
    titled = {
        step if isinstance(step, str) else step[0]
        for path in (Path(__file__).parent / "cases").glob("*.yml")
        for case in yaml.safe_load(path.read_text()).values()
        if "titles" in case
        for step in case["steps"]
    }
    assert titled | examples >= OWN_STEPS, "add `titles` to a case of tests/cases"


@BY_CONSTRUCTOR
def test_a_constructor_has_the_name_of_its_shell_function(
    constructor: Callable[..., Call], call: Call, title: str
) -> None:
    assert call.function == constructor.__name__
    assert call.function in DEFINED


@BY_CONSTRUCTOR
def test_a_title_is_in_words_and_has_no_secret(constructor: Callable[..., Call], call: Call, title: str) -> None:
    assert call.title == title
    assert call.function not in call.title
    assert "hush" not in call.title


@BY_CONSTRUCTOR
def test_a_step_keeps_only_kinds_that_can_be_undone(constructor: Callable[..., Call], call: Call, title: str) -> None:
    assert {one.kind for one in call.keeps} <= KINDS.keys()


def test_each_kind_is_kept_by_a_step() -> None:
    package = Path(steps.__file__).parent.parent
    kept = {
        kind
        for path in package.rglob("*.py")
        for kind in re.findall(r'\bKept\(\s*"([a-z]+)"', path.read_text(encoding="utf-8"))
    }
    assert kept == {*KINDS}


def _arm(function: str, word: str) -> bool:
    """Whether a function of the transaction's frame has an arm of its own for a word."""
    (body,) = re.findall(rf"^{function}\(\) .*?^}}", FIX["transaction.sh"], re.MULTILINE | re.DOTALL)
    return re.search(rf"^ +(?:\w+ \| )*{word}\b[\w| ]*\)", body, re.MULTILINE) is not None


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_its_shell_functions(kind: str) -> None:
    assert KINDS[kind].functions <= DEFINED
    # The frame itself writes the line of a value that the plan has.
    assert _arm("keep", kind) or KINDS[kind].keep == "keep", "the frame keeps no such kind"


@pytest.mark.parametrize("word", LINES)
def test_each_kind_of_record_line_is_restored_or_ignored(word: str) -> None:
    (every,) = re.findall(r"^undo\(\) .*?^}", FIX["transaction.sh"], re.MULTILINE | re.DOTALL)
    passed_over = re.search(rf"'{word} '\*(?: \| '\w+ '\*)*\) ;;", every) is not None
    assert passed_over is not bool(LINES[word].undo)
    if LINES[word].undo:
        assert LINES[word].undo == (
            "undo_file" if word == "file" else "undo_one" if _arm("undo_one", word) else f"undo_{word}"
        )


def test_each_record_line_that_a_host_writes_is_known() -> None:
    """The lines of ``keep`` and of the functions that it calls: a word, and two more."""
    written = set()
    for text in FIX.values():
        for body in re.findall(r"^keep(?:_\w+)?\(\) .*?^}", text, re.MULTILINE | re.DOTALL):
            written |= set(re.findall(r"printf '([a-z]+) (?:%s|absent|present|-) %s", body))
    assert written - {"end"} <= LINES.keys()
    # `keep` itself writes the lines of the values that the plan has.
    assert written >= LINES.keys() - {kind for kind, one in KINDS.items() if one.keep == "keep"}


#: Lines that describe the object of another line, which a later rollback restores or names. It refuses a change after
#: which docker could not see its stores.
PART_OF_ANOTHER_LINE = {"process", "loads", "keys", "watches", "id", "made", "spare", "removed", "store"}


@pytest.mark.parametrize("word", LINES)
def test_a_later_rollback_restores_or_names_what_a_line_describes(word: str) -> None:
    """``provision rollback RUN`` reports `changed` only for a host of which it restores all, or names the rest."""
    assert (LINES[word].before is None and LINES[word].stays is None) is (word in PART_OF_ANOTHER_LINE)


def test_each_word_of_a_record_and_of_a_manifest_belongs_to_one_kind() -> None:
    assert len(LINES) == sum(len(kind.lines) for kind in KINDS.values())
    assert len(KINDS) == sum(len(one.kinds) for one in declarations())
    assert len(ENTRIES) == sum(len(one.entries) for one in declarations())


def test_a_package_transaction_keeps_the_installed_versions() -> None:
    """Each version, and the packages that a rollback installs again. A removed engine is not among them."""
    call = next(call for constructor, call, _ in EXAMPLES if constructor is pkg_transaction)
    assert call.keeps == (
        ("package", "docker-ce", "5:27.0.1"),
        ("package", "containerd.io", "1.7.24"),
        ("package", "docker.io", "26.1"),
        ("package", "nano", "8.4"),
        ("removed", "8.4", "nano"),
    )
    assert call.engine == "package"
    assert call.impact is not None
    assert call.impact.reason.startswith("containerd.io, docker-ce, docker.io: the daemon is restarted")


def test_a_step_without_a_declared_risk_arms_a_rollback() -> None:
    assert Call("a_step_of_tomorrow").risk is Risk.CUT_OFF


#: The steps that arm no rollback. They start nothing, stop nothing, and change nothing that a login, sudo or a route
#: depends on.
HARMLESS = {
    # Steps that only read, ask or record something.
    "daemon_check",
    "daemon_check_content",
    "bridge_free",
    "containers_return",
    "port_wait",
    # The package manager's indexes and locks. An interrupted dpkg is finished only with --repair-packages.
    "pkg_whole",
    "pkg_refresh",
    "pkg_spare",
    "pkg_hold",
    "key_fetch",
    # They close what makes other accounts root, and no login depends on it.
    "socket_guard",
    "program_plain",
    # A group without members; a member of docker's group.
    "group_ensure",
    "member_add",
    # Bytes in docker's store. A separate step starts what runs from them.
    "image_pull",
    "image_push",
    "image_load",
    "image_build",
    "image_tag",
    "image_remove",
    "volume_put",
}


#: Steps that change only what provision itself reads. (A reload of docker depends on the key: tests/test_proven.py.)
PROVEN = {"svc_mark"}


def test_the_list_of_steps_that_arm_no_rollback() -> None:
    assert {call.function for _, call, _ in EXAMPLES if call.risk is Risk.NONE} == HARMLESS
    assert {call.function for _, call, _ in EXAMPLES if call.risk is Risk.PROVEN} == PROVEN


def test_the_list_of_steps_that_concern_the_engine() -> None:
    assert {call.function: call.engine for _, call, _ in EXAMPLES if call.engine} == {
        "pkg_transaction": "package",
        "svc_start": "start",
        "svc_settle": "load",
        "bridge_settle": "bridge",
    }
    assert not svc_settle(Loading("ssh", "", "reload"), stale=True).engine
    assert not svc_start("ssh").engine
    assert not pkg_transaction(lock_timeout=1, install={"tree": None}, before={"tree": "absent"}).engine


def test_a_plan_disturbs_the_services_that_it_changes_while_they_run() -> None:
    """A service that only the boot starts is not among them, nor a service that has loaded its files."""
    assert {call.function for _, call, _ in EXAMPLES if call.disturbs} == {
        "svc_enable",
        "svc_disable",
        "svc_start",
        "svc_stop",
        "svc_retire",
        "svc_settle",
    }
    boot = svc_enable("forward", link="/etc/systemd/system/multi-user.target.wants/forward.service")
    assert (boot.disturbs, boot.replaces) == ((), ("/etc/systemd/system/multi-user.target.wants/forward.service",))
    assert ("service", "forward", "") in boot.keeps
    settled = svc_settle(LOADING, stale=False)
    assert (settled.disturbs, settled.keeps, settled.impact) == ((), (), None)
    assert settled.title == "record which files docker has loaded"
