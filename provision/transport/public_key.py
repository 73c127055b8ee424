"""Public-key authentication (RFC 4252, 7), with two things that paramiko's own handler does not have: the question
whether a host would accept a key, and the methods that the host names when it refuses one."""

from __future__ import annotations

import threading
from typing import Any

import paramiko
from paramiko.auth_handler import AuthHandler
from paramiko.common import cMSG_USERAUTH_REQUEST
from paramiko.message import Message
from paramiko.pkey import PKey


class Handler(AuthHandler):
    """Signs in with a key. ``methods`` are those with which the host says that a login can continue."""

    def __init__(self, transport: paramiko.Transport) -> None:
        super().__init__(transport)
        self.methods: frozenset[str] = frozenset()

    def sign_in(self, user: str, key: PKey) -> list[str]:
        """The further methods that the host requires. Raises the errors of ``paramiko.Transport.auth_publickey``."""
        transport: Any = self.transport
        if not transport.active or not transport.initial_kex_done:
            raise paramiko.SSHException("No existing session")
        transport.auth_handler = self
        self.auth_publickey(user, key, event := threading.Event())
        return list(self.wait_for_response(event))

    def _parse_userauth_failure(self, m: Message) -> None:
        self.methods = frozenset(m.get_list())
        m.rewind()
        super()._parse_userauth_failure(m)  # type: ignore[misc]


class Question(Handler):
    """Asks whether the host would accept a key: a request without a signature, so the public half is enough."""

    accepted = False

    def accepts(self, user: str, key: PKey) -> bool:
        """Raises the errors of :meth:`sign_in`, except for a key that the host refuses."""
        try:
            self.sign_in(user, key)
        except paramiko.AuthenticationException as error:
            if type(error) is not paramiko.AuthenticationException or not (self.accepted or self.methods):
                raise
        return self.accepted

    def _parse_service_accept(self, m: Message) -> None:
        if m.get_text() != "ssh-userauth":
            return
        handler: Any = self
        kind, bits = handler._get_key_type_and_bits(handler.private_key)
        request = Message()
        request.add_byte(cMSG_USERAUTH_REQUEST)
        request.add_string(handler.username)
        request.add_string("ssh-connection")
        request.add_string("publickey")
        request.add_boolean(False)
        request.add_string(handler._finalize_pubkey_algorithm(kind))
        request.add_string(bits)
        handler.transport._send_message(request)

    def _parse_userauth_info_request(self, m: Message) -> None:
        """SSH_MSG_USERAUTH_PK_OK, which has the number of another method's message."""
        self.accepted = True
        if self.auth_event is not None:
            self.auth_event.set()
