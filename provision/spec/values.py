"""The types of a spec's values. They are strict and refuse text that is special for a shell. A name that may become an
argument has only the characters that its tool allows (useradd(8), sysctl(8), deb-version(7))."""

import re
import shlex
from functools import cache
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, GetJsonSchemaHandler, StringConstraints
from pydantic.functional_validators import AfterValidator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from provision.secrets.secret import hidden
from provision.spec.secrets import TAKES_SECRET
from provision.text.yamlfile import Number, named, nearest, quoted


class Model(BaseModel):
    # Built at first use: only the outermost model is ever used to validate.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


def pattern(expression: str, what: str) -> AfterValidator:
    def check(value: str) -> str:
        # Compiled at first use: a spec has values of a few types, and the start would compile the patterns of all.
        if not _compiled(expression).fullmatch(value):
            raise ValueError(f"{value!r} is not {what}")
        return value

    return AfterValidator(check)


class Shape:
    """The pattern of a text in the JSON Schema. A template is valid everywhere."""

    def __init__(self, expression: str) -> None:
        self.expression = rf"^({expression})$|\{{\{{|\{{%"

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        found = handler(schema)
        for one in (found, *found.get("anyOf", ())):
            if one.get("type") == "string":
                one["pattern"] = self.expression
        return found


@cache
def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression)


def _absolute(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError(f"{value!r} is not an absolute path (it must begin with /)")
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise ValueError(f"{value!r} holds control characters")
    if ".." in PurePosixPath(value).parts or str(PurePosixPath(value)) != value:
        raise ValueError(f"{value!r} is not in normal form (no .., no //, no / at the end)")
    return value


_AMOUNT = "[0-9]+[kmgKMG]?"
#: tmpfs(5), mount options.
_TMPFS = {"size": f"{_AMOUNT}|[0-9]+%", "nr_blocks": _AMOUNT, "nr_inodes": _AMOUNT, "mode": "[0-7]{1,5}"}


def _tmpfs(value: str) -> str:
    """``docker run --tmpfs``: a path, and mount options (tmpfs(5)) after a colon."""
    path, colon, options = value.partition(":")
    one = r"[a-z_]+(=[A-Za-z0-9._:%-]+)?"
    if colon and not re.fullmatch(rf"{one}(,{one})*", options):
        raise ValueError(f"{value!r} is not a tmpfs (/PATH/IN/THE/CONTAINER[:size=64m,mode=1777])")
    for option in options.split(","):
        name, _, text = option.partition("=")
        if (form := _TMPFS.get(name)) is not None and not re.fullmatch(form, text):
            raise ValueError(
                f"{value!r}: {name}={text} is not a value that tmpfs(5) has for {name}", "size=64m,mode=1777"
            )
    _absolute(path)
    return value


def _port(value: str) -> str:
    found = re.fullmatch(r"(?:(?:\[([0-9a-f:]+)\]|([0-9.]+)):)?([0-9]{1,5}):([0-9]{1,5})(?:/(tcp|udp|sctp))?", value)
    six, four, outer, inner, _ = found.groups() if found is not None else (None, None, "", "0", None)
    try:
        address = ip_address(six or four or "0.0.0.0")  # noqa: S104 - any valid one
    except ValueError:
        address = None
    if address is None or found is None or int(outer) > 65535 or not 0 < int(inner) < 65536:
        raise ValueError(
            f"{value!r} is not a published port ([ADDRESS:]PORT_OF_THE_HOST:PORT_OF_THE_CONTAINER[/udp];"
            " an IPv6 address in brackets)"
        )
    return value


def _octal(value: Any) -> Any:
    """Octal digits as text, as in chmod(1), or as YAML 1.2 writes an octal number (``0o640``). A decimal number is
    refused: 640 may be meant as octal digits, and 420 is what some program has made of 0644."""
    text = value.written if isinstance(value, Number) else value
    if isinstance(text, int) and not isinstance(text, bool):
        raise ValueError(f"{text} is a decimal number, not an octal mode", _as_modes(text))
    if not isinstance(text, str) or not re.fullmatch(r"(0o?)?[0-7]{3,4}", text):
        raise ValueError(f"{named(text)} is not an octal mode such as 0644")
    return f"{int(text, 8):04o}"


def _as_modes(number: int) -> str:
    """The modes that a decimal number may mean, in a hint."""
    digits = f"{number:04d}"
    if not re.fullmatch(r"[0-7]{4}", digits):
        return ""
    hint = f'quote the mode: "{digits}"'
    return f'{hint} or, if {number} is the decimal form, "{number:04o}"' if 0o100 <= number <= 0o777 else hint


def _sysctl_value(value: Any) -> Any:
    if isinstance(value, bool):
        return str(int(value))
    text = str(int(value)) if isinstance(value, int) else value
    if isinstance(text, str) and not re.fullmatch(r"[^\x00-\x1f\x7f]+", text):
        raise ValueError("must be one line of text")
    return " ".join(text.split()) if isinstance(text, str) else text


def _fingerprint(value: str) -> str:
    packed = re.sub(r"[\s:]", "", value).upper()
    if not re.fullmatch(r"[0-9A-F]{40}|[0-9A-F]{64}", packed):
        raise ValueError("must be the whole fingerprint: 40 (or 64) hexadecimal digits, blanks allowed")
    return packed


def _several(value: Any) -> Any:
    """A single value is short for a list of one value; no value is an empty list."""
    return [] if value is None else [value] if isinstance(value, str) else value


def _host_name(value: str) -> str:
    label = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    if len(value) > 253 or not re.fullmatch(rf"{label}(\.{label})*", value):
        raise ValueError(f"{value!r} is not a host name (RFC 1123: letters, digits, hyphens and dots)")
    return value


#: Linux allows at most this length (HOST_NAME_MAX of limits.h(0p), __NEW_UTS_LEN).
_HOST_NAME_MAX = 64


def _machine_name(value: str) -> str:
    if len(value) > _HOST_NAME_MAX:
        raise ValueError(
            f"{value!r} has {len(value)} characters; the name of a Linux host has at most {_HOST_NAME_MAX}"
        )
    return _host_name(value)


def _url(value: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~%/+\-]*)?", value):
        raise ValueError(f"{value!r} is not an http:// or https:// URL without credentials, query or blanks")
    return value.rstrip("/")


def _proxy_url(value: str) -> str:
    scheme, separator, rest = value.partition("://")
    credentials, at, address = rest.rpartition("@")
    if not at:
        return _url(value)
    user, colon, password = credentials.partition(":")
    if not re.fullmatch(r"[A-Za-z0-9._~%-]+", user) or (colon and not hidden(password)):
        raise ValueError("needs its password as a secret: http://USER:{{ a_variable_that_is_!secret }}@HOST:PORT")
    _url(f"{scheme}{separator}{address}")
    return value


def _no_word(value: str) -> str:
    if value in ("latest", "newest", "present", "installed", "current", "stable", "any", "true", "yes"):
        raise ValueError(f"{value!r} is not a version such as 26.1.5", "without a version any one is right")
    return value


def _line(value: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in value) or ":" in value:
        raise ValueError("must be one line without a colon")
    return value


def _pem_or_name(value: str) -> str:
    begun = value.lstrip().startswith("-----BEGIN ")
    if begun and "-----END " not in value:
        raise ValueError("is incomplete PEM text: it has no END line")
    if not begun and ("\n" in value or not value):
        raise ValueError("must be PEM text (-----BEGIN ...) or the name of a file in files/")
    return value


AbsolutePath = Annotated[str, AfterValidator(_absolute)]
Mode = Annotated[str, BeforeValidator(_octal, json_schema_input_type=str | int), Shape("(0o?)?[0-7]{3,4}")]
Url = Annotated[str, AfterValidator(_url)]
ProxyUrl = Annotated[str, AfterValidator(_proxy_url), TAKES_SECRET]
Fingerprint = Annotated[str, AfterValidator(_fingerprint)]
Fingerprints = Annotated[list[Fingerprint], BeforeValidator(_several, json_schema_input_type=str | list[str] | None)]
HostName = Annotated[str, AfterValidator(_host_name)]
#: The own name of a host or a container.
MachineName = Annotated[str, AfterValidator(_machine_name)]
SysctlValue = Annotated[str, BeforeValidator(_sysctl_value, json_schema_input_type=str | int | bool)]
UserName = Annotated[str, pattern(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}", "a user or group name (letters, digits, _ . -)")]
SysctlKey = Annotated[
    str, pattern(r"[A-Za-z0-9_-]+([./][A-Za-z0-9_:@-]+)+", "a sysctl key such as net.ipv4.ip_forward")
]
ModuleName = Annotated[str, pattern(r"[A-Za-z0-9_-]{1,55}", "the name of a kernel module")]
PackageName = Annotated[str, pattern(r"[A-Za-z0-9][A-Za-z0-9.+_-]*", "the name of a package")]
Version = Annotated[str, pattern(r"[A-Za-z0-9][A-Za-z0-9.+~:-]*", "a version such as 26.1.5"), AfterValidator(_no_word)]
UnitName = Annotated[str, pattern(r"[A-Za-z0-9][A-Za-z0-9:_.@-]*", "the name of a service")]
RepositoryName = Annotated[str, pattern(r"[A-Za-z0-9][A-Za-z0-9_-]*", "a repository's name (letters, digits, _ -)")]
Word = Annotated[str, pattern(r"[A-Za-z0-9][A-Za-z0-9._/+-]*", "a word without blanks")]
NoProxy = Annotated[str, pattern(r"\*|[A-Za-z0-9.*:/\[\]-]+", "a host, domain, address or network")]
Pem = Annotated[str, AfterValidator(_pem_or_name)]
PrivateKey = Annotated[str, AfterValidator(_pem_or_name), TAKES_SECRET]
RegistryHost = Annotated[
    str, pattern(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?", "a registry (host, or host:port)")
]
Line = Annotated[str, StringConstraints(max_length=200), AfterValidator(_line)]


#: distribution/reference: host[:port]/path[:tag][@digest].
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_IMAGE = (
    rf"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{{1,5}})?/)?{_PART}(?:/{_PART})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)


def _size(value: Any) -> Any:
    text = str(int(value)) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]+(\.[0-9]+)?[bkmg]?", text.lower()):
        raise ValueError(f"{named(value)} is not a size (bytes, or a number with b, k, m or g: 64m)")
    return text.lower()


def in_bytes(size: str) -> float:
    """A :data:`Size` in bytes (docker/go-units: binary units)."""
    power = "bkmg".find(size[-1])
    return float(size) if power < 0 else float(size[:-1]) * 1024**power


def _duration(value: Any) -> Any:
    text = f"{int(value)}s" if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not re.fullmatch(r"(?=.)([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?", text):
        raise ValueError(f"{named(value)} is not a duration (30s, 1m30s, 2h)")
    return text


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Number):
        raise ValueError(f"{value.written} is the number {value!r} in YAML, and must be text", quoted(value.written))
    text = str(value) if isinstance(value, (int, float)) else value
    if isinstance(text, str) and "\0" in text:
        raise ValueError("must hold no NUL")
    return text


#: capabilities(7), in the order of their numbers.
_CAPABILITIES = frozenset(
    (
        *("ALL", "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP"),
        *("LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER"),
        *("SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE"),
        *("SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP"),
        *("MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF"),
        "CHECKPOINT_RESTORE",
    )
)


def _capability(value: str) -> str:
    if value.removeprefix("CAP_") not in _CAPABILITIES:
        raise ValueError(f"{value!r} is not a capability (capabilities(7))", nearest(value, sorted(_CAPABILITIES)))
    return value


#: systemd.time(7), the shorthands of calendar events.
_CALENDARS = (
    *("minutely", "hourly", "daily", "weekly", "monthly", "quarterly", "yearly", "annually"),
    *("semiannually", "semi-annually", "biannually", "bi-annually"),
)
_DAY = r"(mon(day)?|tue(sday)?|wed(nesday)?|thu(rsday)?|fri(day)?|sat(urday)?|sun(day)?)"


def _calendar(value: str) -> str:
    if value.lower() not in _CALENDARS and not re.fullmatch(rf"{_DAY}((\.\.|-){_DAY})?", value.lower()):
        raise ValueError(f"{value!r} is not a calendar of systemd", nearest(value, _CALENDARS) or ", ".join(_CALENDARS))
    return value


def _argv(value: Any) -> Any:
    """Text is split into words as a shell does it, but no shell runs it."""
    return shlex.split(value) if isinstance(value, str) else value


def _secret(value: str) -> str:
    if not hidden(value):
        raise ValueError("must be a secret (!secret, or a variable that is one)")
    return value


#: Names of docker's networks (moby, daemon/names/names.go).
ObjectName = Annotated[str, pattern(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", "a name (letters, digits, _ . -)")]
#: docker accepts no shorter names for containers and local volumes.
LongerName = Annotated[
    str, pattern(r"[A-Za-z0-9][A-Za-z0-9_.-]{1,127}", "a name of at least two characters (letters, digits, _ . -)")
]
#: compose-spec: the project's name.
ProjectName = Annotated[str, pattern(r"[a-z0-9][a-z0-9_-]{0,62}", "a project's name (lower case letters, digits, _ -)")]
ImageName = Annotated[
    str,
    pattern(_IMAGE, "the name of an image (such as registry.example:5000/team/app:1.2)"),
    Shape("[A-Za-z0-9][A-Za-z0-9._/:@-]*"),
]
Digest = Annotated[str, pattern(r"sha256:[0-9a-f]{64}", "a digest (sha256: and 64 hexadecimal digits)")]
Size = Annotated[str, BeforeValidator(_size, json_schema_input_type=str | int), Shape(r"[0-9]+(\.[0-9]+)?[bkmgBKMG]?")]
Duration = Annotated[str, BeforeValidator(_duration, json_schema_input_type=str | int)]
#: Numbers and booleans that are written as their own text need no quotes.
AS_TEXT = BeforeValidator(_text, json_schema_input_type=str | int | float | bool)
Text = Annotated[str, AS_TEXT]
Argv = Annotated[list[Text], BeforeValidator(_argv, json_schema_input_type=str | list[str])]
Variable = Annotated[str, pattern(r"[A-Za-z_][A-Za-z0-9_]*", "the name of a variable of the environment")]
Label = Annotated[str, pattern(r"[A-Za-z0-9][A-Za-z0-9._/-]*", "a label's name")]
Option = Annotated[str, pattern(r"[A-Za-z0-9][A-Za-z0-9._-]*", "an option's name")]
Port = Annotated[
    str, AfterValidator(_port), Shape(r"((\[[0-9a-f:]+\]|[0-9.]+):)?[0-9]{1,5}:[0-9]{1,5}(/(tcp|udp|sctp))?")
]
Bind = Annotated[
    str,
    pattern(
        r"(/[^:\x00-\x1f]*|[A-Za-z0-9][A-Za-z0-9_.-]+):/[^:\x00-\x1f]*(:(ro|rw|z|Z|nocopy)(,(ro|rw|z|Z|nocopy))*)?",
        "a volume (NAME_OR_PATH:/PATH/IN/THE/CONTAINER[:ro])",
    ),
]
Tmpfs = Annotated[str, AfterValidator(_tmpfs)]
Capability = Annotated[
    str,
    pattern(r"[A-Z_]+", "a capability such as NET_ADMIN (capabilities(7))"),
    AfterValidator(_capability),
]
Cidr = Annotated[str, pattern(r"[0-9a-f.:]+/[0-9]{1,3}", "a network such as 10.5.0.0/16")]
#: How often a timer runs.
Calendar = Annotated[str, AfterValidator(_calendar)]
Address = Annotated[str, pattern(r"[0-9a-f.:]+", "an address")]
SecretText = Annotated[str, AfterValidator(_secret), TAKES_SECRET]
#: The content of a file that only root may read, or whose mode the spec gives.
Content = Annotated[str, TAKES_SECRET]
#: The value of a variable of the environment.
Value = Annotated[str, AS_TEXT, TAKES_SECRET]
