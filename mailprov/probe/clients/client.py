"""What the clients of SMTP, IMAP, POP3 and ManageSieve have in common: a session that begins, is secured and logs in.

Public: Client, MailboxClient, Login, Outcome, refuse_passwords. Every method raises the errors of `clients`;
ProtocolError also when the server says no to what a session begins with, TemporaryFailure when it decided nothing,
NoPasswords when it takes nobody's.
"""

from __future__ import annotations

import ssl
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from enum import Enum

from mailprov.model.values import dataclass
from mailprov.probe.clients.connection import Connection
from mailprov.probe.clients.errors import NoPasswords


class Outcome(Enum):
    """What came of a user and a password."""

    ACCEPTED = "accepted"
    CONTINUES = "continues"  # the server asks for more, where there was nothing more to say
    REFUSED = "refused"
    UNSEEN = "unseen"  # refused before the password was looked at, for want of TLS: what a right server does in clear


@dataclass(frozen=True)
class Login:
    """`words` are the server's, made safe to show."""

    outcome: Outcome
    words: str

    @property
    def accepted(self) -> bool:
        return self.outcome is Outcome.ACCEPTED


_TOKENS = {"XOAUTH2", "OAUTHBEARER"}
_PASSWORDS = {"PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"}


def refuse_passwords(mechanisms: Collection[str], reply: object) -> None:
    """Raises NoPasswords where these SASL mechanisms take OAuth's tokens (RFC 7628), and none of them a password."""
    if not _TOKENS.isdisjoint(mechanisms) and _PASSWORDS.isdisjoint(mechanisms):
        raise NoPasswords(str(reply))


class Client(ABC):
    """One session on a connection, by whatever protocol."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @abstractmethod
    def greet(self) -> None:
        """Read the greeting, and say hello where the protocol wants it. Raises ProtocolError when the server speaks
        another protocol, or turns us away.
        """

    @abstractmethod
    def ask_for_tls(self) -> None:
        """STARTTLS (STLS) alone: the handshake is next. Raises ProtocolError when it is refused."""

    def start_tls(self, tls_context: ssl.SSLContext, name: str | None) -> None:
        """`ask_for_tls` and the handshake, with `name` as SNI; None asks for none. See Connection.start_tls."""
        self.ask_for_tls()
        self.connection.start_tls(tls_context, name)

    @abstractmethod
    def offers(self) -> Mapping[str, str]:
        """What the server offers at this moment, in upper case: {"STARTTLS": "", "SIZE": "10240000"}. Asks for it where
        the protocol does not tell it unasked.
        """

    @abstractmethod
    def login(self, user: str, password: str) -> Login:
        """Log in; the password is kept out of the transcript. Raises TemporaryFailure when nothing was decided,
        and NoPasswords when a refusal is for everybody.
        """

    def refuses_alike(self, login: Login) -> bool:
        """Whether a login that is not offered is refused by the same words as what nobody knows: then no password was
        looked at.
        """
        return False

    @abstractmethod
    def prove_login(self, address: str) -> tuple[bool, str]:
        """Whether a command works that needs a login; the server's words. `address` is the account's own."""

    @abstractmethod
    def quit(self) -> None:
        """Take leave without waiting for the answer, and close."""


class MailboxClient(Client):
    """A session that reads mail."""

    @abstractmethod
    def find(self, field: str, value: str, folder: str) -> bytes:
        """The whole message that has this header field, byte for byte, left unread where the protocol can. POP has no
        folders but INBOX. Raises ProtocolError when it is not there.
        """
