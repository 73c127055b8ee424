"""The table of distributions: every row is tested with all modules that read the table, and so are a project's own
rows."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from docsite import distributions as pages
from provision import distros, tasks
from provision.catalog import Options, compile_catalog, contents
from provision.commands.render import _platform
from provision.distros import custom
from provision.distros import table as table_module
from provision.distros.table import Distribution, engines
from provision.engine import doctor
from provision.errors import SpecError
from provision.lint.project import lint
from provision.load import Loaded, load
from provision.model import Call, Drift, Platform
from provision.remote.protocol import Seen
from provision.remote.script import Looks, family_case, look_script
from provision.remote.sources import SH
from provision.resources.obstacle import Obstacle, Unfixable
from provision.resources.packages import Packages
from provision.resources.service import Service
from provision.text import yamlfile
from provision.transport.execute import Finished
from provision.transport.ssh import HostError
from provision.verify import package_manager
from provision.verify.declared import system as declared
from tests.conftest import Project
from tests.shells import each_shell, run
from tools.certify.evidence import read_all

ROWS = distros.rows()
SPEC = "engine: {daemon: {log-driver: local, live-restore: true}}"
each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.id}-{row.version}")


def through(row: Distribution, given: Loaded) -> Platform:
    """Test a row with all modules that read the table: catalog, repositories, lint, doctor, render, verify, the look
    script."""
    on = distros.example(row)
    assert (on.id, on.version) == (row.id, row.version)
    assert on.family in distros.FAMILIES
    config = given.configs[0]
    resources = compile_catalog(config, on, given.context, Options())
    obstacles = [resource.message for resource in resources if isinstance(resource, Obstacle)]
    image = on.family == distros.IMAGE
    assert bool(obstacles) == (image or not (on.docker or on.engine)), obstacles
    installed = {name for one in resources if isinstance(one, Packages) for name in one.present}
    rendered = dict(contents(resources))
    sources = b"".join(content for path, content in rendered.items() if "docker" in path and "daemon" not in path)
    if on.docker and not image:
        assert f"https://download.docker.com/linux/{on.docker}".encode() in sources
        assert "docker-ce" in installed
        assert not on.family.startswith("apt") or f"Suites: {on.suite}\n".encode() in sources
    elif not image:
        assert set(engines()[row.engine].values()) <= installed
    assert lint(given.configs, given.context) == []
    ends = row.release_of(row.version).ends
    verdict = doctor.distribution(on, date(1970, 1, 1))
    assert verdict.level == ("ok" if ends else "warning"), verdict
    assert ends in verdict.text
    for part in package_manager.PROGRAMS:
        witness(row, on, part, given.configs[0].distributions)
    assert row.like or on.family == reported_family(row)
    return on


class Host:
    """A testinfra host that has the programs of one family, and an engine of one package."""

    managers = {"apt": "dpkg-query", "apt-openrc": "dpkg-query", "apk": "apk", "pacman": "pacman", "image": ""}  # noqa: RUF012

    def __init__(self, row: Distribution, parts: dict[str, str]) -> None:
        self.row, self.parts = row, parts
        self.manager = self.managers.get(row.family, "rpm")

    def exists(self, name: str) -> bool:
        return name == self.manager

    def check_output(self, command: str, *words: str) -> str:
        assert "os-release" in command
        base = "UBUNTU_CODENAME" if self.row.docker == "ubuntu" else "DEBIAN_CODENAME"
        codename = self.row.release_of(self.row.version).codename
        return f'ID={self.row.id}\nVERSION_ID="{self.row.version}"\nVERSION_CODENAME={codename}\n{base}={codename}\n'

    def run(self, command: str, *words: str) -> Any:
        text = " ".join([command, *words])
        found = [name for program, name in self.parts.items() if f"/{program}" in text]
        text = ""
        if "readlink" in command and found:
            text = f"/usr/bin/{re.findall(r'folder/([a-z-]+)', command)[0]}\n"
        elif found:
            text = {
                "apk": f"{words[-1:]} is owned by {found[0]}-28.3.3-r0\n",
                "dpkg-query": f"{found[0]}: /usr/bin/x\n",
            }.get(self.manager, f"{found[0]}\n")
        return SimpleNamespace(stdout=text, succeeded=bool(text))


def witness(row: Distribution, on: Platform, part: str, extra: tuple[Distribution, ...]) -> None:
    """verify names the package of a part: Docker's, or the package that owns the program, or none where there is
    none."""
    program, word = package_manager.PROGRAMS[part], package_manager.PARTS[part]
    own = engines().get(row.engine, {})
    names = {program: own.get(word, own.get("engine", ""))} if word in own or word == "cli" else {}
    host: Any = Host(row, {key: name for key, name in names.items() if name})
    if on.docker:
        assert package_manager.named(host, part, extra) == part
    if own and on.family != distros.IMAGE:
        expected = own.get(word) or (own["engine"] if word == "cli" else None)
        assert package_manager.named(host, part + package_manager.OF_DISTRIBUTION, extra) == expected


def reported_family(row: Distribution) -> str:
    """The family that the host's shell finds, by the arms that the look script has from the table."""
    lines = f"os_id={row.id}\nos_version={row.version}\n{family_case(())}\nemit family $family"
    frames, _ = run(["dash"], [], lines)
    return frames[0][1]


@each_row
def test_each_row_works_with_each_module_that_reads_the_table(project: Project, row: Distribution) -> None:
    project.spec(SPEC)
    through(row, project.load())


NEW = {
    "id": "newlinux",
    "name": "New Linux",
    "family": "dnf",
    "docker": "centos/9",
    "releases": {"3": {"ends": "2031-01-01"}},
    "sources": ["a test"],
}


def test_a_new_distribution_needs_one_row_only(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    known = table_module._table()
    more = msgspec.structs.replace(known, distributions=(*ROWS, msgspec.convert(NEW, Distribution)))
    monkeypatch.setattr(table_module, "_table", lambda: more)
    project.spec(SPEC)
    on = through(distros.rows()[-1], project.load())
    assert on.name == "New Linux 3"
    assert on.support_ends == "2031-01-01"


def test_no_other_module_has_the_id_of_a_distribution() -> None:
    """Once verify had a second table, and raised KeyError: 'amzn'."""
    import ast

    package = Path(distros.__file__).parent.parent
    ids = {row.id for row in ROWS}
    allowed = {("commands/render.py", "debian")}  # the default distribution of render
    for path in sorted(package.rglob("*.py")):
        name = str(path.relative_to(package))
        if name.startswith(("distros/", "lab/")):
            continue
        words = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
        found = {(name, word) for word in words if isinstance(word, str) and word in ids}
        assert found <= allowed, found


def test_each_row_of_the_table_is_complete() -> None:
    for row in ROWS:
        assert row.sources, row.id
        assert not row.engine or row.engine in engines(), row.id
        assert row.covers(row.version), row.id
        assert row.suite in ("", "base") or row.family == "apt", row.id
        assert not row.family.startswith("apt") or not row.docker or distros.example(row).suite, row.id
        for release in row.releases.values():
            assert not release.ends or date.fromisoformat(release.ends)
    pairs = [(row.id, row.minimum) for row in ROWS]
    assert len(pairs) == len(set(pairs))


@pytest.mark.parametrize(
    ("host", "docker", "suite"),
    [
        (("linuxmint", "22.1", "xia", "noble"), "ubuntu", "noble"),
        (("linuxmint", "6", "faye", "bookworm"), "debian", "bookworm"),
        (("pop", "22.04", "jammy", "jammy"), "ubuntu", "jammy"),
        (("zorin", "17", "jammy", "jammy"), "ubuntu", "jammy"),
        (("kali", "2025.4", "kali-rolling", ""), "debian", "trixie"),
        (("ubuntu", "26.04", "resolute", "resolute"), "ubuntu", "resolute"),
        (("debian", "13", "trixie", ""), "debian", "trixie"),
        (("openEuler", "22.03", "", ""), "centos/8", ""),
        (("openEuler", "24.03", "", ""), "centos/10", ""),
        (("anolis", "8.8", "", ""), "centos/8", ""),
        (("anolis", "23", "", ""), "centos/9", ""),
        (("alinux", "3", "", ""), "centos/8", ""),
        (("tencentos", "3.1", "", ""), "centos/8", ""),
        (("tencentos", "4.4", "", ""), "centos/9", ""),
        (("kylin", "V10", "", ""), "centos/8", ""),
        (("kylin", "V11", "", ""), "centos/10", ""),
        (("ol", "9.1", "", ""), "centos/9", ""),
        (("rocky", "9.4", "", ""), "centos/9", ""),
        (("fedora", "44", "", ""), "fedora/44", ""),
        (("amzn", "2023", "", ""), "", ""),
        (("amzn", "2", "", ""), None, ""),
        (("openEuler", "20.03", "", ""), None, ""),
        (("anolis", "7.9", "", ""), None, ""),
        (("nosuch", "1", "", ""), None, ""),
    ],
    ids=lambda value: "-".join(value[:2]) if isinstance(value, tuple) else None,
)
def test_a_host_gets_the_repository_and_suite_of_its_distribution(
    host: tuple[str, str, str, str], docker: str | None, suite: str
) -> None:
    id, version, codename, base = host
    found = distros.platform(id, version, codename, base=base)
    assert (found.docker if found else None) == docker
    assert found is None or found.suite == suite


DERIVATIVE = {
    "new": ("newlinux", "3", "", "New Linux 3", "rhel centos fedora", "", "platform:el9"),
    "mint": ("newmint", "25", "xyz", "New Mint 25", "ubuntu debian", "noble", ""),
    "debian": ("newdeb", "7", "bookworm", "New Deb 7", "debian", "", ""),
    "suse": ("newsuse", "1", "", "New Suse 1", "suse opensuse-leap", "", ""),
    "own major": ("newel", "8.10", "", "New EL 8.10", "rhel fedora", "", ""),
    "nothing": ("lonely", "1", "", "Lonely 1", "", "", ""),
    "hostile": ("a: {b: c}", "1", "", "Hostile", "rhel", "", ""),
}
LOOKS: Looks = {name: [Call("look_files")] for name in distros.FAMILIES}
LINES = {
    "new": "newlinux: {like: centos, version: 9}",
    "mint": 'newmint: {like: ubuntu, version: "24.04"}',
    "debian": "newdeb: {like: debian, version: 12}",
    "suse": 'newsuse: {like: opensuse-leap, version: "15.6"}',
    "own major": "newel: {like: rhel, version: 8}",
}


def test_the_table_is_read_as_the_projects_files_are() -> None:
    """provision's own reader of the table is faster, and reads the same values."""
    path = Path(table_module.__file__).with_name("distros.yml")
    strict = msgspec.convert(yamlfile.load(path), table_module._Table)
    assert msgspec.convert(yamlfile.shipped(path), table_module._Table, strict=False) == strict


def answering(monkeypatch: pytest.MonkeyPatch, said: tuple[str, ...], *more: tuple[str, ...]) -> list[str]:
    """A host that answers with its os-release, and the scripts that provision sent to it."""
    sent: list[str] = []

    def execute(connection: Any, login: Any, script: str, deadline: float, on_frame: Any) -> Finished:
        sent.append(script)
        for frame in (("platform", *said), *more, ("end",)):
            on_frame(frame)
        return Finished(0, "")

    monkeypatch.setattr(tasks, "execute", execute)
    return sent


def loaded(project: Project) -> Loaded:
    return load(project.folder / "inventory", project.folder / "playbooks/site.yml")


@pytest.mark.parametrize("case", DERIVATIVE)
def test_an_unknown_distribution_is_refused_with_the_row_to_add(
    project: Project, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    project.spec("sysctl: {net.ipv4.ip_forward: 1}")
    said = DERIVATIVE[case]
    answering(monkeypatch, said)
    see: Any = tasks._see
    config = loaded(project).configs[0]
    with pytest.raises(HostError) as caught:
        see(None, config, look_script(LOOKS, config.distributions), 0.0)
    assert caught.value.failure.kind == "unsupported"
    message = str(caught.value)
    assert message.startswith(f"{said[3]} ({said[0]}) is not supported; ")
    if case not in LINES:
        assert message.endswith("is not supported; provision explain unsupported lists what is")
        assert len(message) < 120, "each host has a line of this length"
        return
    assert message.endswith(f"add this line to distributions.yml next to the playbook: {LINES[case]}")
    project.write("playbooks/distributions.yml", f"{LINES[case]}\n")
    config = loaded(project).configs[0]
    sent = answering(monkeypatch, said)
    _, on = see(None, config, look_script(LOOKS, config.distributions), 0.0)
    assert (on.id, on.version, on.name) == (*said[:2], said[3])
    assert f"    {said[0]}:*) family={on.family} ;;" in sent[0]
    like = LINES[case].split("like: ")[1].rstrip("}").replace(", version:", "").replace('"', "")
    assert on.like == like
    verdict = doctor.distribution(on, date(2026, 11, 26))
    assert verdict.text.startswith(f"{said[3]}, served as {like} (distributions.yml)")


def test_a_custom_row_is_used_like_a_shipped_one(project: Project) -> None:
    line = "myos: {like: rocky, version: 8, name: My OS, support_ends: 2029-12-31}\n"
    project.write("playbooks/distributions.yml", line)
    project.spec(SPEC)
    config = loaded(project).configs[0]
    on = distros.platform("myos", "V10", "", extra=config.distributions)
    assert on is not None
    assert (on.docker, on.family, on.support_ends, on.name) == ("centos/8", "dnf", "2029-12-31", "My OS V10")
    through(config.distributions[0], loaded(project))
    doctor_says = doctor.distribution(on, date(2026, 11, 26))
    assert doctor_says == doctor.Verdict(
        "distribution", "ok", "My OS V10, served as rocky 8 (distributions.yml), supported until 2029-12-31"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a]", "must be a mapping"),
        ("a b: {like: rocky, version: 8}", "is not an ID of os-release"),
        ("'*': {like: rocky, version: 8}", "is not an ID of os-release"),
        ("x: rocky", "must be a mapping with like and version"),
        ("x: {like: rocky}", "needs version"),
        ("x: {version: 8}", "needs like"),
        ("x: {like: roky, version: 8}", "'roky' is not in the table"),
        ("x: {like: rocky, version: 3}", "3 is not a version of rocky in the table"),
        ("x: {like: ubuntu, version: 22.10}", 'quote it: "22.10"'),
        ("x: {like: rocky, version: 8, suport_ends: 2029-12-31}", "unknown key"),
        ("x: {like: rocky, version: 8, support_ends: soon}", "'soon' is not a date"),
        ("x: {like: rocky, version: 8, docker: ../../etc}", "needs docker"),
        ("x: {like: debian, version: 14}", "needs suite"),
    ],
)
def test_an_error_in_a_custom_row_has_file_and_line(project: Project, text: str, said: str) -> None:
    path = project.write("playbooks/distributions.yml", f"{text}\n")
    with pytest.raises(SpecError, match=re.escape(said)) as caught:
        custom.read(path)
    assert caught.value.where is not None
    assert caught.value.where.file == path


OS_RELEASE = """\
NAME="Linux Mint"
ID=linuxmint
ID_LIKE="ubuntu debian"
VERSION_ID="22"
VERSION_CODENAME=wilma
UBUNTU_CODENAME=noble
PLATFORM_ID='platform:el9'
PRETTY_NAME='Linux Mint 22'"""


@each_shell
def test_the_shell_reads_os_release_as_documented(shell: list[str], tmp_path: Path) -> None:
    path = tmp_path / "os-release"
    path.write_text(OS_RELEASE)
    text = (SH / "prelude.sh").read_text()
    assert "os_file=/etc/os-release" in text
    lines = re.findall(r"^platform\(\) .*?^}$", text, re.MULTILINE | re.DOTALL)[0]
    frames, _ = run(shell, [], f"{lines.replace('/etc/os-release', str(path))}\nplatform")
    words = ("linuxmint", "22", "wilma", "Linux Mint 22", "ubuntu debian", "noble", "platform:el9")
    assert frames == [("platform", *words)]


@each_shell
@pytest.mark.parametrize(
    ("has", "family"),
    [
        ({"dnf": "dnf-3"}, "dnf"),
        ({"dnf": "dnf-3", "dnf5": ""}, "dnf"),
        ({"dnf": "dnf5", "dnf5": ""}, "dnf5"),
        ({"dnf5": ""}, "dnf5"),
        ({"dnf": "dnf5", "dnf5": "", "ostree-booted": ""}, "image"),
    ],
)
def test_the_family_follows_from_the_package_manager_of_the_host(
    shell: list[str], tmp_path: Path, has: dict[str, str], family: str
) -> None:
    (tmp_path / "dnf-3").write_text("")
    for name, target in sorted(has.items(), reverse=True):
        if target:
            (tmp_path / name).symlink_to(target)
        else:
            (tmp_path / name).write_text("")
            (tmp_path / name).chmod(0o755)
    text = re.findall(r"^own_family\(\) .*?^}$", (SH / "look.sh").read_text(), re.MULTILINE | re.DOTALL)[0]
    text = text.replace("/usr/bin/", f"{tmp_path}/").replace("/run/", f"{tmp_path}/")
    frames, _ = run(shell, [], f"{text}\nfamily=dnf\nown_family\nfamily=\nown_family")
    assert frames == [("family", "", family)]


def test_an_unknown_family_in_a_hosts_report_is_ignored() -> None:
    found = distros.platform("rocky", "9.4", "", family="../../x")
    assert found is not None
    assert found.family == "dnf"


def catalog(project: Project, spec: str, on: Platform) -> list[Any]:
    project.spec(spec)
    found = loaded(project)
    return list(compile_catalog(found.configs[0], on, found.context, Options()))


@pytest.mark.parametrize(
    ("id", "package", "programs"),
    [
        ("arch", "docker", {"docker": "/usr/bin/dockerd", "containerd": "/usr/bin/containerd"}),
        ("debian", "docker.io", {}),
    ],
)
def test_services_watch_their_programs_where_packages_restart_no_service(
    project: Project, id: str, package: str, programs: dict[str, str]
) -> None:
    """An upgrade on Arch Linux once left the old daemon running, or an old containerd that started no container."""
    resources = catalog(project, "engine: {source: distribution}", distros.example(distros.newest(id)))
    watched = {
        one.unit: path
        for one in resources
        if isinstance(one, Service)
        for path in one.watch
        if path.startswith("/usr/bin")
    }
    assert watched == programs
    (packages,) = [one for one in resources if isinstance(one, Packages)]
    for before, renews in (("28.3.3-1", tuple(programs.values())), ("absent", ())):
        *_, change = packages.fix(Drift(packages.want(), {**packages.want(), package: before}, (package,)))
        assert change.renews == renews
        assert change.watchers == (tuple(programs) if renews else ())


def on_image() -> Platform:
    found = distros.platform("fedora", "43", "", family="image")
    assert found is not None
    return found


INSTALLED = "engine: {source: installed, users: [ops], daemon: {live-restore: true}}"


@pytest.mark.parametrize("image", [True, False])
def test_the_packages_of_an_installed_engine_are_left_alone(project: Project, image: bool) -> None:
    on = on_image() if image else distros.example(distros.newest("debian"))
    ids = [resource.id for resource in catalog(project, INSTALLED, on)]
    kinds = {id.partition(":")[0] for id in ids}
    assert kinds.isdisjoint({"packages", "hold", "key", "apt", "obstacle"}), ids
    assert {"file:/etc/docker/daemon.json", "service:docker", "member:docker/ops"} <= set(ids)
    config = loaded(project).configs[0]
    for provider in (declared.package, declared.held_package, declared.absent_package, declared.archive):
        assert list(provider(config, loaded(project).context)) == []
    assert [thing.name for thing in declared.engine(config, loaded(project).context)] == ["engine"]


def test_a_pin_of_an_installed_engine_is_refused(project: Project) -> None:
    project.spec("engine: {source: installed, version: '28.5'}")
    with pytest.raises(SpecError, match="source: installed leaves packages alone, so version must be left out"):
        project.load()


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("engine: {}", "is a read-only image: set engine.source: installed"),
        ("engine: {source: docker}", "is a read-only image: set engine.source: installed"),
        ("packages: [jq]", r"its packages stay as they are \(jq\)"),
        ("packages: {jq: {absent: true}}", r"its packages stay as they are \(jq\)"),
        ("repositories: {r: {url: 'http://m', key: host}}", "has no repositories"),
    ],
)
def test_settings_that_a_read_only_image_cannot_have_are_refused(project: Project, spec: str, said: str) -> None:
    obstacles = [one for one in catalog(project, spec, on_image()) if isinstance(one, Obstacle)]
    with pytest.raises(Unfixable, match=said):
        [list(one.fix(Drift({}, {}, ()))) for one in obstacles]


@pytest.mark.parametrize(("state", "there"), [("not-found", False), ("loaded", True)])
def test_a_missing_installed_engine_is_an_error(project: Project, state: str, there: bool) -> None:
    resources = catalog(project, INSTALLED, on_image())
    (service,) = [one for one in resources if one.id == "service:docker"]
    text = f"LoadState={state}\nActiveState=inactive\nUnitFileState=\nMainPID=0"
    frame = ("service", "docker", text, "none", "")
    found = service.seen(Seen.of([frame]))
    drift = Drift(service.want(), found, ("running",))
    if there:
        assert list(service.fix(drift))
        return
    with pytest.raises(Unfixable, match=r"this host has no docker\.service: install Docker"):
        list(service.fix(drift))


@pytest.mark.parametrize(
    ("answer", "there", "wanted"),
    [("work", False, False), ("missing", False, True), ("missing", True, False), ("work", True, False)],
)
def test_a_host_that_can_hold_versions_gets_no_plugin(project: Project, answer: str, there: bool, wanted: bool) -> None:
    on = distros.example(distros.newest("rocky"))
    name = "python3-dnf-plugin-versionlock"
    resources = catalog(project, "packages: {jq: '1.7'}", on)
    (packages,) = [one for one in resources if isinstance(one, Packages)]
    assert Call("look_locks") in packages.look()
    listed = "jq ii 1.7-1.el10\n" + (f"{name} ii 4.3\n" if there else "")
    state = packages.seen(Seen.of([("packages", "", listed), ("locks", "", answer)]))
    assert (state[name] != packages.want()[name]) == wanted


EVIDENCE = read_all(Path(__file__).parent.parent / "evidence")


def test_the_table_of_distributions_in_the_docs_is_up_to_date() -> None:
    docs = Path(__file__).parent.parent / "docs"
    text = (docs / pages.TABLE).read_text()
    assert text == pages.written(text, EVIDENCE), "run: make docs"
    assert (docs / pages.CERTIFIED).read_text() == pages.certified(EVIDENCE), "run: make docs"
    for row in ROWS:
        assert f"| {row.name} |" in text


@pytest.mark.parametrize("id", distros.ids())
def test_every_distribution_can_be_rendered_offline(id: str) -> None:
    found = _platform(id, ())
    assert found.id == id
    assert _platform(f"{id}:{found.version}", ()).release == found.release
