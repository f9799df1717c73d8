"""One TCP connection to a name server: TSIG-signed questions and answers, and what can go wrong with them.

    Session(settings)             a context manager; connects at the first use
      .ask(messages, proofs)      many at once in one round trip (RFC 7766 section 6.2.1.1) -> answers, in their order
      .where                      "DNS server 10.0.0.2", as errors begin
      .traffic                    what it has asked so far: Traffic(rounds, questions)
      .signs                      whether questions are signed
    TRAFFIC                       what all sessions of this process have asked; for tests and measurements

Raises DnsUnreachable (does not resolve, refused, no answer, not DNS), DnsFailed (TSIG: BADKEY, BADSIG,
BADTIME, or an answer that is not signed), each naming what was asked. Response codes are the caller's to judge.
TCP only: answers are never cut, and an UPDATE may be large.

One answer without a signature is handed on all the same, without anything that it says beside: REFUSED to a question.
Knot has keys zone by zone, so about a name outside its zones it can sign nothing. The caller must not take it for more
than "not here", and not believe it where a signed answer says otherwise.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Container, Sequence
from types import TracebackType

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.tsig

from mailprov.dns.providers.rfc2136 import tsig_errors
from mailprov.dns.providers.rfc2136.settings import Rfc2136Settings
from mailprov.dns.providers.rfc2136.tsig import tsig_key
from mailprov.dns.providers.rfc2136.tsig_errors import asked
from mailprov.errors import DnsFailed, DnsUnreachable, InputError
from mailprov.i18n import _
from mailprov.model.values import dataclass

CONNECT_SECONDS = 5.0
# Silence for so long is "no answer". A server may need a moment to write its journal.
ANSWER_SECONDS = 10.0
# What travels at once has so long, and so much more for each question. No honest server needs it; one that gives each
# answer at the last moment would keep a run for hours.
ROUND_SECONDS = 60.0
QUESTION_SECONDS = 0.2
# Questions under way at once; with each answer the next one goes. Enough to hide a long round trip, few enough that
# both sides' buffers hold them.
WINDOW = 50
# Messages that can be told apart by their ids (16 bits) with room to spare.
MOST_AT_ONCE = 10_000


@dataclass
class Traffic:
    """A round is what travels at once: no question of it waits for the answer to another. An UPDATE is a round, too."""

    rounds: int = 0
    questions: int = 0


TRAFFIC = Traffic()
_COUNTING = threading.Lock()


class Session:
    """Not for several threads at once: each opens its own."""

    def __init__(self, settings: Rfc2136Settings) -> None:
        if not settings.server:
            raise InputError("dns.server", _("is not set"), _("Name the primary server of your zones"))
        self.server, self.port = settings.server, settings.port
        if self.port == 53:
            self.where = _("DNS server {server}").format(server=self.server)
        else:
            self.where = _("DNS server {server} port {port}").format(server=self.server, port=self.port)
        self._key = tsig_key(settings)
        self.signs = self._key is not None
        self._socket: socket.socket | None = None
        self._pace = WINDOW
        self._deadline = 0.0  # of what travels now
        self._proofs: set[int] = set()  # ids of questions that we may be forbidden to ask
        self.traffic = Traffic()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def ask(
        self, messages: Sequence[dns.message.Message], proofs: Sequence[dns.message.Message] = ()
    ) -> list[dns.message.Message]:
        """Send all, return the answers in the same order, those to `proofs` last; each is signed, checked, and belongs
        to its question. The answer to a proof is REFUSED where this key may not ask for it, however the server says so.
        """
        known = {id(message) for message in proofs}
        messages = [*messages, *proofs]
        if not messages:
            return []
        with _COUNTING:
            for traffic in (self.traffic, TRAFFIC):
                traffic.rounds += 1
                traffic.questions += len(messages)
        answers: list[dns.message.Message] = []
        for start in range(0, len(messages), MOST_AT_ONCE):
            answers += self._all(messages[start : start + MOST_AT_ONCE], known)
        return answers

    def _all(
        self, messages: Sequence[dns.message.Message], proofs: Container[int]
    ) -> list[dns.message.Message]:
        waiting: dict[int, dns.message.Message] = {}
        first = int.from_bytes(os.urandom(2), "big")
        for number, message in enumerate(messages):
            message.id = (first + number) & 0xFFFF
            waiting[message.id] = message
        self._proofs = {message.id for message in messages if id(message) in proofs}
        answers: dict[int, dns.message.Message] = {}
        seconds = ROUND_SECONDS + QUESTION_SECONDS * len(messages)
        self._deadline = time.monotonic() + seconds
        while waiting:
            before = len(answers)
            fresh = self._socket is None
            try:
                self._exchange(waiting, answers)
            except TimeoutError:
                self.close()
                what = _("no answer within {seconds:g} s on TCP port {port}").format(
                    seconds=ANSWER_SECONDS, port=self.port
                )
                if time.monotonic() >= self._deadline:
                    what = _("{count} of {total} answers within {seconds:g} s on TCP port {port}").format(
                        count=len(answers), total=len(messages), seconds=seconds, port=self.port
                    )
                raise self._unreachable(what, waiting) from None
            except OSError:
                pass
            if not waiting:
                break
            # A server may close after any answer (RFC 7766 section 6.2.3), and what it had not read yet is
            # lost: what is left is asked again, one by one. That holds for an UPDATE too, which is sent
            # alone: should the first one have been done, the second fails on its prerequisites.
            self.close()
            if fresh and len(answers) == before and self._pace == 1:
                what = _("the connection was closed before any answer came on TCP port {port}")
                raise self._unreachable(what.format(port=self.port), waiting)
            self._pace = 1
        return [answers[message.id] for message in messages]

    def _exchange(
        self, waiting: dict[int, dns.message.Message], answers: dict[int, dns.message.Message]
    ) -> None:
        """Move from `waiting` to `answers` what one connection gives; returns early when it is closed."""
        connection = self._connected(waiting)
        todo = list(waiting.values())
        connection.sendall(b"".join(map(self._wire, todo[: self._pace])))
        for following in [*todo[self._pace :], *[None] * min(self._pace, len(todo))]:
            wire = self._receive(connection)
            if wire is None:
                return
            try:
                answer = self._checked(wire, waiting)
            except DnsFailed:
                ident = int.from_bytes(wire[:2], "big")
                if ident not in self._proofs:
                    raise
                answer = _only_refused(waiting[ident])
            answers[answer.id] = answer
            del waiting[answer.id]
            if following is not None:
                connection.sendall(self._wire(following))

    def _wire(self, message: dns.message.Message) -> bytes:
        if self._key is not None:
            message.use_tsig(self._key)  # afresh each time: the signature holds the time
        wire = message.to_wire()
        return struct.pack("!H", len(wire)) + wire

    def _connected(self, waiting: dict[int, dns.message.Message]) -> socket.socket:
        if self._socket is not None:
            return self._socket
        try:
            places = socket.getaddrinfo(self.server, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or _("not a host name")
            what = _("the name does not resolve ({reason}), {question}").format(
                reason=reason, question=asked(waiting.values())
            )
            raise DnsUnreachable(self.where, what, _("Correct dns.server")) from None
        problem: OSError | None = None
        for family, kind, protocol, __, address in places:
            connection = socket.socket(family, kind, protocol)
            try:
                connection.settimeout(CONNECT_SECONDS)
                connection.connect(address)
                connection.settimeout(ANSWER_SECONDS)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                connection.close()
                problem = error
            else:
                self._socket = connection
                return connection
        if isinstance(problem, TimeoutError):
            what = _("no connection within {seconds:g} s on TCP port {port}").format(
                seconds=CONNECT_SECONDS, port=self.port
            )
        elif problem is not None:
            what = _("no connection ({reason}) on TCP port {port}").format(
                reason=problem.strerror or problem, port=self.port
            )
        else:
            what = _("it has no address")
        raise self._unreachable(what, waiting)

    def _unreachable(self, what: str, waiting: dict[int, dns.message.Message]) -> DnsUnreachable:
        return DnsUnreachable(
            self.where,
            f"{what}, {asked(waiting.values())}",
            _("Start the name server, open the port, or correct dns.server"),
        )

    def _receive(self, connection: socket.socket) -> bytes | None:
        """One message, or None at the end of the stream. ANSWER_SECONDS is for the whole message."""
        deadline = min(time.monotonic() + ANSWER_SECONDS, self._deadline)
        head = self._exactly(connection, 2, deadline)
        if head is None:
            return None
        return self._exactly(connection, struct.unpack("!H", head)[0], deadline)

    def _exactly(self, connection: socket.socket, count: int, deadline: float) -> bytes | None:
        data = b""
        while len(data) < count:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            connection.settimeout(left)
            piece = connection.recv(count - len(data))
            if not piece:
                return None
            data += piece
        return data

    def _checked(self, wire: bytes, waiting: dict[int, dns.message.Message]) -> dns.message.Message:
        question: dns.message.Message | None = None
        try:
            question = waiting[int.from_bytes(wire[:2], "big")]
            keyring = {self._key.name: self._key} if self._key else False
            answer = dns.message.from_wire(wire, keyring=keyring, request_mac=question.mac)
            if not question.is_response(answer):
                raise ValueError
            if self._key and not answer.had_tsig:  # newer dnspython has said so already, older does not
                raise dns.tsig.PeerError
            if answer.flags & dns.flags.TC:
                # On TCP there is no reason for it; what is left of a set would be taken for all of it.
                about = asked([question])
                raise DnsFailed(
                    self.where,
                    _("it cut its answer short, {question}").format(question=about),
                    _("Look at the server's log"),
                )
            for section in (answer.answer, answer.authority):
                # A record of another class (RFC 1035 section 3.2.4) is none that was asked for.
                section[:] = [rrset for rrset in section if rrset.rdclass == dns.rdataclass.IN]
            return answer
        except (dns.tsig.PeerError, dns.exception.FormError):
            # dnspython's exceptions carry neither the server's clock nor the response code: read it again,
            # unchecked.
            bare = self._unchecked(wire)
            if bare is None or question is None or not question.is_response(bare):
                raise self._no_dns(waiting) from None
            if self._not_here(bare):
                return _only_refused(question)
            tsig_errors.check(self.where, self._key, bare, question)
            raise self._no_dns(waiting) from None
        except dns.tsig.BadTime:
            raise tsig_errors.clock_error(self.where, None, waiting.values()) from None
        except (dns.tsig.BadSignature, dns.tsig.BadKey, dns.tsig.BadAlgorithm, dns.message.UnknownTSIGKey):
            about = asked(waiting.values())
            what = _("an answer came whose signature with TSIG key {key} is wrong, {question}").format(
                key=tsig_errors.key_name(self._key), question=about
            )
            raise DnsFailed(
                self.where, what, _("Something between here and the server changes answers")
            ) from None
        except (dns.exception.DNSException, ValueError, KeyError, struct.error, IndexError):
            raise self._no_dns(waiting) from None

    def _unchecked(self, wire: bytes) -> dns.message.Message | None:
        try:
            return dns.message.from_wire(wire, keyring=False)
        except (dns.exception.DNSException, ValueError, struct.error, IndexError):
            return None

    def _no_dns(self, waiting: dict[int, dns.message.Message]) -> DnsUnreachable:
        self.close()
        return DnsUnreachable(
            self.where,
            _("what answers on TCP port {port} does not speak DNS, {question}").format(
                port=self.port, question=asked(waiting.values())
            ),
            _("Correct dns.server or dns.port"),
        )

    def _not_here(self, answer: dns.message.Message) -> bool:
        return (
            answer.opcode() == dns.opcode.QUERY
            and answer.rcode() == dns.rcode.REFUSED
            and not answer.had_tsig
        )

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _only_refused(question: dns.message.Message) -> dns.message.Message:
    """REFUSED and nothing beside it: what an answer without a signature holds is not read."""
    answer = dns.message.make_response(question)
    answer.tsig = None
    answer.set_rcode(dns.rcode.REFUSED)
    return answer
