"""The matrix of ssh options: rows of configuration, and the expected result of a login by ``ssh`` and by provision.

In a configuration ``{address}`` is the lab host's address, ``{folder}`` a directory with keys and known_hosts files,
``{key}`` the lab's private key. The expected result is that of provision with its built-in transport:

- ``same``: it reaches what ssh reaches;
- a kind of failure (``host_key``, ``auth``, ``unreachable``): ssh fails as well;
- ``refused OPTION``: provision names the option before it connects; ssh may reach the host;
- ``stricter KIND``: ssh accepts a key that provision does not accept.

With ``transport: openssh`` a refused row must reach what ssh reaches.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: The settings of every row that does not set them itself: the login, the route, and the known keys.
BASE = """
Host *
  User root
  IdentityFile {key}
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
  GlobalKnownHostsFile none
"""
HERE = "Host web\n  HostName {address}\n"


@dataclass(frozen=True)
class Row:
    name: str
    config: str
    expect: str = "same"
    host: str = "web"
    words: tuple[str, ...] = ()
    #: further fields of the login: port, user, password
    login: dict[str, Any] = field(default_factory=dict)
    base: str = BASE
    #: the result with ``transport: openssh`` where it differs from ssh's own
    openssh: str = ""
    accept_new: bool = False
    agent: bool = False


def known(name: str) -> str:
    path = name if name.startswith('"') else f"{{folder}}/{name}"
    return f"Host *\n  UserKnownHostsFile {path}\n"


def port(number: int) -> str:
    return f"Host web\n  HostName {{address}}\n  Port {number}\n"


ROWS = [
    # Which host.
    Row("HostName", HERE),
    Row("HostName with %h", "Host *.9\n  HostName %h\n", host="{address}"),
    Row("no Host block", "", host="{address}"),
    Row("upper case in the name", "Host WEB\n  HostName {address}\n", host="WEB"),
    Row(
        "Host does not match another case",
        "Host WEB\n  HostName {address}\nHost web\n  HostName 192.0.2.1\n",
        host="WEB",
    ),
    Row("negated pattern", "Host w* !web\n  HostName 192.0.2.1\nHost web\n  HostName {address}\n"),
    Row("question mark", "Host we?\n  HostName {address}\n"),
    Row("first value wins", HERE + "Host w*\n  HostName 192.0.2.1\n"),
    Row("several patterns", "Host db web\n  HostName {address}\n"),
    Row("quotes", 'Host "web"\n  HostName "{address}"\n'),
    Row("equals sign", "Host=web\n  HostName={address}\n"),
    Row("comment behind a value", "Host web # this one\n  HostName {address}\n  Port 2222 # note\n"),
    Row("tabs and case of keywords", "HOST web\n\thostNAME\t{address}\n"),
    Row("Include", "Include {folder}/included.conf\n"),
    Row("Include with a pattern", "Include {folder}/incl*.conf\n"),
    Row("Include in quotes", 'Include "{folder}/included.conf"\n'),
    Row("Include in single quotes, a pattern", "Include '{folder}/incl*.conf'\n"),
    Row("Include, a part in quotes", 'Include {folder}/"included".conf\n'),
    Row("Include inside of Host", "Host web\n  Include {folder}/port.conf\n  HostName {address}\n"),
    Row("Include inside of another Host", "Host db\n  Include {folder}/port.conf\nHost web\n  HostName {address}\n"),
    Row("Include of nothing", "Include {folder}/none/*.conf\n" + HERE),
    Row("Match host", "Match host web\n  HostName {address}\n  Port 2222\n"),
    Row("Match Host with a capital", "Match Host db\n  HostName 192.0.2.1\nMatch Host web\n  HostName {address}\n"),
    Row("Match host after HostName", HERE + "Match host {address}\n  Port 2222\n"),
    Row("Match originalhost", HERE + "Match originalhost web\n  Port 2222\n"),
    Row("Match negated", HERE + "Match !originalhost web\n  Port 2222\n"),
    Row("Match user", HERE + "Match user alice\n  Port 2222\n", login={"user": "alice"}),
    Row("Match another user", HERE + "Match user alice\n  Port 2222\n"),
    Row("Match localuser", HERE + "Match localuser root\n  Port 2222\n"),
    Row("Match exec that succeeds", HERE + 'Match exec "test %n = web"\n  Port 2222\n'),
    Row("Match exec that fails", HERE + 'Match exec "test %n = db"\n  Port 2222\n'),
    Row("Match all", HERE + "Match all\n  Port 2222\n"),
    Row("Match final", HERE + "Match final host {address}\n  Port 2222\n"),
    Row("CanonicalizeHostname with HostName", HERE + "CanonicalizeHostname yes\nCanonicalDomains example.invalid\n"),
    Row("AddressFamily inet", HERE + "AddressFamily inet\n"),
    Row("AddressFamily inet6 of an IPv4 host", HERE + "AddressFamily inet6\n", "unreachable"),
    Row("BindAddress", HERE + "BindAddress {bridge}\n"),
    Row("BindAddress of another machine", HERE + "BindAddress 192.0.2.7\n", "unreachable"),
    Row("BindInterface", HERE + "BindInterface {interface}\n", "refused BindInterface"),
    Row("unknown option", HERE + "NoSuchOption yes\n", "refused nosuchoption", openssh="refused nosuchoption"),
    Row("IgnoreUnknown", "IgnoreUnknown NoSuch*\n" + HERE + "NoSuchOption yes\n"),
    # Which port and user.
    Row("Port", port(2222)),
    Row("port of the inventory before the file's", port(2222), login={"port": 22}),
    Row("-p before the inventory's port", HERE, words=("-p", "2222")),
    Row("-o Port", HERE, words=("-o", "Port=2222")),
    Row("User", HERE + "Host *\n  User alice\n", base=BASE.replace("  User root\n", "")),
    Row("user of the inventory before the file's", HERE, login={"user": "alice"}),
    Row("-l", HERE, words=("-l", "alice")),
    Row("Port out of range", port(99999), "refused port", openssh="refused port"),
    # Which keys of the host.
    Row("unknown host", HERE + known("empty"), "host_key"),
    Row(
        "unknown host, StrictHostKeyChecking no",
        HERE + known("empty") + "StrictHostKeyChecking no\n",
        "stricter host_key",
        openssh="host_key",
    ),
    Row("unknown host, StrictHostKeyChecking yes", HERE + known("empty") + "StrictHostKeyChecking yes\n", "host_key"),
    Row(
        "unknown host, --accept-new against yes",
        HERE + known("empty") + "StrictHostKeyChecking yes\n",
        "host_key",
        accept_new=True,
    ),
    Row("unknown host, StrictHostKeyChecking accept-new", HERE + known("new1") + "StrictHostKeyChecking accept-new\n"),
    Row("changed key", HERE + known("changed"), "host_key"),
    Row("changed key, --accept-new", HERE + known("changed"), "host_key", accept_new=True),
    Row(
        "changed key, StrictHostKeyChecking no",
        HERE + known("changed") + "StrictHostKeyChecking no\n",
        "stricter host_key",
        openssh="host_key",
    ),
    Row("key of another kind", port(2304) + known("other_kind"), "host_key"),
    Row("second file has it", HERE + "Host *\n  UserKnownHostsFile {folder}/empty {folder}/known_hosts\n"),
    Row("global file has it", HERE + known("empty") + "Host *\n  GlobalKnownHostsFile {folder}/known_hosts\n"),
    Row("no file has it", HERE + "Host *\n  UserKnownHostsFile none\n", "host_key"),
    Row(
        "no user file, --accept-new",
        HERE + "Host *\n  UserKnownHostsFile none\n  GlobalKnownHostsFile {folder}/empty\n",
        "host_key",
        accept_new=True,
    ),
    Row("name with a blank", HERE + known('"{folder}/my hosts"'), "refused UserKnownHostsFile"),
    Row(
        "name with a blank, changed key, --accept-new",
        HERE + known('"{folder}/my changed"'),
        "refused UserKnownHostsFile",
        openssh="host_key",
        accept_new=True,
    ),
    Row(
        "global name with a blank",
        HERE + known("empty") + "Host *\n  GlobalKnownHostsFile '{folder}/my hosts'\n",
        "refused GlobalKnownHostsFile",
    ),
    Row("name with %%", HERE + known("100%%")),
    Row("name with a token", HERE + known("of-%h")),
    Row("hashed", HERE + known("hashed")),
    Row("hashed with a port", port(2222) + known("hashed")),
    Row("pattern", HERE + known("pattern")),
    Row("negated pattern in known_hosts", HERE + known("negated"), "host_key"),
    Row("plain name for another port", port(2222) + known("plain")),
    Row("another port's key does not count", HERE + known("ported"), "host_key"),
    Row("HostKeyAlias", HERE + known("alias") + "Host *\n  HostKeyAlias Cluster\n"),
    Row("HostKeyAlias and port", port(2222) + known("alias") + "Host *\n  HostKeyAlias cluster\n"),
    Row("HostKeyAlias that is unknown", HERE + "Host *\n  HostKeyAlias unknown\n", "host_key"),
    Row("@revoked", HERE + known("revoked"), "host_key"),
    Row(
        "@revoked in another file",
        HERE + "Host *\n  UserKnownHostsFile {folder}/known_hosts {folder}/only_revoked\n",
        "host_key",
    ),
    Row("@revoked of another host", HERE + known("revoked_elsewhere")),
    Row("RevokedHostKeys", HERE + "Host *\n  RevokedHostKeys {folder}/revoked_keys\n", "host_key"),
    Row("RevokedHostKeys, a KRL", HERE + "Host *\n  RevokedHostKeys {folder}/krl\n", "host_key"),
    Row("RevokedHostKeys, a KRL of other keys", HERE + "Host *\n  RevokedHostKeys {folder}/krl_others\n"),
    Row("RevokedHostKeys, a missing file", HERE + "Host *\n  RevokedHostKeys {folder}/nowhere\n", "host_key"),
    Row("KnownHostsCommand", HERE + known("empty") + "Host *\n  KnownHostsCommand /bin/cat {folder}/known_hosts\n"),
    Row(
        "KnownHostsCommand with tokens",
        port(2222) + known("empty") + "Host *\n  KnownHostsCommand /bin/sh {folder}/keys.sh %H %I %t %K %f\n",
    ),
    Row(
        "KnownHostsCommand with another key",
        HERE + known("empty") + "Host *\n  KnownHostsCommand /bin/cat {folder}/changed\n",
        "host_key",
    ),
    Row(
        "KnownHostsCommand revokes",
        HERE + "Host *\n  KnownHostsCommand /bin/cat {folder}/only_revoked\n",
        "host_key",
    ),
    Row("KnownHostsCommand, an authority", port(2301) + "Host *\n  KnownHostsCommand /bin/cat {folder}/authority\n"),
    Row("KnownHostsCommand that fails", HERE + "Host *\n  KnownHostsCommand /bin/false\n", "host_key"),
    Row(
        "KnownHostsCommand, --accept-new and another key",
        HERE + known("empty") + "Host *\n  KnownHostsCommand /bin/cat {folder}/changed\n",
        "host_key",
        accept_new=True,
    ),
    Row("CheckHostIP", HERE + "Host *\n  CheckHostIP yes\n", "refused CheckHostIP"),
    Row("HostKeyAlgorithms", HERE + "Host *\n  HostKeyAlgorithms ecdsa-sha2-nistp256\n"),
    Row(
        "HostKeyAlgorithms of SHA-1",
        HERE + "Host *\n  HostKeyAlgorithms ssh-rsa\n",
        "refused HostKeyAlgorithms",
        openssh="unreachable",
    ),
    Row("RequiredRSASize", port(2304) + "Host *\n  RequiredRSASize 4096\n", "host_key", openssh="unreachable"),
    Row("host certificate", port(2301) + known("authority")),
    Row("host certificate, wildcard of the authority", port(2301) + known("authority_all")),
    Row("host certificate of another authority", port(2301) + known("other_authority"), "host_key"),
    Row("host certificate, expired", port(2302) + known("authority"), "host_key"),
    Row("host certificate, expired, plain key known", port(2302) + known("authority_and_plain")),
    Row("host certificate for another name", port(2303) + known("authority"), "host_key"),
    Row("host certificate, authority revoked", port(2301) + known("authority_revoked"), "host_key"),
    Row("host certificate, key revoked", port(2301) + known("authority_key_revoked"), "host_key"),
    Row("host certificate, authority of another name", port(2301) + known("authority_elsewhere"), "host_key"),
    Row(
        "host certificate and HostKeyAlias",
        port(2303) + known("authority_all") + "Host *\n  HostKeyAlias other.example\n",
    ),
    Row(
        "CASignatureAlgorithms",
        port(2301) + known("authority") + "Host *\n  CASignatureAlgorithms rsa-sha2-512\n",
        "host_key",
    ),
    # Which credentials.
    Row("IdentityFile of another account", HERE, "auth", base=BASE.replace("{key}", "{folder}/stranger")),
    Row("IdentityFile with tokens", HERE, base=BASE.replace("{key}", "{folder}/%r-%n")),
    Row("IdentityFile in PKCS#8", HERE, base=BASE.replace("{key}", "{folder}/pkcs8")),
    Row("IdentityFile, RSA", HERE, base=BASE.replace("{key}", "{folder}/rsa")),
    Row("-i", HERE, base=BASE.replace("  IdentityFile {key}\n", ""), words=("-i", "{key}")),
    Row(
        "second IdentityFile",
        HERE,
        base=BASE.replace("  IdentityFile {key}", "  IdentityFile {folder}/stranger\n  IdentityFile {key}"),
    ),
    Row(
        "agent",
        HERE,
        base=BASE.replace("  IdentityFile {key}\n", "").replace("IdentitiesOnly yes", "IdentitiesOnly no"),
        agent=True,
    ),
    Row("agent and IdentitiesOnly", HERE, "auth", base=BASE.replace("{key}", "{folder}/stranger"), agent=True),
    Row(
        "agent, MaxAuthTries, the public half", port(2309), base=BASE.replace("{key}", "{folder}/held.pub"), agent=True
    ),
    Row(
        "agent, MaxAuthTries, all its keys",
        port(2309),
        "auth",
        base=BASE.replace("  IdentityFile {key}\n", "").replace("IdentitiesOnly yes", "IdentitiesOnly no"),
        agent=True,
    ),
    Row("passphrase, the agent has the key", HERE, base=BASE.replace("{key}", "{folder}/locked"), agent=True),
    Row("passphrase and no operator to ask", HERE, "auth", base=BASE.replace("{key}", "{folder}/locked")),
    Row(
        "IdentityAgent none",
        HERE + "Host *\n  IdentityAgent none\n",
        "auth",
        base=BASE.replace("{key}", "{folder}/locked"),
        agent=True,
    ),
    Row(
        "IdentityAgent with a path",
        HERE + "Host *\n  IdentityAgent {folder}/agent\n",
        base=BASE.replace("{key}", "{folder}/locked"),
    ),
    Row("certificate next to the key", port(2311), base=BASE.replace("{key}", "{folder}/signed")),
    Row(
        "CertificateFile",
        port(2311) + "Host *\n  CertificateFile {folder}/loose-cert.pub\n",
        base=BASE.replace("{key}", "{folder}/loose"),
    ),
    Row(
        "CertificateFile, the agent has the key",
        port(2311) + "Host *\n  CertificateFile {folder}/held-certificate\n",
        base=BASE.replace("  IdentityFile {key}\n", "").replace("IdentitiesOnly yes", "IdentitiesOnly no"),
        agent=True,
    ),
    Row(
        "CertificateFile, the agent has the key, IdentitiesOnly",
        port(2311) + "Host *\n  CertificateFile {folder}/held-certificate\n",
        "auth",
        base=BASE.replace("{key}", "{folder}/stranger"),
        agent=True,
    ),
    Row("no certificate", port(2311), "auth"),
    Row("a private key that others can read", HERE, "auth", base=BASE.replace("{key}", "{folder}/open")),
    Row("PubkeyAuthentication no", HERE + "Host *\n  PubkeyAuthentication no\n", "auth"),
    Row("PreferredAuthentications without keys", HERE + "Host *\n  PreferredAuthentications password\n", "auth"),
    Row(
        "PubkeyAcceptedAlgorithms without the key's", HERE + "Host *\n  PubkeyAcceptedAlgorithms rsa-sha2-512\n", "auth"
    ),
    # Jump hosts and proxies.
    Row("ProxyJump", HERE + "Host web\n  ProxyJump alice@{address}:2222\nHost {address}\n  IdentityFile {key}\n"),
    Row(
        "ProxyJump, a name of the configuration",
        HERE + "Host web\n  ProxyJump jump\nHost jump\n  HostName {address}\n  Port 2222\n",
    ),
    Row("ProxyJump, ssh://", HERE + "Host web\n  ProxyJump ssh://root@{address}:2222\n"),
    Row("ProxyJump, a chain", HERE + "Host web\n  ProxyJump alice@{address},root@{address}:2222\n"),
    Row("-J", HERE, words=("-J", "alice@{address}:2222")),
    Row("ProxyJump none before another", "Host web\n  ProxyJump none\n" + HERE + "Host *\n  ProxyJump 192.0.2.1\n"),
    Row(
        "ProxyJump whose key is unknown",
        HERE + "Host web\n  ProxyJump jump\n" + "Host jump\n  HostName {address}\n  Port 2222\n"
        "  UserKnownHostsFile {folder}/empty\n",
        "host_key",
        openssh="host_key",
    ),
    Row(
        "ProxyJump that refuses the key",
        HERE + "Host web\n  ProxyJump jump\nHost jump\n  HostName {address}\n",
        "auth",
        base="Host jump\n  IdentityFile {folder}/stranger\nHost !jump *\n  IdentityFile {key}\n"
        + BASE.replace("  IdentityFile {key}\n", ""),
        openssh="auth",
    ),
    Row(
        "ProxyCommand",
        "Host web\n  HostName 192.0.2.1\n  HostKeyAlias {address}\n"
        "  ProxyCommand {python} {folder}/pipe.py {address} %p\n",
    ),
    Row("ProxyCommand with tokens", HERE + "Host web\n  ProxyCommand {python} {folder}/pipe.py %h %p %n %r\n"),
    Row(
        "ProxyCommand that needs a shell",
        HERE + "Host web\n  ProxyCommand {python} {folder}/pipe.py $(echo %h) %p 2>/dev/null\n",
    ),
    Row(
        "ProxyCommand with a variable that only its shell has",
        HERE + "Host web\n  ProxyCommand env port=%p sh -c 'exec {python} {folder}/pipe.py %h ${port}'\n",
    ),
    Row(
        "ProxyCommand that fails",
        HERE + "Host web\n  ProxyCommand sh -c 'echo gone wrong >&2; exit 1'\n",
        "unreachable",
    ),
    Row("ProxyCommand none", "Host web\n  ProxyCommand none\n" + HERE + "Host *\n  ProxyCommand false\n"),
    Row("ProxyUseFdpass", HERE + "Host web\n  ProxyUseFdpass yes\n", "refused ProxyUseFdpass"),
    # Algorithms.
    Row("Ciphers", HERE + "Host *\n  Ciphers aes256-ctr\n"),
    Row("Ciphers that only ssh has", HERE + "Host *\n  Ciphers chacha20-poly1305@openssh.com\n", "refused Ciphers"),
    Row("MACs", HERE + "Host *\n  Ciphers aes256-ctr\n  MACs hmac-sha2-512-etm@openssh.com\n"),
    Row("MACs that only ssh has", HERE + "Host *\n  MACs umac-64-etm@openssh.com\n", "refused MACs"),
    Row("KexAlgorithms", HERE + "Host *\n  KexAlgorithms ecdh-sha2-nistp256\n"),
    Row("KexAlgorithms, removed from the default", HERE + "Host *\n  KexAlgorithms -sntrup*,curve25519*\n"),
    Row(
        "KexAlgorithms that only ssh has",
        HERE + "Host *\n  KexAlgorithms sntrup761x25519-sha512@openssh.com\n",
        "refused KexAlgorithms",
    ),
    Row("a host that offers only chacha20", port(2308), "unreachable", openssh="same"),
    # Options that must not disturb a script.
    Row("RequestTTY force", HERE + "Host *\n  RequestTTY force\n"),
    Row("StdinNull", HERE + "Host *\n  StdinNull yes\n"),
    Row("ForkAfterAuthentication", HERE + "Host *\n  ForkAfterAuthentication yes\n"),
    Row(
        "SessionType none", HERE + "Host *\n  SessionType none\n", "refused SessionType", openssh="refused SessionType"
    ),
    Row(
        "RemoteCommand", HERE + "Host *\n  RemoteCommand id\n", "refused RemoteCommand", openssh="refused RemoteCommand"
    ),
    Row("LocalCommand", HERE + "Host *\n  PermitLocalCommand yes\n  LocalCommand true\n", "refused LocalCommand"),
    Row("Tunnel", HERE + "Host *\n  Tunnel point-to-point\n", "refused Tunnel"),
    Row("LocalForward", HERE + "Host *\n  LocalForward 40022 127.0.0.1:22\n"),
    Row("ControlMaster", HERE + "Host *\n  ControlMaster auto\n  ControlPath {folder}/cm-%C\n"),
    Row("ControlPersist", HERE + "Host *\n  ControlMaster auto\n  ControlPath {folder}/cp-%C\n  ControlPersist 5\n"),
    Row("Compression", HERE + "Host *\n  Compression yes\n"),
    Row("LogLevel QUIET", HERE + known("empty") + "Host *\n  LogLevel QUIET\n", "host_key"),
    Row("SetEnv and SendEnv", HERE + "Host *\n  SetEnv FOO=bar\n  SendEnv LANG\n"),
    Row("GSSAPIAuthentication", HERE + "Host *\n  GSSAPIAuthentication yes\n"),
]
