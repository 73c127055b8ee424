"""A container's fields: as a spec declares them, as docker shows them, and as ``docker create`` takes them.

Names and shapes are those of moby's ``api/types/container`` (hostconfig.go, config.go). A field that a spec does not
declare has the value of the image or of docker. It is compared with that value, so a manual change is found too.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from provision.model import Salt, Withheld
from provision.secrets import disclosure
from provision.secrets.secret import each, holds, stable
from provision.spec import Container

_IMAGES = "the image's"
_UNITS = {"b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
#: The labels of provision: the container's spec, which of its variables are secrets, and the run that made it.
OWN_LABELS = ("provision.spec", "provision.secrets", "provision.run")


def declared(one: Container, logs: Mapping[str, str]) -> dict[str, str]:
    """Field -> value, for all fields that are compared. ``logs`` are the options that docker adds to the declared log
    options (:func:`daemon_logs`)."""
    entry, command = _argv(one)
    wanted = {
        "image": str(one.image),
        "entrypoint": _IMAGES if entry is None else json.dumps(entry),
        "command": _IMAGES if command is None else json.dumps(command),
        "ports": _names(map(_port, one.ports)),
        "volumes": _names(map(_bind, one.volumes)),
        "tmpfs": _names(one.tmpfs),
        "networks": _names(one.networks or ["bridge"]),
        "user": _IMAGES if one.user is None else one.user,
        "workdir": _IMAGES if one.workdir is None else one.workdir,
        "memory": str(size(one.memory)),
        "cpus": f"{float(one.cpus or 0):g}",
        "pids": str(one.pids or 0),
        "restart": one.restart,
        "cap_add": _names(one.cap_add),
        "cap_drop": _names(one.cap_drop),
        "security": _names(one.security),
        "privileged": _yes(one.privileged),
        "read_only": _yes(one.read_only),
        "init": _yes(one.init),
        "health": _IMAGES if one.health is None else _health_declared(one),
        "stop_timeout": "docker's" if one.stop_timeout is None else str(one.stop_timeout),
        "other environment": "none",
        "other labels": "none",
        **{f"environment {name}": value for name, value in one.environment.items()},
        **{f"label {name}": value for name, value in one.labels.items()},
        "state": "running" if one.running else "stopped",
    }
    if one.hostname is not None:
        wanted["hostname"] = one.hostname
    if one.memory_swap is not None:
        wanted["memory_swap"] = str(size(one.memory_swap))
    if one.log is not None:
        wanted["log"] = f"{one.log.driver} {json.dumps({**logs, **one.log.options}, sort_keys=True)}"
    return wanted


def daemon_logs(one: Container, daemon: Mapping[str, Any]) -> dict[str, str]:
    """The log options that docker gives a container in addition to the declared ones. They are the options of
    daemon.json if it has the container's driver, and its cache options in any case (moby, daemon/logs.go and
    logger/loggerutils/cache)."""
    if one.log is None or not isinstance(options := daemon.get("log-opts") or {}, dict):
        return {}
    same = one.log.driver == (daemon.get("log-driver") or "json-file")
    return {key: str(value) for key, value in options.items() if same or key.startswith("cache-")}


#: What docker adds to a privileged container that declares no label (moby, daemon/create.go, generateSecurityOpt).
_OF_PRIVILEGED = "label=disable"


def found(
    one: Container,
    whole: Mapping[str, Any],
    variables: Iterable[str],
    image: Mapping[str, Any],
    salt: Salt,
    logs: Mapping[str, str] | None,
) -> dict[str, str]:
    """The same fields of a container as docker reports it. ``variables`` are ``NAME=value``, ``image`` is its image's
    config. The caller sets the field ``image`` and secret variables. ``logs`` are the options that docker adds to the
    declared log options. With ``None`` no play declares the daemon: then only declared options are compared.

    Variables, labels and log options can be read only through docker's socket. Such a value is shown only where this
    spec, or the one that provision made the container from, has it in plain text. Commands are shown, because ps shows
    them to every user.
    """
    host, config = whole["HostConfig"], whole["Config"]
    entry, command = _argv(one)
    health, policy, tmpfs = config.get("Healthcheck"), host["RestartPolicy"], host.get("Tmpfs") or {}
    own = {key: value for key, value in (config.get("Labels") or {}).items() if key not in OWN_LABELS}
    of_image = image.get("Labels") or {}
    given = dict(variable.partition("=")[::2] for variable in variables)
    from_image = dict(variable.partition("=")[::2] for variable in image.get("Env") or [])
    before = made_of(config.get("Labels") or {})

    def told(kind: str, name: str, value: str) -> str:
        known = getattr(one, kind).get(name), before.get(kind, {}).get(name)
        return value if value in known else disclosure.text(value, salt)

    own_logs = one.log.options if one.log is not None else {}
    logging = {**_options(before.get("log")), **(logs or {}), **own_logs}
    options = host["LogConfig"].get("Config") or {}
    compared = options if logs is not None else {key: value for key, value in options.items() if key in own_logs}
    no_label = host.get("Privileged") and not any(option.startswith("label") for option in one.security)
    added = _OF_PRIVILEGED if no_label else None
    retries = f":{policy['MaximumRetryCount']}" if policy.get("MaximumRetryCount") else ""
    return {
        "entrypoint": _or_images(entry is None, config.get("Entrypoint"), image.get("Entrypoint")),
        "command": _or_images(command is None, config.get("Cmd"), image.get("Cmd")),
        "ports": _names(_published(host.get("PortBindings") or {})),
        "volumes": _names(_mounted(host)),
        "tmpfs": _names(f"{path}:{options}" if options else path for path, options in tmpfs.items()),
        "networks": _names(whole.get("Networks") or {}),
        "user": _text_or_images(one.user is None, config.get("User"), image.get("User")),
        "workdir": _text_or_images(one.workdir is None, config.get("WorkingDir"), image.get("WorkingDir")),
        "memory": str(host.get("Memory") or 0),
        "memory_swap": str(host.get("MemorySwap") or 0),
        "cpus": f"{(host.get('NanoCpus') or 0) / 1e9:g}",
        "pids": str(max(0, host.get("PidsLimit") or 0)),
        "restart": (policy.get("Name") or "no") + retries,
        "cap_add": _names(name.removeprefix("CAP_") for name in host.get("CapAdd") or []),
        "cap_drop": _names(name.removeprefix("CAP_") for name in host.get("CapDrop") or []),
        "security": _names(option for option in host.get("SecurityOpt") or [] if option != added),
        "privileged": _yes(host.get("Privileged")),
        "read_only": _yes(host.get("ReadonlyRootfs")),
        "init": _yes(host.get("Init")),
        "health": _IMAGES if one.health is None and health == image.get("Healthcheck") else _health(health),
        "stop_timeout": stop_timeout(config),
        "hostname": config.get("Hostname") or "",
        "log": _log_found(host["LogConfig"]["Type"], compared, logging, salt),
        "other environment": _names(
            name for name, value in given.items() if name not in one.environment and from_image.get(name) != value
        ),
        "other labels": _names(
            name for name, value in own.items() if name not in one.labels and of_image.get(name) != value
        ),
        **{f"environment {name}": told("environment", name, given[name]) for name in one.environment if name in given},
        **{f"label {name}": told("labels", name, own[name]) for name in one.labels if name in own},
        "state": _state(whole),
    }


def made_of(labels: Mapping[str, str]) -> dict[str, Any]:
    """The spec that provision made a container from, by its label; empty where the label is not a spec."""
    try:
        spec = json.loads(labels.get("provision.spec", "{}"))
    except ValueError:
        return {}
    if not isinstance(spec, dict):
        return {}
    return {key: value for key, value in spec.items() if key not in _NAMED or isinstance(value, dict)}


#: Fields that map names to values.
_NAMED = ("environment", "labels", "log")


def _options(log: Mapping[str, Any] | None) -> dict[str, str]:
    options = (log or {}).get("options")
    return options if isinstance(options, dict) else {}


def stop_timeout(config: Mapping[str, Any]) -> str:
    return "docker's" if config.get("StopTimeout") is None else str(config["StopTimeout"])


def words(one: Container, image: str = "") -> Iterator[str]:
    """The words of ``docker create`` except the name, the secrets, and the networks after the first. ``image`` is the
    id of the image to use, where the declared name may stand for another one."""
    entry, command = _argv(one)
    if entry is not None:
        yield from ("--entrypoint", entry[0] if entry else "")
    for name, value in one.environment.items():
        if not holds(value):
            yield from ("--env", f"{name}={value}")
    for option, values in (
        ("--publish", one.ports),
        ("--volume", one.volumes),
        ("--tmpfs", one.tmpfs),
        ("--cap-add", one.cap_add),
        ("--cap-drop", one.cap_drop),
        ("--security-opt", one.security),
    ):
        for value in values:
            yield from (option, value)
    for option, given in (
        ("--network", one.networks[0] if one.networks else None),
        ("--hostname", one.hostname),
        ("--user", one.user),
        ("--workdir", one.workdir),
        ("--memory", None if one.memory is None else str(size(one.memory))),
        ("--memory-swap", None if one.memory_swap is None else str(size(one.memory_swap))),
        ("--cpus", None if one.cpus is None else f"{float(one.cpus):g}"),
        ("--pids-limit", None if one.pids is None else str(one.pids)),
        ("--stop-timeout", None if one.stop_timeout is None else str(one.stop_timeout)),
    ):
        if given is not None:
            yield from (option, given)
    yield from ("--restart", one.restart)
    yield from (
        flag
        for flag, on in (("--privileged", one.privileged), ("--read-only", one.read_only), ("--init", one.init))
        if on
    )
    if one.log is not None:
        yield from ("--log-driver", one.log.driver)
        yield from (word for key, value in one.log.options.items() for word in ("--log-opt", f"{key}={value}"))
    yield from _health_words(one)
    for name, value in {**one.labels, **_labels(one)}.items():
        yield from ("--label", f"{name}={value}")
    yield image or str(one.image)
    yield from (entry or [])[1:] if command is None else command


def _labels(one: Container) -> dict[str, str]:
    """The spec of the container, for a later rollback. References, which a host cannot resolve, replace secrets."""
    whole = json.dumps(each(one.model_dump(exclude_defaults=True), stable), sort_keys=True)
    secret = [name for name, value in one.environment.items() if holds(value)]
    return {"provision.spec": whole, **({"provision.secrets": f",{','.join(secret)},"} if secret else {})}


def _argv(one: Container) -> tuple[list[str] | None, list[str] | None]:
    """Entrypoint and command as docker will have them. docker's client takes one word as the entrypoint. With an
    entrypoint docker ignores the image's command."""
    if one.entrypoint is None:
        return None, one.command
    rest = one.entrypoint[1:] + (one.command or [])
    return one.entrypoint[:1], rest


def size(text: str | None) -> int:
    """The size in bytes."""
    if text is None:
        return 0
    number, unit = (text[:-1], text[-1]) if text[-1] in _UNITS else (text, "b")
    return int(float(number) * _UNITS[unit])


def nanoseconds(text: str) -> int:
    factors = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6}
    return sum(int(number) * factors[unit] for number, unit in re.findall(r"([0-9]+)(ms|h|m|s)", text))


def _port(text: str) -> str:
    rest, _, protocol = text.partition("/")
    front, _, inner = rest.rpartition(":")
    address, _, outer = front.rpartition(":")
    return _shown_port(address.strip("[]"), outer, f"{int(inner)}/{protocol or 'tcp'}")


def _published(bindings: Mapping[str, Any]) -> Iterator[str]:
    for inner, places in bindings.items():
        for place in places or [{}]:
            yield _shown_port(place.get("HostIp") or "", place.get("HostPort") or "", inner)


def _shown_port(address: str, outer: str, inner: str) -> str:
    """No address means all addresses; ``0.0.0.0`` means all of IPv4. Normalizes the address, which has many forms."""
    with contextlib.suppress(ValueError):
        address = str(ipaddress.ip_address(address)) if address else "*"
    return f"{address}:{int(outer) if outer.isdigit() else outer} -> {inner}"


def _bind(text: str) -> str:
    source, inner, *options = text.split(":")
    kept = sorted(option for option in (options[0].split(",") if options else []) if option != "rw")
    return ":".join([source, inner, *([",".join(kept)] if kept else [])])


def _mounted(host: Mapping[str, Any]) -> Iterator[str]:
    yield from (_bind(bind) for bind in host.get("Binds") or [])
    yield from (f"{mount.get('Source', '')}:{mount['Target']} (mount)" for mount in host.get("Mounts") or [])


def _health_declared(one: Container) -> str:
    health = one.health
    if health is None or health.command == "none":
        return "none"
    test = ["CMD-SHELL", _shell(health.command)]
    return _health(
        {
            "Test": test,
            "Interval": nanoseconds(health.interval),
            "Timeout": nanoseconds(health.timeout),
            "StartPeriod": nanoseconds(health.start_period),
            "Retries": health.retries,
        }
    )


def _health_words(one: Container) -> Iterator[str]:
    health = one.health
    if health is None:
        return
    if health.command == "none":
        yield "--no-healthcheck"
        return
    yield from ("--health-cmd", _shell(health.command), "--health-interval", health.interval)
    yield from ("--health-timeout", health.timeout, "--health-start-period", health.start_period)
    yield from ("--health-retries", str(health.retries))


def _shell(command: str | list[str]) -> str:
    """docker's client takes a health check as one text, which a shell in the container runs."""
    if isinstance(command, str):
        return command
    return " ".join(word if re.fullmatch(r"[A-Za-z0-9_./:@%+=,-]+", word) else _quoted(word) for word in command)


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


def _health(health: Mapping[str, Any] | None) -> str:
    if not health or health.get("Test") == ["NONE"]:
        return "none"
    keys = {"Interval": "interval", "Timeout": "timeout", "StartPeriod": "start_period"}
    times = ", ".join(f"{name} {(health.get(key) or 0) / 1e9:g}s" for key, name in keys.items())
    return f"{json.dumps(health.get('Test') or [])}, {times}, retries {health.get('Retries') or 0}"


def _log_found(driver: str, options: Mapping[str, str], known: Mapping[str, str], salt: Salt) -> str:
    told = disclosure.pairs(options, known, salt)
    line = f"{driver} {told}"
    return Withheld(line) if isinstance(told, Withheld) else line


def _or_images(undeclared: bool, seen: list[str] | None, image: list[str] | None) -> str:
    return _IMAGES if undeclared and (seen or []) == (image or []) else json.dumps(seen or [])


def _text_or_images(undeclared: bool, seen: str | None, image: str | None) -> str:
    return _IMAGES if undeclared and (seen or "") == (image or "") else (seen or "")


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _state(whole: Mapping[str, Any]) -> str:
    if whole["Status"] != "running":
        return "stopped" if whole["Status"] in ("created", "exited") else str(whole["Status"])
    return "unhealthy" if whole.get("Health") == "unhealthy" else "running"


def _yes(value: object) -> str:
    return "yes" if value else "no"
