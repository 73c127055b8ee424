"""How a login authenticates, in ssh's order: keys of an agent that the configuration names, other keys of the agent,
keys in files; then passwords, from the inventory or from the operator."""

from __future__ import annotations

import contextlib
import copy
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import paramiko
from msgspec import Struct
from paramiko.message import Message
from paramiko.pkey import PKey, PublicBlob, UnknownKeyType

from provision import limits
from provision.errors import SpecError
from provision.model import Login
from provision.transport import host_keys
from provision.transport.private_keys import Agent, Encrypted, Keys, Unprotected
from provision.transport.prompter import Prompter, quoted
from provision.transport.public_key import Handler, Question
from provision.transport.target import Target

#: ssh's order (ssh_config(5), PreferredAuthentications), without the methods that need ``transport: openssh``.
_METHODS = ("publickey", "keyboard-interactive", "password")


def may_ask(prompter: Prompter, target: Target) -> bool:
    """True if a login may ask the operator: there is a terminal, and not ``BatchMode yes``."""
    return prompter.interactive and target.found.get("batchmode", "no") != "yes"


class Credentials(Struct):
    """Logs in on a paramiko transport whose host is verified (``auth_strategy`` of paramiko's client). ``until`` is the
    latest end of a question to the operator (``time.monotonic``)."""

    login: Login
    target: Target
    keys: Keys
    prompter: Prompter
    #: the methods that were tried, and those that were not, with the reason, for the message about a refused login
    tried: list[str] = []
    untried: list[str] = []
    #: the methods that the host has named last; the keys that it would not accept
    offered: set[str] = set()
    unwanted: set[bytes] = set()
    sent_password: bool = False
    until: float = math.inf

    def authenticate(self, transport: paramiko.Transport) -> list[str]:
        """Returns the empty list. Raises ``paramiko.AuthenticationException``."""
        self.tried, self.untried, self.offered, self.unwanted = [], [], set(), set()
        self.sent_password = False
        last: paramiko.SSHException | None = None
        for method in self._methods():
            if self.offered and method not in self.offered:
                continue
            try:
                left = getattr(self, f"_{method.replace('-', '_')}")(transport)
            except paramiko.BadAuthenticationType as error:
                # The host has not checked the password.
                self.sent_password = False
                self.offered, last = set(error.allowed_types), error
                continue
            except paramiko.AuthenticationException as error:
                last = error
                if not answered(error, transport):
                    raise
                continue
            if left is None:
                continue
            if not left:
                return []
            # Accepted, and the host requires another method (AuthenticationMethods, sshd_config(5)).
            return self._second(transport, set(left))
        if not self.tried and not self.offered:
            # ssh begins with this method too: the host answers with those that it accepts.
            try:
                return list(transport.auth_none(self.target.user))
            except paramiko.BadAuthenticationType as error:
                self.offered = set(error.allowed_types)
        raise paramiko.AuthenticationException(self._refused()) from last

    def _second(self, transport: paramiko.Transport, left: set[str]) -> list[str]:
        for method in ("keyboard-interactive", "password", "publickey"):
            if method in left and method in self._methods():
                again = getattr(self, f"_{method.replace('-', '_')}")(transport)
                if again == []:
                    return []
                if again and set(again) != left:
                    return self._second(transport, set(again))
        raise paramiko.AuthenticationException(f"the host also requires {' or '.join(sorted(left))} as well")

    def _methods(self) -> list[str]:
        found = self.target.found
        listed = found.get("preferredauthentications")
        wanted = [name for name in listed.split(",") if name in _METHODS] if listed else list(_METHODS)
        wanted = [name for name in wanted if _on(found.get(_SWITCHES[name].lower(), "yes"))]
        if self.login.password is not None and "password" in wanted:
            # This method needs no guess at the meaning of a prompt.
            wanted.remove("password")
            at = wanted.index("keyboard-interactive") if "keyboard-interactive" in wanted else len(wanted)
            wanted.insert(at, "password")
        return wanted

    def _refused(self) -> str:
        found, offered = self.target.found, self.offered
        said = [f"tried {', '.join(self.tried)}" if self.tried else "no key, password or agent to log in with"]
        said += [f"not {one}" for one in dict.fromkeys(self.untried)]
        off = [name for name in _SWITCHES.values() if not _on(found.get(name.lower(), "yes"))]
        if self.login.password is not None and not self.sent_password:
            off = [name for name in off if name != "PubkeyAuthentication"]
            said += [f"not the password ({', '.join(off)} no)"] if off else []
        elif "PubkeyAuthentication" in off:
            said += ["no key (PubkeyAuthentication no)"]
        said += [f"the host takes {', '.join(sorted(offered))}"] if offered else []
        more = [name for one, name in _ELSEWHERE.items() if one in offered and _on(found.get(name.lower(), "no"))]
        if found.get("pkcs11provider", "none") != "none":
            more.append("PKCS11Provider")
        if more:
            said.append(f"for {', '.join(more)} set provision_transport: openssh")
        elif "publickey" in offered and self.tried:
            said.append(f"is the user right, and is the key in the authorized_keys of {self.target.user}?")
        return "; ".join(said)

    # Each method returns the further methods that the host requires: [] when the login is complete, None when there
    # was nothing to try.

    def _publickey(self, transport: paramiko.Transport) -> list[str] | None:
        with contextlib.ExitStack() as stack:
            last: paramiko.SSHException | None = None
            for key, name in self._candidates(transport, stack):
                if not self._accepted(key):
                    self.untried.append(f"{name} (PubkeyAcceptedAlgorithms or RequiredRSASize excludes it)")
                    continue
                if host_keys.shown(key) in self.unwanted:
                    continue
                self.tried.append(name)
                handler = Handler(transport)
                try:
                    return handler.sign_in(self.target.user, key)
                except paramiko.BadAuthenticationType:
                    raise
                except paramiko.SSHException as error:
                    if not answered(error, transport):
                        raise
                    last = error
                finally:
                    self.offered = set(handler.methods) or self.offered
            if isinstance(last, paramiko.AuthenticationException):
                raise last
            if last is not None:
                raise paramiko.AuthenticationException(str(last))
        return None

    def _password(self, transport: paramiko.Transport) -> list[str] | None:
        password = self.login.password
        if password is None:
            password = self._asked("password")
        if password is None or self.sent_password:
            return None
        self.tried.append("a password")
        self.sent_password = True
        return list(transport.auth_password(self.target.user, password, fallback=False))

    def _keyboard_interactive(self, transport: paramiko.Transport) -> list[str] | None:
        if self.login.password is None and not self._may_ask:
            return None

        def answer(title: str, instructions: str, prompts: list[tuple[str, bool]]) -> list[str]:
            return [self._reply(text) for text, _ in prompts]

        self.tried.append("keyboard-interactive")
        return list(transport.auth_interactive(self.target.user, answer))

    def _reply(self, prompt: str) -> str:
        """Raises ``paramiko.AuthenticationException``, which ends the connection: the host would count an empty answer
        as a wrong one."""
        password = self.login.password
        if password is not None and not self.sent_password and _asks_for_password(prompt):
            self.sent_password = True
            return password
        asks = f"the host asks {quoted(prompt)}"
        said = self._asked(asks)
        if said is None:
            why = "the operator did not answer" if self._may_ask else "which only an operator at a terminal can answer"
            raise paramiko.AuthenticationException(f"{asks}, {why}")
        return said

    @property
    def _may_ask(self) -> bool:
        return may_ask(self.prompter, self.target)

    def _asked(self, prompt: str) -> str | None:
        subject = f"{self.target.user}@{self.target.name}"
        return self.prompter.ask(subject, prompt, until=self.until) if self._may_ask else None

    def _accepted(self, key: PKey) -> bool:
        """True if PubkeyAcceptedAlgorithms and RequiredRSASize allow the key."""
        found = self.target.found
        if key.get_name().startswith("ssh-rsa") and key.get_bits() < self.target.rules.least_rsa:
            return False
        if "pubkeyacceptedalgorithms" not in found.changed:
            return True
        accepted = set(found.get("pubkeyacceptedalgorithms").split(","))
        blob = getattr(key, "public_blob", None)
        name = blob.key_type if blob is not None else key.get_name()
        suffix = name.removeprefix("ssh-rsa")
        return bool(
            {f"rsa-sha2-{bits}{suffix}" for bits in (256, 512)} & accepted if "rsa" in name else name in accepted
        )

    def _candidates(self, transport: paramiko.Transport, stack: contextlib.ExitStack) -> Iterator[tuple[PKey, str]]:
        """Keys in ssh's order (sshconnect2.c, pubkey_prepare), each with its name for the operator. ``stack`` closes
        the connection to the agent."""
        login, target = self.login, self.target
        only = target.only_identities
        if login.key_file is not None and not (login.hop and target.chosen):
            # A key that the inventory names is the only one to try: a wrong key counts against MaxAuthTries.
            files, only = [login.key_file], True
        else:
            files = [one for one in target.identities if one.is_file() or one.with_name(f"{one.name}.pub").is_file()]
            files += [login.key_file] if login.key_file is not None else []
            if login.password is not None and not target.chosen:
                return
        listed = {path: self.keys.public(path) for path in files}
        held: tuple[paramiko.AgentKey, ...] = ()
        if target.agent:
            held = tuple(stack.enter_context(contextlib.closing(Agent(target.agent))).get_keys())
            if not held:
                self.untried.append(f"the agent {target.agent} (it holds no key, is locked, or does not answer)")
        usable = [key for key in held if not only or key.blob in listed.values()]
        paths = {public: path for path, public in listed.items() if public is not None}
        for file, certificate, blob in _certificates(target.certificates):
            signer: PKey | None = next((key for key in usable if key.blob == blob), None)
            if signer is None and blob in paths:
                signer = self._from_file(transport, paths[blob], [certificate])
            if signer is not None:
                yield _copy(signer, certificate), f"{file}"
        for path, public in listed.items():
            for key in held:
                if public is not None and key.blob == public:
                    yield from self._with_certificates(key, path, f"{path} (agent)", public)
        if not only:
            for key in held:
                if key.blob not in listed.values():
                    yield key, f"the agent's {key.comment or key.get_name()}"
        in_agent = {key.blob for key in held}
        for path, public in listed.items():
            if public in in_agent and public is not None:
                continue
            mine = self._from_file(
                transport, path, [*(one for _, one, _ in _certificates([_certificate_of(path)])), None]
            )
            if mine is not None:
                yield from self._with_certificates(mine, path, str(path), public)

    def _from_file(self, transport: paramiko.Transport, path: Path, forms: list[PublicBlob | None]) -> PKey | None:
        """The key of a file. As ssh does, ask the operator for its passphrase only where the host would accept the key
        in one of the ``forms``: with a certificate, or ``None`` for the key alone."""
        named = self.login.key_file is not None
        try:
            return self.keys.load(path)
        except Encrypted as error:
            if not self._may_ask:
                if named:
                    raise paramiko.AuthenticationException(
                        f"{path} has a passphrase (ssh-add it to an agent)"
                    ) from error
                self.untried.append(f"{path} (it has a passphrase)")
                return None
        except Unprotected as error:
            if named:
                raise
            self.untried.append(f"{path} (other accounts can read it: {error.hint})")
            return None
        except (SpecError, OSError):
            # A public key whose private key only an agent could have, or a kind of key that only ssh supports.
            if named:
                raise
            return None
        if not self._would_accept(transport, path, forms):
            return None
        try:
            return self.keys.unlock(path, self.until)
        except SpecError as error:
            if named:
                raise
            self.untried.append(error.message)
            return None

    def _would_accept(self, transport: paramiko.Transport, path: Path, forms: list[PublicBlob | None]) -> bool:
        """True if the host accepts the key of a file; true where the file does not show its public half."""
        public = self.keys.public(path)
        if public is None:
            return True
        try:
            key = PKey.from_type_string(kind := Message(public).get_text(), public)
        except UnknownKeyType:
            self.untried.append(f"{path} ({kind} needs provision_transport: openssh)")
            return False
        for form in forms:
            one, question = key if form is None else _copy(key, form), Question(transport)
            try:
                if self._accepted(one) and question.accepts(self.target.user, one):
                    return True
            finally:
                self.offered = set(question.methods) or self.offered
            self.tried.append(f"{path}" if form is None else f"{path} with its certificate")
            self.unwanted.add(host_keys.shown(one))
        return False

    def _with_certificates(self, key: PKey, path: Path, name: str, public: bytes | None) -> Iterator[tuple[PKey, str]]:
        """A key's certificates first, then the key alone. Those of CertificateFile were first of all, except where the
        file does not show the public half of its key."""
        more = self.target.certificates if public is None else ()
        for file, certificate, blob in _certificates([*more, _certificate_of(path)]):
            if blob == key.asbytes():
                yield _copy(key, certificate), f"{file}"
        yield key, name


#: Method -> the option that switches it off.
_SWITCHES = {
    "publickey": "PubkeyAuthentication",
    "keyboard-interactive": "KbdInteractiveAuthentication",
    "password": "PasswordAuthentication",
}
#: The same for methods that only ``transport: openssh`` has.
_ELSEWHERE = {"gssapi-with-mic": "GSSAPIAuthentication", "hostbased": "HostbasedAuthentication"}


def answered(error: Exception, transport: paramiko.Transport) -> bool:
    """True if the host refused a login. paramiko raises the same exception where the host did not answer in time
    ("Authentication timeout."), and where it closed the connection (``auth_handler.py``, ``wait_for_response``)."""
    return transport.is_active() and "timeout" not in str(error).lower()


def _on(value: str) -> bool:
    return value.lower() in ("yes", "true", "unbound", "host-bound")


def _asks_for_password(prompt: str) -> bool:
    """True if a prompt asks for the account's password, and not for a one-time code."""
    text = prompt.lower()
    return "password" in text and not re.search(r"one.?time|\botp\b|token|verification|code|new password", text)


def _certificate_of(path: Path) -> Path:
    """The file with the certificate of a key, which ssh reads without an option (ssh_config(5), IdentityFile)."""
    return path.with_name(f"{path.name}-cert.pub")


def _certificates(files: Iterable[Path]) -> Iterator[tuple[Path, PublicBlob, bytes]]:
    """The certificates of those files that have one, each with the public key that it certifies."""
    for file in files:
        with contextlib.suppress(OSError, SpecError, ValueError, paramiko.SSHException, IndexError):
            blob = PublicBlob.from_string(limits.whole(file).decode())
            if (found := host_keys.certificate(blob.key_blob)) is not None:
                yield file, blob, found.key


def _copy(key: PKey, certificate: PublicBlob) -> PKey:
    """A copy of the key that presents its certificate. Several logins share a key, so the key itself never changes."""
    if isinstance(key, paramiko.AgentKey):
        made: PKey = paramiko.AgentKey(key.agent, key.blob, key.comment)
    else:
        made = copy.copy(key)
    made.public_blob = certificate
    return made
