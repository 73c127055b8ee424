"""Wrong input: one message with file, line, key and a suggestion, before a host is touched."""

from __future__ import annotations

import pytest

from provision.errors import ProvisionError
from provision.text.render import Scope
from provision.text.yamlfile import Map
from tests.conftest import Project

BAD = [
    ("egnine: {}", 'site.yml:4: spec.egnine: unknown key [host web1] (did you mean "engine"?)'),
    ("engine: {deamon: {}}", 'spec.engine.deamon: unknown key [host web1] (did you mean "daemon"?)'),
    ("engine: {version: 26.1}", 'spec.engine.version: must be text, not 26.1 [host web1] (quote it: "26.1")'),
    ("engine: {plugins: [buildz]}", "must be 'buildx' or 'compose', not 'buildz'"),
    ("engine: {package_mirror: ftp://x}", "is not an http:// or https:// URL"),
    ("engine: {fingerprint: 9DC8}", "must be the whole fingerprint"),
    ("engine: {daemon: {a: 2020-01-01}}", "daemon.a is a date, which JSON does not support"),
    ("engine: {daemon: [a]}", "spec.engine.daemon: must be a mapping, not a list"),
    ("hostname: 5", "spec.hostname: must be text, not 5"),
    ("hostname: -x", "is not a host name"),
    ("hostname: a b", "is not a host name"),
    ("risky: [/a, /b/]", "site.yml:4: spec.risky[1]: '/b/' is not in normal form"),
    ("hostname: 2026-01-01", 'spec.hostname: must be text, not 2026-01-01 [host web1] (quote it: "2026-01-01")'),
    ("hostname: true", 'spec.hostname: must be text, not true [host web1] (quote it: "true")'),
    ("files: {/etc/x: {content: a, mode: 2026-01-01}}", "2026-01-01 is not an octal mode"),
    ("services: {docker: {on_change: 2026-01-01}}", "on_change: must be 'restart' or 'reload', not 2026-01-01"),
    ("services: {docker: {enabled: 2026-01-01}}", "must be true or false, not 2026-01-01"),
    (f"hostname: {'a' * 40}.{'b' * 24}", "has 65 characters; the name of a Linux host has at most 64"),
    (f"hostname: {'a' * 64}", "is not a host name"),
    (
        f"containers: {{app: {{image: b, hostname: {'a' * 40}.{'b' * 24}}}}}",
        "containers.app.hostname: '" + "a" * 40 + "." + "b" * 24 + "' has 65 characters",
    ),
    ("packages: curl", "spec.packages: must be a mapping, not 'curl'"),
    ("packages: ['a;b']", "is not the name of a package"),
    ("packages: {a: {verzion: '1'}}", 'unknown key [host web1] (did you mean "version"?)'),
    ("files: {etc/x: {content: a}}", "'etc/x' is not an absolute path"),
    ("files: {/etc/../x: {content: a}}", "is not in normal form"),
    ("files: {/etc/x: {content: a, mode: '0999'}}", "'0999' is not an octal mode such as 0644"),
    (
        "files: {/etc/x: {content: a, mode: 420}}",
        (
            "site.yml:4: spec.files./etc/x.mode: 420 is a decimal number, not an octal mode [host web1] "
            '(quote the mode: "0420" or, if 420 is the decimal form, "0644")'
        ),
    ),
    (
        "files: {/etc/x: {content: a, mode: 640}}",
        '640 is a decimal number, not an octal mode [host web1] (quote the mode: "0640")',
    ),
    ("files: {/etc/x: {content: a, mode: 888}}", "888 is a decimal number, not an octal mode [host web1]"),
    ("files: {/etc/x: {content: a, mode: 0x1A0}}", "'0x1A0' is not an octal mode"),
    ("files: {/etc/x: {content: a, mode: 640.0}}", "640.0 is not an octal mode"),
    ("files: {/etc/x: {content: a, mode: 6_40}}", "'6_40' is not an octal mode"),
    ("engine: {version: 26.10}", 'spec.engine.version: must be text, not 26.10 [host web1] (quote it: "26.10")'),
    ("hostname: no", 'spec.hostname: must be text, not false [host web1] (quote it: "no")'),
    (
        "containers: {app: {image: b, environment: {VERSION: 1.10}}}",
        (
            "site.yml:4: spec.containers.app.environment.VERSION: 1.10 is the number 1.1 in YAML, and must be text "
            '[host web1] (quote it: "1.10")'
        ),
    ),
    ("containers: {app: {image: b, labels: {id: 0x1F}}}", "0x1F is the number 31 in YAML, and must be text"),
    ("containers: {app: {image: b, command: [sleep, 1_0]}}", "command[1]: 1_0 is the number 10 in YAML"),
    (
        "containers: {app: {image: b, environment: {COUNTRY: no}}}",
        (
            "site.yml:4: spec.containers.app.environment.COUNTRY: no is the boolean false in YAML, and must be text "
            '[host web1] (quote it: "no")'
        ),
    ),
    ("containers: {app: {image: b, labels: {power: On}}}", "labels.power: On is the boolean true in YAML"),
    ("containers: {app: {image: b, command: [echo, yes]}}", "command[1]: yes is the boolean true in YAML"),
    ("packages: {curl: latest}", "'latest' is not a version such as 26.1.5 [host web1] (without a version any one is"),
    ("engine: {version: latest}", "spec.engine.version: 'latest' is not a version such as 26.1.5"),
    ("networks: {a: {subnet: 10.6.0.1/24}}", "is an address in a network [host web1] (the network is 10.6.0.0/24)"),
    ("networks: {a: {subnet: 10.6.0.0/24, gateway: 10.7.0.1}}", "gateway 10.7.0.1 is outside of the subnet"),
    ("prune: {every: dayly}", "'dayly' is not a calendar of systemd [host web1] (did you mean \"daily\"?)"),
    ("containers: {app: {image: b, cap_add: [NET_ADMN]}}", '(did you mean "NET_ADMIN"?)'),
    (
        "containers: {app: {image: b, memory: 1g, memory_swap: 512m}}",
        "memory_swap 512m is less than memory 1g [host web1] (it is the limit of memory and swap together)",
    ),
    ("hostname: {{ x }}", '{{ without quotes is a mapping (quote a value that begins with {{: "{{ x }}")'),
    ("hostname: {{ x }}-1", 'not YAML: did not find expected key (quote a value that begins with {{: "{{ x }}")'),
    ("packages:\n- {{ x }}/a", "(quote a value that begins with {{"),
    ("{a: b}: 1", "a key must be text"),
    ("hostname:\n\ta", "found character that cannot start any token (indent with spaces, not with tabs)"),
    ("hostname: @a", "found character that cannot start any token (quote a value that begins with @)"),
    ("hostname: `a`", "(quote a value that begins with `)"),
    ("hostname: *a", "found undefined alias (quote a value that begins with *)"),
    ("modules: []\n<<: 5", "<<: << merges a mapping or a list of mappings, not 5"),
    ("modules: !vault {a: 1}", "modules: unknown YAML tag !vault of a mapping"),
    ("modules: !vault [a]", "modules: unknown YAML tag !vault of a list"),
    ("modules: !foo [a]", "modules: unknown YAML tag !foo of a list"),
    ("modules: !!set {a}", "modules: unknown YAML tag !!set of a mapping"),
    ("modules: []\n<<: [1, 2]", "<< merges a mapping or a list of mappings, not a list"),
    ("files: {/etc/x: {content: a, mode: rw}}", "'rw' is not an octal mode"),
    ("files: {/etc/x: {}}", "needs one of content, template and src"),
    ("files: {/etc/x: {content: a, src: b}}", "needs one of content, template and src, not content and src"),
    ("files: {/etc/x: {content: a, absent: true}}", "absent allows no content"),
    ("files: {/etc/x: {content: a, owner: 'a;b'}}", "is not a user or group name"),
    ("files: {/etc/x: {src: nope}}", "no such file: nope"),
    ("files: {/etc/x: {template: nope.j2}}", "no such template: nope.j2"),
    ("users: {'a$b': {}}", "'a$b' is not a user or group name"),
    ("users: {bob: {uid: -1}}", "greater than or equal to 0"),
    ("users: {bob: {comment: 'a:b'}}", "must be one line without a colon"),
    ("sysctl: {'net.ipv4.x;y': 1}", "is not a sysctl key"),
    ("sysctl: {nodots: 1}", "is not a sysctl key"),
    ("sysctl: {net.ipv4.ip_forward: [1]}", "must be text"),
    ('sysctl: {net.ipv4.ip_forward: "1\\n2"}', "must be one line of text"),
    ("modules: ['a b']", "is not the name of a kernel module"),
    ("services: {'-x': {}}", "is not the name of a service"),
    ("services: {docker: {enabled: 'yes'}}", "must be true or false, not 'yes'"),
    ("repositories: {r: {url: 'http://x'}}", "needs either key_url or key"),
    ("repositories: {r: {url: 'http://x', key: abc}}", "key must be an ASCII-armoured PGP public key block"),
    ("hostname: '{{ nope }}'", "spec.hostname: undefined variable: 'nope' is undefined"),
    ("hostname: '{{ inventory_hostnme }}'", 'did you mean "inventory_hostname"?'),
    ("hostname: '{{ x'", "template error"),
    ("hostname: '{{ 1 / 0 }}'", "template failed: division by zero"),
    ("a: 1\na: 2", "a: appears twice in one mapping (first on line 4)"),
    ("a: [1", "not YAML"),
    ("a:\n\t- b", "not YAML"),
    ("hostname\uff1a web1", "site.yml:3: [0].spec: must be a mapping (the full-width colon \uff1a is text in YAML;"),
    ("packages\uff1a [a]\nhostname: b", "(line 4 has a full-width colon \uff1a, which is text in YAML; write a colon "),
    (
        "engine: {x\uff1a y\uff0cz: {}}",
        "spec.engine: the key x\uff1a y\uff0cz has a full-width colon",
    ),
    ("engine: 'daemon\uff1a {}'", "must be a mapping, not 'daemon\uff1a {}' [host web1] (the full-width colon"),
    ("a: !vault x", "a !vault value begins with $ANSIBLE_VAULT;"),
    ("files: {/etc/docker/daemon.json: {content: '{}'}}\nengine: {daemon: {}}", "engine declares this file too"),
    ("packages: [docker-ce]\nengine: {}", "docker-ce is a package of the engine"),
    ("containers: {w: {image: app}}", "'w' is not a name of at least two characters"),
    *(
        (f"containers: {{web: {{image: app, ports: ['{port}']}}}}", f"'{port}' is not a published port")
        for port in (
            "999.0.0.1:80:80",
            "[::g]:80:80",
            "[1.2.3.4:80:80",
            "80:0",
            "65536:80",
            "80:65536",
            "80",
            "::1:80:80",
        )
    ),
    ("volumes: {v: {}}", "'v' is not a name of at least two characters"),
    ("containers: {web: {image: app, volumes: ['d:/data']}}", "'d:/data' is not a volume"),
    ("containers: {web: {image: app, tmpfs: ['/t:size=']}}", "'/t:size=' is not a tmpfs"),
    ("containers: {web: {image: app, tmpfs: ['t']}}", "'t' is not an absolute path"),
    ("containers: {web: {image: app, tmpfs: ['/t:size=1x']}}", "has for size [host web1] (size=64m,mode=1777)"),
    ("containers: {web: {image: app, memory: 5m}}", "memory 5m is less than docker allows [host web1] (at least 6m)"),
    (
        "engine: {daemon: {firewall-backend: nftables}, firewall: {forward: drop}}",
        "iptables' FORWARD chain would drop what dockerd's rules in nftables accept",
    ),
]


@pytest.mark.parametrize(("spec", "message"), BAD)
def test_an_invalid_spec_is_an_error_with_its_place(project: Project, spec: str, message: str) -> None:
    project.spec(spec)
    with pytest.raises(ProvisionError) as caught:
        project.load()
    text = str(caught.value).replace(f"{project.folder}/playbooks/", "")
    assert message in text
    assert "site.yml:" in text
    assert "\n" not in text, "one message, one line"


@pytest.mark.parametrize(
    ("playbook", "message"),
    [
        ("", "a playbook is a list of plays"),
        ("a: 1", "a playbook is a list of plays"),
        ("- hosts: docker\n  spec: {}", "a play needs name"),
        ("- name: x\n  host: docker\n  spec: {}", 'site.yml:2: [0].host: unknown key (did you mean "hosts"?)'),
        ("- name: x\n  hosts: none-such\n  spec: {}", "site.yml:2: hosts: no host or group matches 'none-such'"),
        ("- name: x\n  hosts: docker\n  spec: []", "site.yml:3: [0].spec: must be a mapping"),
        ("- {name: A b, hosts: docker, spec: {}}\n- {name: a-B, hosts: docker, spec: {}}", "two plays of one name"),
        ("- name: '***'\n  hosts: docker\n  spec: {}", "needs a letter a-z or a digit"),
        ("- name: éé\n  hosts: docker\n  spec: {}", "needs a letter a-z or a digit: its record on the hosts"),
        ("- name: x\n  hosts: docker:!docker\n  spec: {}", "the playbook names no host"),
    ],
)
def test_an_invalid_playbook_is_an_error_with_its_place(project: Project, playbook: str, message: str) -> None:
    project.write("playbooks/site.yml", playbook)
    with pytest.raises(ProvisionError) as caught:
        project.load()
    assert message in str(caught.value)


def test_template_file_errors_have_the_templates_line(project: Project) -> None:
    project.spec("files: {/etc/x: {template: x.j2}}")
    path = project.write("playbooks/templates/x.j2", "one\ntwo {{ nope }}\n")
    with pytest.raises(ProvisionError, match="undefined variable: 'nope'") as caught:
        project.load()
    assert f"{path}:2:" in str(caught.value)
    project.write("playbooks/templates/x.j2", "one\ntwo\n{% if %}\n")
    with pytest.raises(ProvisionError) as caught:
        project.load()
    assert f"{path}:3:" in str(caught.value)


def test_an_error_in_a_block_scalar_has_the_line_of_the_fault(project: Project) -> None:
    project.spec("files:\n  /etc/x:\n    content: |\n      one\n      {{ nope }}\n")
    with pytest.raises(ProvisionError) as caught:
        project.load()
    assert "site.yml:8:" in str(caught.value), str(caught.value)


def test_the_error_of_contradicting_plays_names_both_places(project: Project) -> None:
    project.write(
        "playbooks/site.yml",
        "- name: A\n  hosts: docker\n  spec:\n    engine: {daemon: {bip: 10.0.0.1/24}}\n"
        "- name: B\n  hosts: web1\n  spec:\n    engine: {daemon: {bip: 10.0.1.1/24}}\n",
    )
    with pytest.raises(ProvisionError) as caught:
        project.load()
    assert "site.yml:8: engine.daemon.bip: two plays declare this differently" in str(caught.value)
    assert "site.yml:4" in str(caught.value)
    assert "declare it in one play, or refine it for the host by a `spec` variable" in str(caught.value)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("engine: {daemon: {labels: [a]}}", "engine: {daemon: {labels: [b]}}"),
        ("engine: {daemon: {log-opts: {tag: a}}}", "engine: {daemon: {log-opts: json}}"),
        ("engine: {daemon: {log-opts: json}}", "engine: {daemon: {log-opts: {tag: a}}}"),
        ("engine: {daemon: {debug: 1}}", "engine: {daemon: {debug: true}}"),
    ],
)
def test_lists_and_values_of_two_plays_contradict_each_other(project: Project, first: str, second: str) -> None:
    """Only sets (packages, modules) are united."""
    text = "- {{name: {}, hosts: docker, spec: {{{}}}}}\n"
    project.write("playbooks/site.yml", text.format("A", first) + text.format("B", second))
    with pytest.raises(ProvisionError, match="two plays declare this differently"):
        project.load()


def test_plays_are_merged_and_variables_override(project: Project) -> None:
    project.write(
        "playbooks/site.yml",
        "- name: A\n  hosts: docker\n  spec:\n    packages: [curl]\n    engine: {daemon: {labels: [a], debug: true}}\n"
        "- name: B\n  hosts: docker\n  spec:\n    packages: [jq, curl]\n    engine: {daemon: {mtu: 1400}}\n",
    )
    project.write("inventory/group_vars/docker.yml", "spec: {engine: {daemon: {labels: [b, c]}}}\n")
    project.write("inventory/host_vars/web1.yml", "spec: {engine: {daemon: {debug: false}}}\n")
    spec = project.config().spec
    assert sorted(spec.packages) == ["curl", "jq"]
    assert spec.engine is not None
    # Lists replace, maps merge, the host wins over the group.
    assert spec.engine.daemon == {"labels": ["b", "c"], "debug": False, "mtu": 1400}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ 5 }}", 5),
        ("{{ 2 + 3 }}", 5),
        ("{{ true }}", True),
        ("{{ [1, 'a'] }}", [1, "a"]),
        ("{{ 1.5 }}", 1.5),
        ("{{ '26.10' }}", "26.10"),
        ("{{ '5' }}", "5"),
        ("{% if true %}{{ 5 }}{% endif %}", 5),
        ("a{{ 5 }}", "a5"),
        ("{{ 5 }} ", "5 "),
    ],
)
def test_a_constant_keeps_its_type_as_a_variable_does(text: str, value: object) -> None:
    found = Scope(Map()).render(text)
    assert (found, type(found)) == (value, type(value))


def _with(project: Project, variables: str, spec: str) -> None:
    project.write("playbooks/site.yml", f"- name: Site\n  hosts: docker\n  vars: {variables}\n  spec: {{{spec}}}\n")


MODES = ["0640", "'0640'", "'640'", "0o640", "'0o640'"]


@pytest.mark.parametrize("written", MODES)
def test_a_mode_has_the_octal_digits_that_the_file_has(written: str, project: Project) -> None:
    _with(
        project,
        f"{{m: {written}}}",
        f"files: {{/x: {{content: a, mode: {written}}}, /y: {{content: a, mode: '{{{{ m }}}}'}}}}",
    )
    files = project.load().configs[0].spec.files
    assert (files["/x"].mode, files["/y"].mode) == ("0640", "0640")


@pytest.mark.parametrize(
    ("variables", "value", "message"),
    [
        (
            "{v: 10.200}",
            "{{ v }}.0.1",
            'vars.v: is the number 10.2 where it becomes text, not 10.200 (quote it: "10.200")',
        ),
        ("{v: 10.200}", "{{ v | string }}", "is the number 10.2 where it becomes text"),
        ("{v: 10.200}", "{{ '%s' % v }}", "is the number 10.2 where it becomes text"),
        ("{v: 10.200}", "{{ '{}'.format(v) }}", "is the number 10.2 where it becomes text"),
        ("{v: 10.200}", "{{ [v, v] | join }}", "is the number 10.2 where it becomes text"),
        ("{v: 10.200}", "{{ v ~ 1 }}", "is the number 10.2 where it becomes text"),
        ("{v: 1.10}", "{{ v }}", "environment.A: 1.10 is the number 1.1 in YAML"),
        ("{w: 1.10, v: '{{ w }}'}", "{{ v }}", "environment.A: 1.10 is the number 1.1 in YAML"),
        ("{v: no}", "{{ v }}", "environment.A: no is the boolean false in YAML"),
        ("{w: no, v: '{{ w }}'}", "{{ v }}", "environment.A: no is the boolean false in YAML"),
    ],
)
def test_a_variable_that_would_become_other_text_is_refused(
    variables: str, value: str, message: str, project: Project
) -> None:
    _with(project, variables, f'containers: {{app: {{image: b, environment: {{A: "{value}"}}}}}}')
    with pytest.raises(ProvisionError) as error:
        project.load()
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("variables", "value", "result"),
    [
        ("{v: 10.2}", "{{ v }}.0.1", "10.2.0.1"),
        ("{v: 10.200}", "{{ v * 2 }}", "20.4"),
        ("{v: 10.200}", "{{ v | int }}", "10"),
        ("{v: true}", "{{ v }}", "true"),
        ("{v: '1.10'}", "{{ v }}", "1.10"),
        ("{range: '10.200', dict: a, namespace: b}", "{{ range }}{{ dict }}{{ namespace }}", "10.200ab"),
        ("{range: 1}", "{% set range = 2 %}{{ range }}", "2"),
    ],
)
def test_a_variable_has_its_value(variables: str, value: str, result: str, project: Project) -> None:
    _with(project, variables, f'containers: {{app: {{image: b, environment: {{A: "{value}"}}}}}}')
    assert project.load().configs[0].spec.containers["app"].environment["A"] == result


def test_types_survive_templates_and_yaml(project: Project) -> None:
    project.write("inventory/group_vars/docker.yml", 'n: 5\nversion: "26.10"\nb: true\nl: [1, "2"]\nm: 0644\n')
    project.spec(
        'engine: {version: "{{ version }}", daemon: {mtu: "{{ n }}", debug: "{{ b }}", labels: "{{ l }}",'
        ' x: "{{ n }}%"}}\n'
        'files: {/etc/x: {content: "{{ 1 }}a", mode: "{{ m }}"}, /etc/y: {content: b, mode: 0755}}\n'
        "sysctl: {net.ipv4.ip_forward: '{{ n - 5 }}', net.ipv4.ip_local_port_range: 1024   65000}"
    )
    spec = project.config().spec
    assert spec.engine is not None
    assert spec.engine.version == "26.10"
    assert spec.engine.daemon == {"mtu": 5, "debug": True, "labels": [1, "2"], "x": "5%"}
    assert (spec.files["/etc/x"].mode, spec.files["/etc/y"].mode) == ("0644", "0755")
    assert spec.sysctl == {"net.ipv4.ip_forward": "0", "net.ipv4.ip_local_port_range": "1024 65000"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PATH=/bin\n* * * * * {{ user }} true\n", "PATH=/bin\n* * * * * bob true\n"),
        ("{{ user }}\n", "bob\n"),
        ("{{ user }}\n\n", "bob\n\n"),
        ("{{ user }}", "bob"),
        ("{% if ports %}a{% endif %}\n", "a\n"),
        ("{# nothing #}\n", None),
        ("{{ user -}}\n", "bob\n"),
        ("a{% if ports -%}\n{% endif %}", "a"),
        ("{{ ports }}\n", [1, 2]),
        ("{{ ports | length }}\n", 2),
        ("{{ ports | first == 1 }}\n", True),
    ],
)
def test_a_template_in_yaml_keeps_its_last_newline(text: str, expected: object) -> None:
    rendered = Scope(Map([("user", "bob"), ("ports", [1, 2])])).render(text)
    assert (type(rendered), rendered) == (type(expected), expected)


def test_the_content_of_a_file_keeps_its_last_newline(project: Project) -> None:
    text = "    content: |\n      * * * * * root {{ 'true' }}\n"
    project.spec(f"files:\n  /etc/cron.d/x:\n{text}")
    assert project.config().spec.files["/etc/cron.d/x"].content == "* * * * * root true\n"


def test_unsafe_text_is_not_a_template(project: Project) -> None:
    project.spec("files: {/etc/x: {content: !unsafe '{{ not a template }}'}}")
    assert project.config().spec.files["/etc/x"].content == "{{ not a template }}"


def test_a_variable_that_refers_to_itself_is_an_error(project: Project) -> None:
    project.write("inventory/group_vars/docker.yml", 'a: "{{ b }}"\nb: "{{ a }}"\n')
    project.spec("hostname: '{{ a }}'")
    with pytest.raises(ProvisionError, match="a variable that refers to itself: a -> b -> a"):
        project.load()


def test_custom_templates_override_shipped_ones(project: Project) -> None:
    project.spec("engine: {}")
    project.write("playbooks/templates/apt/docker.sources.j2", "mine {{ uri }} {{ inventory_hostname }}\n")
    loaded = project.load()
    from provision.catalog import Options, compile_catalog, contents
    from provision.distros import example, newest

    rendered = dict(contents(compile_catalog(loaded.configs[0], example(newest("ubuntu")), loaded.context, Options())))
    text = rendered["/etc/apt/sources.list.d/docker.sources"].decode()
    assert text == "mine https://download.docker.com/linux/ubuntu web1\n"


def test_the_error_of_a_union_has_its_place_and_no_python_name(project: Project) -> None:
    project.spec("risky: [/a, /b/]")
    with pytest.raises(ProvisionError) as caught:
        project.load()
    assert "function" not in str(caught.value)
