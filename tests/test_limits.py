"""A few bytes of input that could overload the controller: provision reports an error with file and line before it
builds any value."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from provision import limits
from provision.errors import SpecError, UsageError
from provision.inventory import Inventory
from provision.inventory.tree import expand
from provision.lint.daemon_file import lint_text
from provision.project.dependencies import images
from provision.text.yamlfile import Reader, bounded, closest, load
from tests.conftest import Project


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    limits.of.cache_clear()
    yield
    limits.of.cache_clear()


def loaded(text: str) -> object:
    """The error, from a separate process whose memory and processor time the kernel limits. Without limits it would use
    all memory, or crash."""
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30));"
        "resource.setrlimit(resource.RLIMIT_CPU, (60, 60))\n"
        "from pathlib import Path; from provision.errors import ProvisionError\n"
        "from provision.text.yamlfile import Reader, bounded, closest, load\n"
        "try: print(type(load(Path('x.yml'), sys.stdin.read())).__name__)\n"
        "except ProvisionError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], input=text, capture_output=True, text=True, check=False)
    return done.stdout.strip() or f"exit {done.returncode}: {done.stderr[-300:]}"


def bomb(line: str, levels: int = 12) -> str:
    """``line`` for each level: N is its number, A nine aliases of the level before."""
    lines = ["l0: &l0 {x: x}"]
    for number in range(1, levels):
        aliases = ", ".join([f"*l{number - 1}"] * 9)
        lines.append(line.replace("N", str(number)).replace("A", aliases))
    return "\n".join(lines)


@pytest.mark.parametrize("line", ["lN: &lN [A]", "lN: &lN {<<: [A]}", "lN: &lN {a: [A]}", "? &lN [A]\n: x"])
def test_an_alias_bomb_is_refused_before_it_is_expanded(line: str) -> None:
    said = loaded(bomb(line))
    # Level 6 is the first one with more than a million values.
    assert "expands to more than 1,000,000 values when its aliases are expanded (PROVISION_MAX_NODES raises" in str(
        said
    )
    assert str(said).startswith(f"x.yml:{6 * (1 + line.count(chr(10))) + 1 - line.count(chr(10))}: "), said


def test_aliases_within_the_limit_are_expanded() -> None:
    data = load(Path("x.yml"), bomb("lN: &lN [A]", 4))
    assert isinstance(data, dict)
    assert len(data["l3"]) == 9
    assert data["l3"][8][8][8] == {"x": "x"}


@pytest.mark.parametrize("levels", [101, 10_000, 100_000])
@pytest.mark.parametrize("kind", ["flow", "dashes", "questions", "braces"])
def test_deep_nesting_is_an_error(levels: int, kind: str) -> None:
    text = {
        "flow": "[" * levels + "]" * levels,
        "dashes": "- " * levels + "x",
        "questions": "? " * levels + "x",
        "braces": "{a: " * levels + "x" + "}" * levels,
    }[kind]
    said = loaded(text)
    assert (
        said == "x.yml:1: the value is nested more than 100 levels (PROVISION_MAX_DEPTH raises this limit, up to 200)"
    )


def test_the_error_of_deep_nesting_in_blocks_has_its_line() -> None:
    text = "".join(f"{' ' * level}a:\n" for level in range(5000))
    assert str(loaded(text)).startswith("x.yml:101: the value is nested more than 100 levels")


def test_levels_inside_aliases_count() -> None:
    lines = ["l0: &l0 [x]", *(f"l{number}: &l{number} [*l{number - 1}]" for number in range(1, 300))]
    with pytest.raises(SpecError, match=r"x\.yml:100: the value is nested more than 100 levels when its aliases"):
        load(Path("x.yml"), "\n".join(lines))


def test_nesting_up_to_the_limit_works_in_every_module(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The highest limit that can be set must not lead to a recursion that Python stops."""
    from provision.lint.project import lint

    monkeypatch.setenv("PROVISION_MAX_DEPTH", "200")
    deep = "[" * 190 + "]" * 190
    project.write("inventory/group_vars/all.yml", f"deep: {deep}\nspec: {{engine: {{daemon: {{b: {deep}}}}}}}\n")
    project.spec('engine: {daemon: {a: "{{ deep }}"}}')
    loaded = project.load()
    engine = loaded.configs[0].spec.engine
    assert engine is not None
    assert json.dumps(engine.daemon, sort_keys=True) == json.dumps({"a": json.loads(deep), "b": json.loads(deep)})
    lint(loaded.configs, loaded.context)


REFUSED = "x.yml:1: a: not a value"


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("1:" * 4000000 + "1.", "Map"),
        ("!!float " + "1:" * 400000 + "1.", f"{REFUSED}: a number of more than 400 characters"),
        ("!!int " + "1:" * 400000 + "1", f"{REFUSED}: a number of more than 400 characters"),
        ("9" * 100000, f"{REFUSED}: a number of more than 400 characters"),
        ("!!bool perhaps", REFUSED),
        ("!!timestamp x", REFUSED),
        ("!!int x", REFUSED),
        ("!!python/name:os.system x", REFUSED),
        ("!!binary ü", REFUSED),
    ],
    ids=lambda value: value[:12],
)
def test_unusual_numbers_and_tags_are_read_or_refused_at_once(value: str, result: str) -> None:
    """PyYAML takes minutes for a number to the base of 60, and raises various errors for a tag that does not fit."""
    said = str(loaded(f"a: {value}"))
    assert said.startswith(result), said[:300]


def test_numbers_follow_yaml_1_2(tmp_path: Path) -> None:
    data = load(tmp_path / "x", "a: 1.5\nb: -.5e+3\nc: .inf\nd: 1:30.5\ne: 22:22\nf: 1_0.5\ng: 1.\nh: '1.5'\n")
    assert data == {
        "a": 1.5,
        "b": "-.5e+3",
        "c": float("inf"),
        "d": "1:30.5",
        "e": "22:22",
        "f": 10.5,
        "g": 1.0,
        "h": "1.5",
    }


def test_a_file_beyond_the_limit_of_size_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVISION_MAX_FILE", "2000")
    project.write("inventory/hosts.yml", "docker: {hosts: {web1: }}\n" + "#" * 2000)
    with pytest.raises(SpecError, match=r"hosts\.yml:1: has more than 2,000 bytes \(PROVISION_MAX_FILE raises"):
        project.inventory()


def test_a_device_is_not_read_to_its_end(project: Project) -> None:
    with pytest.raises(SpecError, match="more than 16,777,216 bytes"):
        load(Path("/dev/zero"))
    with pytest.raises(SpecError, match="/dev/zero has more than 16,777,216 bytes"):
        project.inventory().select("@/dev/zero")


@pytest.mark.parametrize("value", ["0", "x", "-1", "1e3", "201", ""])
def test_an_invalid_limit_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("PROVISION_MAX_DEPTH", value)
    with pytest.raises(UsageError, match="PROVISION_MAX_DEPTH must be a number of levels from 1 to 200, not"):
        load(Path("x.yml"), "a: 1")


# --- hosts ---


@pytest.mark.parametrize(
    "name", ["web[1:9999999]", "web[1:100001]", "n[1:1000]-[1:1000]", "[a:z]" * 5, "w[1:99999999999999999999999]"]
)
def test_a_range_of_too_many_hosts_is_refused_before_it_is_expanded(project: Project, name: str) -> None:
    project.write("inventory/hosts.yml", f"docker:\n  hosts:\n    '{name}':\n")
    with pytest.raises(SpecError) as caught:
        project.inventory()
    said = str(caught.value)
    assert f"hosts.yml:3: docker.hosts.{name}: the range results in more than 100,000 hosts" in said
    assert "PROVISION_MAX_HOSTS raises this limit" in said


def test_a_range_up_to_the_limit_is_expanded() -> None:
    names = expand("web[000001:100000]")
    assert (len(names), names[0], names[-1]) == (100_000, "web000001", "web100000")


def test_the_limit_covers_all_ranges_together(project: Project) -> None:
    project.write("inventory/hosts.yml", "a: {hosts: {'w[1:60000]': }}\nb:\n  hosts:\n    'v[1:60000]':\n")
    with pytest.raises(
        SpecError, match=r"hosts\.yml:4: b\.hosts\.v\[1:60000\]: the inventory has more than 100,000 hosts"
    ):
        project.inventory()
    project.write("inventory/hosts.yml", "a: {hosts: {'w[1:60000]': }}\nb:\n  hosts:\n    'w[1:60000]':\n")
    assert len(project.inventory().tree.hosts) == 60_000


def test_groups_of_ranges_have_a_limit(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVISION_MAX_HOSTS", "100")
    lines = [f"g{number}: {{hosts: {{'w[1:100]': }}}}\n" for number in range(30)]
    project.write("inventory/hosts.yml", "".join(lines))
    with pytest.raises(SpecError, match=r"hosts\.yml:21: g20.*the groups have more than 2,000 hosts"):
        project.inventory()


@pytest.mark.parametrize("order", [1, -1])
def test_groups_nested_too_deep_are_an_error(project: Project, order: int) -> None:
    lines = [f"g{number}: {{children: {{g{number + 1}: }}}}\n" for number in range(3000)]
    project.write("inventory/hosts.yml", "".join(lines[::order]) + "g3000: {hosts: {web1: }}\n")
    with pytest.raises(SpecError, match="groups are nested more than 100 levels"):
        project.inventory()


def test_groups_nested_up_to_the_limit_are_read(project: Project) -> None:
    lines = [f"g{number}: {{children: {{g{number + 1}: }}}}\n" for number in range(90)]
    project.write("inventory/hosts.yml", "".join(lines) + "g90: {hosts: {web1: }}\n")
    inventory = Inventory(project.folder / "inventory")
    assert inventory.select("g0") == ["web1"]
    assert "@g90" in inventory.graph()


# --- files of other programs ---


def test_any_broken_daemon_json_is_linted_without_a_crash(tmp_path: Path) -> None:
    for text in ("[" * 100_000, '{"a": ' * 100_000, '{"a": ' + "9" * 10_000 + "}"):
        found = [finding.message for finding in lint_text(tmp_path / "daemon.json", text, (28, 0))]
        assert any("nested more than 100 levels" in one or "the number is too long" in one for one in found)


@pytest.mark.parametrize(
    "text",
    [
        bomb("lN: &lN {<<: [A]}"),
        "[" * 100_000,
        "services: {a: {image: x, since: 2024-99-99}}",
        "a: !!int x",
        "ü".encode("latin-1"),
    ],
    ids=["merged", "deep", "date", "tag", "bytes"],
)
def test_an_unreadable_compose_file_names_no_image(text: str | bytes) -> None:
    assert images(text if isinstance(text, bytes) else text.encode()) == ()


#: The smallest number whose hash is that of 0; all its multiples have this hash.
LONG = 2**61 - 1


@pytest.mark.parametrize("key", [f"{LONG}", f"-{LONG}", f"0x{LONG:x}", "1_000_000_000_000_000_000"])
def test_a_key_is_no_long_number(tmp_path: Path, key: str) -> None:
    """A mapping of such keys takes quadratic time."""
    path = tmp_path / "x.yml"
    wrong, right = f"a: 1\n{key}: 1\n", f"{'9' * 18}: 1\n-{'9' * 18}: 2\n'{key}': 3\n"
    for read in (bounded, partial(load, reader=Reader())):
        with pytest.raises(SpecError, match=r"x\.yml:2.* a key must be text, or a number of at most 18 digits"):
            read(path, wrong)
        assert len(read(path, right)) == 3
    assert load(path, f"spec: {{{key}: 1}}\n", Reader()) == {"spec": {key: 1}}


@pytest.mark.parametrize("value", [f"{{{LONG}:1}}", f"{{{LONG},1}}", f"[{{(-{LONG}):1}}]", "{(1,2):1}", "{1+2j:1}"])
def test_a_key_in_a_value_of_an_ini_inventory_is_no_long_number(tmp_path: Path, value: str) -> None:
    (tmp_path / "hosts").write_text(f"one x={value}\n")
    with pytest.raises(
        SpecError, match=r"a key must be text, (or a number of at most 18 digits|a number, true, false)"
    ):
        Inventory(tmp_path / "hosts")


def test_the_values_of_an_ini_inventory_are_counted_before_they_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVISION_MAX_NODES", "100")
    (tmp_path / "hosts").write_text(f"one x=[{'1,' * 100}]\n")
    with pytest.raises(SpecError, match="the value has more than 100 values"):
        Inventory(tmp_path / "hosts")


def test_aliases_multiply_no_long_text(tmp_path: Path) -> None:
    text = f"a: &a {'x' * 1_000_000}\nb: [{'*a, ' * 100}]\n"
    with pytest.raises(SpecError, match="the file expands to more than 1,000,000 values when its aliases are expanded"):
        load(tmp_path / "x.yml", text)


def test_hints_compare_a_limited_number_of_words(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def counted(word: str, known: list[str], **_: object) -> list[str]:
        compared.extend(known)
        return []

    monkeypatch.setattr("difflib.get_close_matches", counted)
    names = [f"name{number}" for number in range(1000)]
    for name in names:
        closest(f"{name}x", names)
    assert len(compared) == 200_000
    assert closest("x" * 101, names) is None
    assert closest("x", ["x" * 101]) is None
