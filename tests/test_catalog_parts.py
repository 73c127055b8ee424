"""Hosts share each part of a catalog by the values that the part reads, and a part never serves a host whose values
differ there."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator

import pytest
from msgspec.structs import replace

from provision.catalog import Options, check_catalogs, compile_catalog, compile_catalogs
from provision.catalog.context import CompileContext
from provision.catalog.inputs import Reads, vector, view, views
from provision.catalog.parts import Check, Made, Part, Parts
from provision.errors import SpecError
from provision.load import Loaded
from provision.model import Platform, Resource
from provision.project.host_config import HostConfig, Specs
from provision.project.memo import Memo
from provision.resources.file import File
from provision.resources.hostname import Hostname
from provision.spec import Engine, Spec
from provision.spec.validate import validate
from provision.text.yamlfile import Map
from tests.conftest import Project

DEBIAN = Platform("debian", "13", "trixie", "amd64", "apt", "Debian GNU/Linux 13")
ALPINE = Platform("alpine", "3.22", "", "amd64", "apk", "Alpine Linux 3.22")
WHOLE = """\
hostname: "{{ inventory_hostname }}"
files: {/etc/x: {content: hello}}
sysctl: {net.ipv4.ip_forward: 1}
packages: [curl]
services: {ssh: {running: true}}
engine: {}
"""


def loaded(project: Project, spec: str, one: str = "", other: str = "") -> Loaded:
    """Two hosts with this spec; ``one`` and ``other`` are variables that only one of them has."""
    project.write("inventory/hosts.yml", f"docker:\n  hosts:\n    web1: {{x: 0{one}}}\n    web2: {{x: 0{other}}}\n")
    project.spec(spec)
    return project.load()


def both(found: Loaded, platform: Platform = DEBIAN) -> tuple[tuple[Resource, ...], tuple[Resource, ...]]:
    first, second = (compile_catalog(config, platform, found.context, Options()) for config in found.configs)
    return first, second


def test_hosts_that_differ_in_one_value_share_all_resources_of_other_parts(project: Project) -> None:
    first, second = both(loaded(project, WHOLE))
    differ = [(a, b) for a, b in zip(first, second, strict=True) if a is not b]
    assert differ == [(Hostname("web1"), Hostname("web2"))]


def test_hosts_that_differ_in_a_key_of_daemon_json_share_what_does_not_read_it(project: Project) -> None:
    spec = "engine: {daemon: {labels: ['host={{ inventory_hostname }}']}, users: [ada]}\nusers: {ada: {}}\n"
    first, second = both(loaded(project, spec))
    shared = {a.id.partition(":")[0] for a, b in zip(first, second, strict=True) if a is b}
    assert shared >= {"user", "member", "packages", "obstacle"} & {a.id.partition(":")[0] for a in first}
    assert shared >= {"user", "member"}
    (one, other) = (next(x for x in all_ if x.id == "service:docker") for all_ in (first, second))
    assert one != other, "what it compares with the running daemon is that of its host"


def test_hosts_that_differ_in_what_is_in_a_file_share_what_reads_its_path_alone(project: Project) -> None:
    spec = "files: {/etc/x: {content: '{{ inventory_hostname }}'}}\nsysctl: {vm.swappiness: 1}\nengine: {daemon: {}}\n"
    first, second = both(loaded(project, spec))
    assert [a.id for a, b in zip(first, second, strict=True) if a is not b] == ["file:/etc/x"]
    with pytest.raises(SpecError, match="engine declares this file too"):
        loaded(project, "files: {'{{ path }}': {content: x}}\nengine: {daemon: {}}\n", ", path: /etc/y", _DAEMON_JSON)


_DAEMON_JSON = ", path: /etc/docker/daemon.json"


def test_a_part_forgets_what_was_made_where_each_host_has_its_own(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provision.catalog.parts._MOST_MADE", 3)
    found, configs = fleet(project, *(spec(hostname=name) for name in "abcdefgh"))
    make = _Counted(lambda ctx: ctx.spec.hostname)
    part = Part(make)
    for _ in range(2):
        assert [name_of(of(part, one, found)) for one in configs] == [repr(name) for name in "abcdefgh"]
    assert make.count == 16
    assert len(part.known.made) <= 3


def test_hosts_share_what_plays_declare_apart_by_the_values_of_each_play(project: Project) -> None:
    project.write("inventory/hosts.yml", "docker:\n  hosts:\n    web1: {n: 1}\n    web2: {n: 2}\n    web3: {n: 1}\n")
    plays = '[{name: One, hosts: docker, spec: {sysctl: {vm.swappiness: "{{ n }}"}}}, '
    plays += "{name: Two, hosts: docker, spec: {modules: [br_netfilter]}}]\n"
    project.write("playbooks/site.yml", plays)
    found = project.load()
    one, two, three = (compile_catalog(config, DEBIAN, found.context, Options()) for config in found.configs)
    assert one is three
    assert one != two
    assert [getattr(ctx, "value", None) for ctx in two if ctx.id == "sysctl:vm.swappiness"] == ["2"]


def test_a_part_that_reads_what_one_host_has_is_its_own_and_the_rest_is_shared(project: Project) -> None:
    project.write("playbooks/templates/x.j2", "{{ inventory_hostname }}")
    spec = "files: {/etc/x: {template: x.j2}}\nsysctl: {vm.swappiness: 1}\nengine: {}\n"
    first, second = both(loaded(project, spec))
    differ = [(a, b) for a, b in zip(first, second, strict=True) if a is not b]
    assert [(a.content, b.content) for a, b in differ if isinstance(a, File) and isinstance(b, File)] == [
        (b"web1", b"web2")
    ]
    assert len(differ) == 1


def test_a_part_that_does_not_read_the_platform_is_made_once_for_all_platforms(project: Project) -> None:
    project.write("playbooks/templates/x.j2", "{{ inventory_hostname }}")
    found = loaded(project, "files: {/etc/x: {template: x.j2}}\npackages: [curl]\n")
    debian, alpine = compile_catalogs(found.configs[0], (DEBIAN, ALPINE), found.context, Options())

    def of(resources: tuple[Resource, ...], id: str) -> Resource:
        return next(one for one in resources if one.id == id)

    assert of(debian, "file:/etc/x") is of(alpine, "file:/etc/x")
    assert of(debian, "packages:all") is not of(alpine, "packages:all")


class _Counted:
    """Makes a resource of the fields that ``read`` selects, and counts how often."""

    def __init__(self, read: Callable[[CompileContext], object]) -> None:
        self.count, self._read = 0, read

    def __call__(self, ctx: CompileContext) -> Iterator[Resource]:
        self.count += 1
        yield Hostname(repr(self._read(ctx)))


def of(part: Part, config: HostConfig, found: Loaded, platform: Platform = DEBIAN) -> Made:
    ctx = CompileContext(config, platform, found.context, Options())
    return part.of(ctx, (id(platform), 0, *vector(config)))


def name_of(made: Made) -> str:
    (resource,) = made.resources
    assert isinstance(resource, Hostname)
    return resource.name


def fleet(project: Project, *specs: Map) -> tuple[Loaded, list[HostConfig]]:
    """Configurations with these specs, of a project that is otherwise the same."""
    found, known = loaded(project, "{}"), Specs()
    of_all = [known.of(spec) for spec in specs]
    base = found.configs[0]
    return found, [replace(base, spec=spec, plays=(replace(base.plays[0], spec=spec),)) for spec in of_all]


def spec(**fields: object) -> Map:
    return Map(fields.items())


def test_a_part_is_made_once_for_each_combination_of_the_values_that_it_reads(project: Project) -> None:
    found, configs = fleet(
        project,
        spec(hostname="a", modules=["x"]),
        spec(hostname="b", modules=["x"]),
        spec(hostname="a", modules=["y"]),
        spec(hostname="a", modules=["x"], risky=["/etc/x"]),
    )
    make = _Counted(lambda ctx: (ctx.spec.hostname, ctx.spec.modules))
    part = Part(make)
    assert [name_of(of(part, one, found)) for one in configs] == [
        "('a', ['x'])",
        "('b', ['x'])",
        "('a', ['y'])",
        "('a', ['x'])",
    ]
    assert make.count == 3


def test_a_part_that_reads_more_for_some_values_is_right_for_all(project: Project) -> None:
    """A part that was made before a further field was read must not serve a host that differs in that field."""
    found, configs = fleet(
        project,
        spec(modules=["x"]),
        spec(hostname="a", modules=["x"]),
        spec(hostname="a", modules=["y"]),
        spec(modules=["y"]),
    )
    part = Part(_Counted(lambda ctx: ctx.spec.modules if ctx.spec.hostname is not None else "none"))
    expected = ["'none'", "['x']", "['y']", "'none'"]
    assert [name_of(of(part, one, found)) for one in configs] == expected
    assert [name_of(of(part, one, found)) for one in reversed(configs)] == expected[::-1]


def test_a_part_whose_reads_depend_on_a_value_is_not_made_again_for_each_change(project: Project) -> None:
    found, configs = fleet(project, spec(hostname="a", modules=["x"]), spec(modules=["y"], risky=["/etc/x"]))
    make = _Counted(lambda ctx: ctx.spec.risky if ctx.spec.hostname is None else ctx.spec.modules)
    part = Part(make)
    for _ in range(5):
        assert [name_of(of(part, one, found)) for one in configs] == ["['x']", "['/etc/x']"]
    assert make.count == 3


def test_a_part_that_reads_the_platform_or_the_options_is_made_for_each(project: Project) -> None:
    found, (config,) = fleet(project, spec(hostname="a"))
    make = _Counted(lambda ctx: ctx.platform.name)
    part = Part(make)
    names = [name_of(of(part, config, found, one)) for one in (DEBIAN, ALPINE, DEBIAN)]
    assert names == ["'Debian GNU/Linux 13'", "'Alpine Linux 3.22'", "'Debian GNU/Linux 13'"]
    assert make.count == 2
    found, (config,) = fleet(project, spec(engine=Map()))
    plain, upgrade = (compile_catalog(config, DEBIAN, found.context, Options(upgrade=one)) for one in (False, True))
    assert [one.id for one, other in zip(plain, upgrade, strict=True) if one is not other] == [
        "store:/var/lib/docker",
    ]


def test_a_host_that_fails_does_not_make_others_fail(project: Project) -> None:
    found, (good, bad) = fleet(project, spec(hostname="a"), spec(hostname="b"))

    def make(ctx: CompileContext) -> Iterator[Resource]:
        if ctx.spec.hostname == "b":
            raise ctx.error("no", "hostname")
        yield Hostname("x")

    part = Part(make)
    for _ in range(2):
        with pytest.raises(SpecError, match="no"):
            of(part, bad, found)
        assert name_of(of(part, good, found)) == "x"


def test_of_threads_that_ask_for_one_part_one_makes_it(project: Project) -> None:
    found, (config,) = fleet(project, spec(hostname="a"))
    asked, finish = threading.Barrier(4), threading.Event()
    make = _Counted(lambda ctx: finish.wait(60) and ctx.spec.hostname)
    part, made = Part(make), list[Made]()

    def ask() -> None:
        asked.wait(60)
        made.append(of(part, config, found))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    asked.wait(60)
    finish.set()
    for thread in threads:
        thread.join(60)
    assert make.count == 1
    assert [one is made[0] for one in made] == [True] * 3


def test_a_shared_part_cannot_read_later_what_it_did_not_read_when_it_was_made() -> None:
    reads = Reads()
    seen = view(Spec(hostname="a"), reads)
    assert seen.hostname == "a"
    reads.close()
    assert seen.hostname == "a"
    with pytest.raises(RuntimeError, match="did not read"):
        assert seen.modules
    with pytest.raises(RuntimeError, match="did not read"):
        reads.add_own()


def test_anything_but_a_field_of_a_spec_counts_as_a_read_of_the_whole_spec(project: Project) -> None:
    found = loaded(project, "hostname: a\n")
    reads, all_ = Reads(), Reads()
    assert view(found.configs[0].spec, reads).model_fields_set == {"hostname"}
    for name in Spec.model_fields:
        getattr(view(found.configs[0].spec, all_), name)
    assert reads.places > all_.places
    of_engine = Reads()
    engine = view(Spec(engine=Engine()), of_engine).engine
    assert engine is not None
    some = set(of_engine.places)
    assert engine.source is None
    assert len(of_engine.places - some) == 1
    assert not engine.model_fields_set
    assert reads.places - all_.places < of_engine.places, "the whole engine is one more place"
    with pytest.raises(TypeError, match="compare the fields"):
        assert view(found.configs[0].spec, reads) == found.configs[0].spec
    (play,) = views(found.configs[0].plays, reads)
    assert play.spec.hostname == "a"
    assert reads.places - all_.places, "the fields of plays are places of their own"


def test_the_check_compiles_what_differs_and_passes_what_is_right(project: Project) -> None:
    found, configs = fleet(project, spec(hostname="a"), spec(hostname="b"), spec(hostname="a", modules=["x"]))
    host, modules = _Counted(lambda ctx: ctx.spec.hostname), _Counted(lambda ctx: (ctx.spec.modules, ctx.platform.id))
    parts = Parts([host, lambda ctx: (File(f"/{one.name}", b"") for one in modules(ctx) if isinstance(one, Hostname))])
    check = Check(parts, (DEBIAN, ALPINE), found.context, Options())
    assert [check.passes(one) for one in (*configs, *configs)] == [True] * 6
    assert (host.count, modules.count) == (2, 4)


def test_the_check_leaves_an_id_that_is_in_two_parts_to_the_catalogs(project: Project) -> None:
    found, (config,) = fleet(project, spec(hostname="a"))
    one = _Counted(lambda ctx: ctx.spec.hostname)
    assert not Check(Parts([one, one]), (DEBIAN,), found.context, Options()).passes(config)
    twice = Parts([lambda ctx: (*one(ctx), *one(ctx))])
    assert not Check(twice, (DEBIAN,), found.context, Options()).passes(config)
    with pytest.raises(SpecError, match="declared twice"):
        twice.catalogs(config, (DEBIAN,), found.context, Options())


def test_the_check_reports_the_error_that_the_first_catalog_has(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check makes a part for all platforms before it makes the next part; a catalog has all parts of a platform."""

    def on_alpine(ctx: CompileContext) -> Iterator[Resource]:
        if ctx.platform.id == "alpine":
            raise ctx.error("only on Alpine", "files")
        yield Hostname("x")

    def everywhere(ctx: CompileContext) -> Iterator[Resource]:
        if ctx.spec.hostname == "b":
            raise ctx.error("everywhere", "hostname")
        yield Hostname("y")

    found, configs = fleet(project, spec(hostname="a"), spec(hostname="b"))
    monkeypatch.setattr("provision.catalog._IN_ORDER", (on_alpine, everywhere))
    context = dataclasses.replace(found.context, memo=Memo())
    with pytest.raises(SpecError, match="everywhere"):
        check_catalogs(configs[1:], (DEBIAN, ALPINE), context, Options())
    with pytest.raises(SpecError, match="only on Alpine"):
        check_catalogs(configs, (DEBIAN, ALPINE), context, Options())


def test_equal_fields_of_specs_are_one_object() -> None:
    known = Specs()
    one, other = (known.of(spec(hostname=name, modules=["x"], files=Map())) for name in "ab")
    assert one is not other
    assert all(getattr(one, name) is getattr(other, name) for name in Spec.model_fields if name != "hostname")
    assert known.of(spec(hostname="a", modules=["x"])) is not one, "a field that is given as empty is given"


def test_a_spec_of_shared_fields_is_what_validation_makes() -> None:
    known = Specs()
    given = [
        spec(),
        spec(engine=Map({"users": ["ada"]}.items()), users=Map({"ada": Map()}.items())),
        spec(packages=["b", "a"], risky=["/etc"], sysctl=Map({"vm.swappiness": 1}.items())),
    ]
    for one in given:
        made, expected = known.of(one), validate(Spec, one)
        assert made == expected
        assert made.model_fields_set == expected.model_fields_set
        assert list(vars(made)) == list(vars(expected))


def test_of_several_errors_in_a_spec_the_first_field_is_reported_in_any_order() -> None:
    for names in (("hostname", "modules"), ("modules", "hostname")):
        wrong = Map((name, 5) for name in names)
        with pytest.raises(SpecError) as found:
            Specs().of(wrong)
        with pytest.raises(SpecError) as expected:
            validate(Spec, wrong)
        assert (found.value.key, str(found.value)) == (expected.value.key, str(expected.value))
    with pytest.raises(SpecError, match="unknown key"):
        Specs().of(spec(hostname="a", hostnames="b"))


def test_no_validator_of_a_spec_needs_several_of_its_fields() -> None:
    """Each field is validated separately: a rule for several fields belongs in the catalog or in the linter."""
    found = Spec.__pydantic_decorators__
    assert [name for name, one in Spec.model_fields.items() if one.default_factory is not None] == []
    rules = (found.model_validators, found.root_validators, found.field_validators, found.validators)
    assert rules == ({}, {}, {}, {})


def test_hosts_that_share_all_parts_share_the_catalogs_without_a_look_at_each_part(project: Project) -> None:
    found = loaded(project, "hostname: x\nengine: {daemon: {}}\n")
    parts: Parts = found.context.memo.of("parts of catalogs", lambda: pytest.fail("no catalog was compiled"))
    first, second = (parts.catalogs(config, [DEBIAN], found.context, Options()) for config in found.configs)
    assert first is second
    one, other = loaded(project, "hostname: '{{ inventory_hostname }}'\n").configs
    assert parts.catalogs(one, [DEBIAN], found.context, Options()) is not parts.catalogs(
        other, [DEBIAN], found.context, Options()
    )
