"""Hosts with equal inputs share a spec, a catalog and a plan. Hosts with different inputs never do."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from contextlib import nullcontext
from typing import cast

import msgspec
import pytest

from provision import distros, limits, tasks
from provision.catalog import Options, check_catalogs, compile_catalog, compile_catalogs
from provision.catalog.context import CompileContext
from provision.errors import SpecError
from provision.load import Loaded, load
from provision.model import Platform, Resource, Salt
from provision.planning.plan import Inspection, inspection
from provision.project.host_config import Specs, context
from provision.project.memo import Memo, Same
from provision.remote.protocol import Seen
from provision.resources.file import File
from provision.resources.hostname import Hostname
from provision.secrets import secret
from provision.spec import Spec
from provision.spec.validate import validate
from provision.text.render import Fixed, Scope
from provision.text.yamlfile import Map, Seq, Unsafe
from tests.conftest import Project

DEBIAN = Platform("debian", "13", "trixie", "amd64", "apt", "Debian GNU/Linux 13")
ALPINE = Platform("alpine", "3.22", "", "amd64", "apk", "Alpine Linux 3.22")
FILE = "files: {/etc/x: {content: hello}}\n"


def loaded(project: Project, spec: str, one: str = "", other: str = "") -> Loaded:
    """Two hosts with this spec; ``one`` and ``other`` are variables that only one of them has."""
    project.write(
        "inventory/hosts.yml",
        f"docker:\n  hosts:\n    web1: {{ansible_host: web1{one}}}\n    web2: {{ansible_host: web2{other}}}\n",
    )
    project.spec(spec)
    return project.load()


def shared(found: Loaded, platform: Platform = DEBIAN) -> bool:
    """Whether both hosts have one catalog; then it is right for both."""
    first, second = (compile_catalog(config, platform, found.context, Options()) for config in found.configs)
    return first is second


def contents(found: Loaded) -> list[bytes]:
    """The content of /etc/x, host by host."""
    return [
        next(
            resource.content
            for resource in compile_catalog(config, DEBIAN, found.context, Options())
            if isinstance(resource, File) and resource.path == "/etc/x"
        )
        for config in found.configs
    ]


def test_hosts_with_equal_specs_share_their_catalog(project: Project) -> None:
    found = loaded(project, FILE)
    assert found.configs[0].spec is found.configs[1].spec
    assert shared(found)


def test_hosts_with_different_specs_do_not(project: Project) -> None:
    found = loaded(project, "files: {/etc/x: {content: '{{ text }}'}}\n", ", text: a", ", text: b")
    assert not shared(found)
    assert contents(found) == [b"a", b"b"]


def test_equal_specs_share_nothing_where_a_template_reads_the_host(project: Project) -> None:
    """The spec names a template, which reads a variable that is not in the spec."""
    project.write("playbooks/templates/x.j2", "{{ inventory_hostname }}")
    found = loaded(project, "files: {/etc/x: {template: x.j2}}\n")
    assert found.configs[0].spec is found.configs[1].spec
    assert not shared(found)
    assert contents(found) == [b"web1", b"web2"]


def test_an_operators_own_version_of_a_shipped_template_may_read_the_host(project: Project) -> None:
    sysctl = "sysctl: {net.ipv4.ip_forward: 1}\n"
    assert shared(loaded(project, sysctl))
    project.write("playbooks/templates/sysctl.conf.j2", "# {{ inventory_hostname }}\n")
    found = loaded(project, sysctl)
    assert not shared(found)


def test_the_order_of_a_key_and_the_type_of_a_value_are_part_of_a_spec() -> None:
    specs = Specs()
    one = specs.of(Map({"hostname": "a"}.items()))
    assert specs.of(Map({"hostname": "a"}.items())) is one
    assert specs.of(Map({"hostname": "b"}.items())) is not one
    number, text = (specs.of(Map({"sysctl": Map({"vm.swappiness": value}.items())}.items())) for value in (1, "1"))
    assert number is not text
    assert number.sysctl == text.sysctl == {"vm.swappiness": "1"}


def spec(**fields: object) -> Map:
    return Map(fields.items())


def test_hosts_share_what_plays_declare_apart_by_the_values_of_each_play(project: Project) -> None:
    project.write("inventory/hosts.yml", "docker:\n  hosts:\n    web1: {n: 1}\n    web2: {n: 2}\n    web3: {n: 1}\n")
    plays = '[{name: One, hosts: docker, spec: {sysctl: {vm.swappiness: "{{ n }}"}}}, '
    plays += "{name: Two, hosts: docker, spec: {modules: [br_netfilter]}}]\n"
    project.write("playbooks/site.yml", plays)
    found = project.load()
    first, two, third = (compile_catalog(config, DEBIAN, found.context, Options()) for config in found.configs)
    assert first is third
    assert first != two
    assert [getattr(one, "value", None) for one in two if one.id == "sysctl:vm.swappiness"] == ["2"]


def test_a_part_that_does_not_read_the_platform_is_made_once_for_all_platforms(project: Project) -> None:
    project.write("playbooks/templates/x.j2", "{{ inventory_hostname }}")
    found = loaded(project, "files: {/etc/x: {template: x.j2}}\npackages: [curl]\n")
    debian, alpine = compile_catalogs(found.configs[0], (DEBIAN, ALPINE), found.context, Options())

    def of(resources: tuple[Resource, ...], id: str) -> Resource:
        return next(one for one in resources if one.id == id)

    assert of(debian, "file:/etc/x") is of(alpine, "file:/etc/x")
    assert of(debian, "packages:all") is not of(alpine, "packages:all")


def test_a_host_that_fails_does_not_make_others_fail(project: Project) -> None:
    project.write("playbooks/templates/x.j2", "{{ text }}")
    found = loaded(project, "files: {/etc/x: {template: x.j2}}\n", ", text: a", ", text: b")
    bad, good = found.configs
    del bad.scope.raw["text"]
    found = Loaded([bad, good], context(project.folder / "playbooks/site.yml"), ())
    for _ in range(2):
        with pytest.raises(SpecError, match="text"):
            compile_catalog(bad, DEBIAN, found.context, Options())
        assert any(isinstance(one, File) for one in compile_catalog(good, DEBIAN, found.context, Options()))


def test_an_id_that_two_parts_have_is_an_error(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    found = loaded(project, "hostname: a\n")
    monkeypatch.setattr("provision.catalog._IN_ORDER", (lambda _: [Hostname("a")], lambda _: [Hostname("a")]))
    with pytest.raises(SpecError, match=r"hostname:.* is declared twice \[host web1\]"):
        compile_catalog(found.configs[0], ALPINE, dataclasses.replace(found.context, memo=Memo()), Options())


def test_the_check_reports_the_first_error_of_each_host(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform's catalog has all parts before the next platform's catalog begins."""

    def on_alpine(ctx: CompileContext) -> Iterator[Resource]:
        if ctx.platform.id == "alpine":
            raise ctx.error("only on Alpine", "files")
        yield Hostname("x")

    def everywhere(ctx: CompileContext) -> Iterator[Resource]:
        if ctx.spec.hostname == "b":
            raise ctx.error("everywhere", "hostname")
        yield File("/etc/y", b"")

    found = loaded(project, "hostname: '{{ text }}'\n", ", text: a", ", text: b")
    monkeypatch.setattr("provision.catalog._IN_ORDER", (on_alpine, everywhere))
    alone = dataclasses.replace(found.context, memo=Memo())
    with pytest.raises(SpecError) as error:
        check_catalogs(found.configs, (DEBIAN, ALPINE), alone, Options())
    assert [one.message for one in error.value.each()] == ["only on Alpine [host web1]", "everywhere [host web2]"]


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


def test_hosts_share_the_values_of_a_play_that_have_no_template(project: Project) -> None:
    """The YAML of a host has these very values; it has its own copy of all that a template is in."""
    spec = "packages: [curl]\nfiles:\n  /etc/x: {content: hello}\n  '/etc/{{ text }}': {content: y}\n"
    found = loaded(project, spec, ", text: a", ", text: b")
    one, other = (config.source for config in found.configs)
    assert one["packages"] is other["packages"]
    assert one["files"]["/etc/x"] is other["files"]["/etc/x"]
    assert one["files"] is not other["files"]
    assert ("/etc/a" in one["files"], "/etc/a" in other["files"]) == (True, False)
    assert one["files"].where["/etc/a"] == other["files"].where["/etc/b"]
    loaded(project, spec, ", text: a, spec: {packages: [wget]}", ", text: b")
    refined, plain = (config.source for config in project.load().configs)
    assert (refined["packages"], plain["packages"]) == (["wget"], ["curl"])
    assert refined["files"]["/etc/x"] is plain["files"]["/etc/x"]


def test_a_value_is_fixed_where_neither_a_name_nor_a_value_in_it_is_a_template() -> None:
    def has(value: object) -> bool:
        outer = Map({"inner": value, "other": "{{ x }}"}.items())
        fixed = Fixed([outer])
        assert outer not in fixed
        return value in fixed

    assert has(Map({"a": Seq(["x", 1, None])}.items()))
    assert not has(Map({"{{ a }}": 1}.items()))
    assert not has(Seq(["{% if a %}{% endif %}"]))
    assert not has(Seq(["{# a #}"]))
    assert not has(Seq([Unsafe("{{ a }}")])), "rendering marks its secrets as used"
    assert not has(Map([(cast("str", 1), "a")])), "rendering makes text of the name"
    assert Seq(["x"]) not in Fixed([Seq(["x"])]), "the very object is fixed, not its equals"


def test_a_fixed_value_counts_for_the_limit_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "of", lambda limit: 100 if limit is limits.NODES else limit.default)
    scope = Scope(Map({"many": "{{ range(60) | list }}"}.items()))
    for length, fits in ((20, True), (60, False)):
        value = Map({"fixed": Seq(["x"] * length), "many": "{{ many }}"}.items())
        fixed = Fixed([value])
        assert value["fixed"] in fixed
        with nullcontext() if fits else pytest.raises(SpecError, match="expands to"):
            assert len(scope.whole(value, "spec", fixed)["many"]) == 60


def test_a_host_with_a_different_secret_shares_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret, "_KNOWN", {})
    monkeypatch.setenv("ONE", "hush-one")
    monkeypatch.setenv("OTHER", "hush-other")
    spec = "files: {/etc/x: {content: 'pw {{ pw }}'}}\n"
    found = loaded(project, spec, ", pw: !secret {env: ONE}", ", pw: !secret {env: OTHER}")
    assert not shared(found)
    allowed = [
        {secret.reveal(token) for token in secret.referred(compile_catalog(config, DEBIAN, found.context, Options()))}
        for config in found.configs
    ]
    assert allowed == [{"hush-one"}, {"hush-other"}]


def report(mode: str = "644", manifest: str = "") -> Seen:
    frames: list[tuple[str, ...]] = [
        ("file", "/etc/x", f"regular file:{mode}:root:root:1:2:3:5"),
        ("sha256", "/etc/x", hashlib.sha256(b"hello").hexdigest()),
    ]
    if manifest:
        frames += [("manifest", "site", manifest), ("made", "/etc/y", "present"), ("file", "/etc/y", "absent")]
    return Seen.of(frames)


def plans(found: Loaded, first: Seen, second: Seen, salts: tuple[str, str] = ("", "")) -> list[Inspection]:
    return [
        inspection(config, DEBIAN, found.context, Options(salt=Salt(salt)), seen)
        for config, seen, salt in zip(found.configs, (first, second), salts, strict=True)
    ]


def test_hosts_that_declare_and_report_the_same_have_one_plan_with_each_ones_name(project: Project) -> None:
    found = loaded(project, FILE)
    first, second = plans(found, report("600"), report("600"))
    assert (first.plan.host, second.plan.host) == ("web1", "web2")
    assert first.plan.changes
    assert first.plan.changes is second.plan.changes, "it was computed twice"
    assert msgspec.structs.replace(first.plan, host="") == msgspec.structs.replace(second.plan, host="")


def test_hosts_that_report_different_things_have_their_own_plans(project: Project) -> None:
    found = loaded(project, FILE)
    first, second = plans(found, report("600"), report("644"))
    assert first.plan.changes
    assert not second.plan.changes
    entry = "provision-manifest 1\nplay Site\nfile /etc/y\n"
    third, fourth = plans(found, report(), report(manifest=entry))
    assert not third.plan.changes
    assert fourth.plan != third.plan, "the manifest is part of what a host reports"


def test_another_platform_and_another_salt_are_other_inputs(project: Project) -> None:
    found = loaded(project, FILE)
    first, second = plans(found, report("600"), report("600"), ("aa", "bb"))
    assert first.plan.changes is not second.plan.changes
    assert (first.report.salt, second.report.salt) == (Salt("aa"), Salt("bb"))
    other = msgspec.structs.replace(DEBIAN, version="12", codename="bookworm")
    third = inspection(found.configs[0], other, found.context, Options(salt=Salt("aa")), report("600"))
    assert third.plan.platform == other
    assert first.plan.platform == DEBIAN


def test_hosts_with_equal_reports_and_different_specs_have_their_own_plans(project: Project) -> None:
    found = loaded(project, "files: {/etc/x: {content: '{{ text }}'}}\n", ", text: hello", ", text: other")
    first, second = plans(found, report(), report())
    assert not first.plan.changes
    assert [change.resource for change in second.plan.changes] == ["file:/etc/x"]


def test_equal_hosts_share_their_look_script(project: Project) -> None:
    found = loaded(project, FILE)
    one, other = (tasks._look_script(config, found.context, Options()) for config in found.configs)
    assert one is other
    differs = loaded(project, "files: {'/etc/only-{{ text }}': {content: x}}\n", ", text: a", ", text: b")
    one, other = (tasks._look_script(config, differs.context, Options()) for config in differs.configs)
    assert "/etc/only-a" in one
    assert "/etc/only-a" not in other


def test_a_project_with_its_own_distributions_has_shared_looks_and_plans(project: Project) -> None:
    project.write("playbooks/distributions.yml", "newlinux: {like: debian, version: 13}\n")
    loaded(project, FILE)
    found = load(project.folder / "inventory", project.folder / "playbooks/site.yml")
    own = found.configs[0].distributions
    assert [row.id for row in own] == ["newlinux"]
    one, other = (tasks._look_script(config, found.context, Options()) for config in found.configs)
    assert one is other
    assert "newlinux:*)" in one
    newlinux = distros.platform("newlinux", "13", "", "New Linux", extra=own)
    assert newlinux is not None
    first, second = (
        inspection(config, newlinux, found.context, Options(salt=Salt("aa")), report("600")) for config in found.configs
    )
    assert first.plan.changes
    assert first.plan.changes is second.plan.changes


def test_a_memo_with_a_limit_forgets_what_was_asked_for_longest_ago() -> None:
    memo, computed = Memo(2), list[str]()

    def ask(key: str) -> str:
        def compute() -> str:
            computed.append(key)
            return key

        return memo.of(key, compute)

    for key in ("a", "b", "a", "c", "a", "b"):
        assert ask(key) == key
    assert computed == ["a", "b", "c", "b"]


def test_a_key_of_an_object_is_the_object_itself() -> None:
    one, other = [1], [1]
    assert Same(one) == Same(one)
    assert Same(one) != Same(other)
    assert {Same(one): 1}.get(Same(other)) is None
