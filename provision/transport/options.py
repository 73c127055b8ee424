"""How provision treats each option of ssh_config(5): the table of docs/ssh.md.

An option is honoured, harmless or refused. A harmless option can't change the host, user, port or key. A refused option
is an error, unless its value is one of those that have no effect. An option that is not in this table is refused if its
value is not the default of this OpenSSH. With ``transport: openssh`` ssh itself honours all options except those of
:data:`NEVER`.
"""

from __future__ import annotations

import re

from provision.errors import SpecError
from provision.transport.ssh_config import Resolved

#: Honoured by the built-in transport: the callers of this module implement them.
HONOURED = frozenset(
    [
        "host",
        "hostname",
        "user",
        "port",
        "addressfamily",
        "bindaddress",
        "batchmode",
        "casignaturealgorithms",
        "certificatefile",
        "ciphers",
        "globalknownhostsfile",
        "hostkeyalgorithms",
        "hostkeyalias",
        "identitiesonly",
        "identityagent",
        "identityfile",
        "kbdinteractiveauthentication",
        "kexalgorithms",
        "knownhostscommand",
        "macs",
        "passwordauthentication",
        "preferredauthentications",
        "proxycommand",
        "proxyjump",
        "pubkeyacceptedalgorithms",
        "pubkeyauthentication",
        "requiredrsasize",
        "revokedhostkeys",
        "stricthostkeychecking",
        "userknownhostsfile",
    ]
)

#: Honoured by ssh before it answers ``ssh -G``: the answer includes their effect.
RESOLVED = frozenset(
    [
        "canonicaldomains",
        "canonicalizefallbacklocal",
        "canonicalizehostname",
        "canonicalizemaxdots",
        "canonicalizepermittedcnames",
        "include",
        "match",
        "tag",
        "ignoreunknown",
    ]
)

#: Options without effect on the address and the trusted keys. Option -> reason, for docs/ssh.md.
HARMLESS = {
    "addkeystoagent": "provision adds no key to an agent",
    "channeltimeout": "provision limits the time of a command",
    "clearallforwardings": "provision forwards nothing",
    "compression": "speed only",
    "connecttimeout": "--connect-timeout decides",
    "connectionattempts": "provision itself retries a dropped login",
    "controlmaster": "provision has one connection to each host",
    "controlpath": "provision has one connection to each host; `transport: openssh` uses an existing master",
    "controlpersist": "provision has one connection to each host",
    "dynamicforward": "provision forwards nothing",
    "enableescapecommandline": "there is no terminal",
    "enablesshkeysign": "a setting of ssh-keysign",
    "escapechar": "there is no terminal",
    "exitonforwardfailure": "provision forwards nothing",
    "fingerprinthash": "fingerprints are shown as SHA256",
    "forkafterauthentication": "provision needs its connection",
    "forwardagent": "no script uses an agent",
    "forwardx11": "provision forwards nothing",
    "forwardx11timeout": "provision forwards nothing",
    "forwardx11trusted": "provision forwards nothing",
    "gatewayports": "provision forwards nothing",
    "gssapiauthentication": "a login that needs it fails and names `transport: openssh`",
    "gssapidelegatecredentials": "see GSSAPIAuthentication",
    "gssapiclientidentity": "see GSSAPIAuthentication",
    "gssapikexalgorithms": "see GSSAPIAuthentication",
    "gssapikeyexchange": "see GSSAPIAuthentication",
    "gssapirenewalforcesrekey": "see GSSAPIAuthentication",
    "gssapiserveridentity": "see GSSAPIAuthentication",
    "gssapitrustdns": "see GSSAPIAuthentication",
    "hashknownhosts": "--accept-new stores a key with the plain host name",
    "hostbasedacceptedalgorithms": "see HostbasedAuthentication",
    "hostbasedauthentication": "a login that needs it fails and names `transport: openssh`",
    "ipqos": "priority of packets only",
    "kbdinteractivedevices": "the server chooses",
    "localforward": "provision forwards nothing",
    "loglevel": "provision has its own reports",
    "logverbose": "provision has its own reports",
    "nohostauthenticationforlocalhost": "provision is stricter: it checks the key",
    "numberofpasswordprompts": "a password is tried once",
    "obscurekeystroketiming": "there is no terminal",
    "permitremoteopen": "provision forwards nothing",
    "rekeylimit": "the transport renews its session keys",
    "remoteforward": "provision forwards nothing",
    "requesttty": "provision needs no terminal on the host",
    "securitykeyprovider": "see PKCS11Provider",
    "pkcs11provider": "a login that needs it fails and names `transport: openssh`",
    "sendenv": "the scripts set their environment",
    "serveralivecountmax": "provision itself detects a dead connection",
    "serveraliveinterval": "provision itself detects a dead connection",
    "setenv": "the scripts set their environment",
    "stdinnull": "provision needs standard input",
    "streamlocalbindmask": "provision forwards nothing",
    "streamlocalbindunlink": "provision forwards nothing",
    "syslogfacility": "provision has its own reports",
    "tcpkeepalive": "provision itself detects a dead connection",
    "tunneldevice": "see Tunnel",
    "updatehostkeys": "provision changes known_hosts with --accept-new only",
    "verifyhostkeydns": "provision is stricter: a key must be in known_hosts",
    "versionaddendum": "a text",
    "visualhostkey": "a picture",
    "warnweakcrypto": "a warning",
    "xauthlocation": "provision forwards nothing",
}

#: Refused where the value is not one of these. Option -> (values that change nothing, what to do instead).
OPENSSH = "set provision_transport: openssh for this host"
REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "bindinterface": (("none",), f"use BindAddress, or {OPENSSH}"),
    "checkhostip": (("no",), OPENSSH),
    "proxyusefdpass": (("no",), OPENSSH),
    "tunnel": (("false", "no"), "set Tunnel no"),
    "sessiontype": (("default",), "set SessionType default"),
    "remotecommand": (("none",), "set RemoteCommand none for this host"),
    "refuseconnection": ((), "the configuration forbids this connection"),
}
#: Refused with ``transport: openssh`` too: ssh would not run provision's script.
NEVER = frozenset({"remotecommand", "sessiontype", "refuseconnection"})
#: Without effect on the connection to a jump host.
_SESSION = frozenset({"remotecommand", "sessiontype"})


def check(found: Resolved, openssh: bool, hop: bool) -> None:
    """Refuse what can't be honoured. A jump host (``hop``) runs no script. Raises :class:`SpecError` that names the
    option and the alternative."""
    for option, (neutral, instead) in REFUSED.items():
        value = found.get(option)
        if not value or value.lower() in neutral or option not in found.changed or (hop and option in _SESSION):
            continue
        if not openssh or option in NEVER:
            raise refusal(found.host, option, value, instead)
    if found.get("permitlocalcommand") == "yes" and found.get("localcommand", "none") != "none" and not openssh:
        raise refusal(found.host, "localcommand", found.get("localcommand"), OPENSSH)
    if openssh:
        return
    known = HONOURED | RESOLVED | HARMLESS.keys() | REFUSED.keys() | {"permitlocalcommand", "localcommand"}
    for option, values in found.changed.items():
        if option not in known and values:
            raise refusal(found.host, option, found.get(option), OPENSSH)


def refusal(host: str, option: str, value: str, instead: str) -> SpecError:
    """The error for an option that can't be honoured."""
    return SpecError(f"{host}: {SPELLED.get(option, option)} {value} is not supported", key="ssh_config", hint=instead)


def allowed(found: Resolved, option: str, have: tuple[str, ...]) -> tuple[str, ...]:
    """Those of provision's algorithms that ssh's list has, in provision's order; all of them without a list.

    Raises :class:`SpecError` where the result is empty.
    """
    if option not in found.changed or not found.get(option):
        return have
    wanted = set(found.get(option).split(","))
    # One algorithm with two names (RFC 8731).
    if "curve25519-sha256" in wanted:
        wanted.add("curve25519-sha256@libssh.org")
    left = tuple(name for name in have if name in wanted)
    if not left:
        raise refusal(found.host, option, found.get(option), OPENSSH)
    return left


def yes(found: Resolved, option: str) -> bool:
    """Whether an option is on; it is on unless it was switched off."""
    return found.get(option, "yes").lower() in ("yes", "true")


def seconds(text: str) -> float | None:
    """A time of ssh_config(5) as ``ssh -G`` prints it, in seconds; ``None`` for ``none``."""
    return float(text) if re.fullmatch(r"[0-9]{1,6}", text) else None


#: The spelling of the options in ssh_config(5), for messages.
SPELLED = {
    name.lower(): name
    for name in [
        "AddressFamily",
        "UserKnownHostsFile",
        "GlobalKnownHostsFile",
        "BindInterface",
        "CheckHostIP",
        "ProxyUseFdpass",
        "Tunnel",
        "SessionType",
        "RemoteCommand",
        "RefuseConnection",
        "LocalCommand",
        "Ciphers",
        "MACs",
        "KexAlgorithms",
        "HostKeyAlgorithms",
        "PubkeyAcceptedAlgorithms",
        "CASignatureAlgorithms",
        "ProxyCommand",
        "ProxyJump",
        "RevokedHostKeys",
        "RequiredRSASize",
        "IdentityAgent",
    ]
}
