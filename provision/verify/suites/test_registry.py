"""A registry serves only the clients that it should serve, and the hosts that should use the registry use it."""

from __future__ import annotations

import hashlib
import secrets
import ssl
from urllib.parse import urlsplit

import pytest
from testinfra.host import Host

from provision.verify.declared import Named
from provision.verify.registry_client import Answer, Server, ask
from provision.verify.services import uses_systemd


def _as_user(host: Host, server: Server, method: str, path: str, body: bytes = b"") -> Answer:
    return ask(host, server, method, path, body, (server.user, server.password) if server.user else None)


def test_registry_answers(host: Host, registry: Named) -> None:
    assert _as_user(host, registry.value, "GET", "/v2/").status == 200


def test_registry_certificate(host: Host, tls_registry: Named) -> None:
    """The declared authority has signed the certificate, and no other authority."""
    server: Server = tls_registry.value
    with pytest.raises(ssl.SSLError):
        ask(host, server, "GET", "/v2/", authority=_STRANGER)


def test_registry_refuses(host: Host, closed_registry: Named) -> None:
    """It refuses a client without a password, and a client with a wrong password."""
    server: Server = closed_registry.value
    assert ask(host, server, "GET", "/v2/").status == 401
    assert ask(host, server, "GET", "/v2/", login=(server.user, secrets.token_hex())).status == 401


def test_registry_push_and_pull(host: Host, open_registry: Named) -> None:
    """A layer of a few bytes is pushed, pulled unchanged, and removed."""
    server: Server = open_registry.value
    data = secrets.token_bytes(64)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    begun = _as_user(host, server, "POST", "/v2/provision-verify/probe/blobs/uploads/")
    assert begun.status == 202
    place = urlsplit(begun.headers["location"])
    put = _as_user(host, server, "PUT", f"{place.path}?{place.query}&digest={digest}", data)
    assert put.status == 201
    blob = f"/v2/provision-verify/probe/blobs/{digest}"
    got = _as_user(host, server, "GET", blob)
    assert (got.status, got.body) == (200, data)
    assert _as_user(host, server, "DELETE", blob).status == 202
    assert _as_user(host, server, "GET", blob).status == 404


def test_registry_takes_nothing(host: Host, read_only_registry: Named) -> None:
    answer = _as_user(host, read_only_registry.value, "POST", "/v2/provision-verify/probe/blobs/uploads/")
    assert answer.status == 405


def test_registry_serves(host: Host, puller: Named) -> None:
    """The registry's own log has a request from a host that should use it."""
    if not uses_systemd(host):
        pytest.skip("its log is not in the journal")
    command = "journalctl -q -u docker-registry -o cat | grep -c %s"
    asked = f'http.request.method=GET http.request.remoteaddr="{puller.value}:'
    assert host.run(command, asked).stdout.strip() not in ("", "0"), "it has sent no request yet"


def test_login(host: Host, login: Named) -> None:
    """Only the account can read it."""
    account, path = login.value
    file = host.file(path)
    assert (file.user, oct(file.mode)) == (account, "0o600")
    there = f'"{login.name.partition(" at ")[2]}"' in file.content_string
    assert there, "no login at this registry (the file is not shown: it has passwords)"


#: An authority that no client trusts (its key was deleted).
_STRANGER = """\
-----BEGIN CERTIFICATE-----
MIIBLjCB1KADAgECAgEBMAoGCCqGSM49BAMCMBUxEzARBgNVBAMMCmEgc3RyYW5n
ZXIwIBcNMjAwMTAxMDAwMDAwWhgPMjA5OTAxMDEwMDAwMDBaMBUxEzARBgNVBAMM
CmEgc3RyYW5nZXIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATOZpOF/ZOcYmpR
8nhzRIdUCNyCPRIbXXVL/4Ro46i10qFhkMhXI09kWDLLmB3ARXQ8MsMl0SFnJqhV
vqlHI8MqoxMwETAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQD4
1jL9mBpgyyM+OmUmMSKk0j2yiwSofiIhTrSYQmGs8QIhALbnaV05WjwBFqQjsrGP
YYLf5gapnT29j9omzI22wxg1
-----END CERTIFICATE-----
"""
