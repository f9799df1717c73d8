"""One TCP connection to a name server: TSIG-signed questions and answers, and what can go wrong with them.

    Session(settings)             a context manager; connects at the first use
      .ask(messages, proofs)      many at once in one round trip (RFC 7766 section 6.2.1.1) -> answers, in their order
      .where                      "DNS server 10.0.0.2", as errors begin
      .traffic                    what it has asked so far: Traffic(rounds, questions)
      .signs                      whether questions are signed
    rcode_name(answer)            REFUSED, NXRRSET, …
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
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
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

from mailprov.dns.providers.rfc2136.settings import Rfc2136Settings
from mailprov.dns.providers.rfc2136.tsig import tsig_key
from mailprov.errors import DnsFailed, DnsUnreachable, InputError

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
NO_UPDATES = (
    "Let it take updates (PowerDNS: dnsupdate=yes), name a primary that does, or use the provider zonefile"
)


@dataclass
class Traffic:
    """A round is what travels at once: no question of it waits for the answer to another. An UPDATE is a round, too."""

    rounds: int = 0
    questions: int = 0


TRAFFIC = Traffic()
_COUNTING = threading.Lock()


def rcode_name(answer: dns.message.Message) -> str:
    return dns.rcode.to_text(answer.rcode())


class Session:
    """Not for several threads at once: each opens its own."""

    def __init__(self, settings: Rfc2136Settings) -> None:
        if not settings.server:
            raise InputError("dns.server", "is not set", "Name the primary server of your zones")
        self.server, self.port = settings.server, settings.port
        self.where = f"DNS server {self.server}" + (f" port {self.port}" if self.port != 53 else "")
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
                what = f"no answer within {ANSWER_SECONDS:g} s"
                if time.monotonic() >= self._deadline:
                    what = f"{len(answers)} of {len(messages)} answers within {seconds:g} s"
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
                raise self._unreachable("the connection was closed before any answer came", waiting)
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
            reason = getattr(error, "strerror", None) or "not a host name"
            what = f"the name does not resolve ({reason}), {_asked(waiting.values())}"
            raise DnsUnreachable(self.where, what, "Correct dns.server") from None
        problem: OSError | None = None
        for family, kind, protocol, _, address in places:
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
            raise self._unreachable(f"no connection within {CONNECT_SECONDS:g} s", waiting)
        raise self._unreachable(
            f"no connection ({problem.strerror or problem})" if problem else "it has no address", waiting
        )

    def _unreachable(self, what: str, waiting: dict[int, dns.message.Message]) -> DnsUnreachable:
        return DnsUnreachable(
            self.where,
            f"{what} on TCP port {self.port}, {_asked(waiting.values())}",
            "Start the name server, open the port, or correct dns.server",
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
                raise ValueError("not an answer to the question")
            if self._key and not answer.had_tsig:  # newer dnspython has said so already, older does not
                raise dns.tsig.PeerError
            if answer.flags & dns.flags.TC:
                # On TCP there is no reason for it; what is left of a set would be taken for all of it.
                asked = _asked([question])
                raise DnsFailed(self.where, f"it cut its answer short, {asked}", "Look at the server's log")
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
            self._check_tsig(bare, question)
            raise self._no_dns(waiting) from None
        except dns.tsig.BadTime:
            raise self._clock(None, waiting.values()) from None
        except (dns.tsig.BadSignature, dns.tsig.BadKey, dns.tsig.BadAlgorithm, dns.message.UnknownTSIGKey):
            asked = _asked(waiting.values())
            what = f"an answer came whose signature with TSIG key {self._key_name} is wrong, {asked}"
            raise DnsFailed(
                self.where, what, "Something between here and the server changes answers"
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
            f"what answers on TCP port {self.port} does not speak DNS, {_asked(waiting.values())}",
            "Correct dns.server or dns.port",
        )

    @property
    def _key_name(self) -> str:
        return self._key.name.to_text(omit_final_dot=True) if self._key else ""

    def _not_here(self, answer: dns.message.Message) -> bool:
        return (
            answer.opcode() == dns.opcode.QUERY
            and answer.rcode() == dns.rcode.REFUSED
            and not answer.had_tsig
        )

    def _check_tsig(self, answer: dns.message.Message, question: dns.message.Message) -> None:
        """RFC 8945 section 5.2: what a server says about our signature, or that it says nothing."""
        if self._key is None:
            return
        asked = _asked([question])
        if not answer.had_tsig:
            code = rcode_name(answer)
            what = f"it answered {code} without a signature, {asked} with TSIG key {self._key_name}"
            raise DnsFailed(self.where, what, _unsigned_advice(answer))
        error = answer.tsig_error or 0
        if error == dns.rcode.BADKEY and question.opcode() == dns.opcode.UPDATE:
            # It has answered questions signed with this key, or we would not be here: Knot means the key's rights.
            what = f"it does not let TSIG key {self._key_name} do that (BADKEY), {asked}"
            raise DnsFailed(
                self.where, what, "Allow updates of this zone with this key (Knot: action update in an acl)"
            )
        if error == dns.rcode.BADKEY:
            algorithm = self._key.algorithm.to_text(omit_final_dot=True)
            raise DnsFailed(
                self.where,
                f"it knows no TSIG key {self._key_name} with {algorithm} (BADKEY), {asked}",
                "Correct dns.tsig.name and dns.tsig.algorithm, or add the key there (Knot: also to an acl of the zone)",
            )
        if error == dns.rcode.BADSIG:
            raise DnsFailed(
                self.where,
                f"the secret of TSIG key {self._key_name} is not the one it has (BADSIG), {asked}",
                "Correct dns.tsig.secret",
            )
        if error == dns.rcode.BADTIME:
            assert answer.tsig is not None
            other = answer.tsig[0].other  # RFC 8945 section 5.2.3: the server's clock, 48 bits
            raise self._clock(int.from_bytes(other, "big") if len(other) == 6 else None, [question])
        if error:
            name = dns.rcode.to_text(dns.rcode.Rcode.make(error))
            what = f"it refused the TSIG signature ({name}), {asked}"
            raise DnsFailed(self.where, what, "Look at the server's log")

    def _clock(self, theirs: int | None, questions: Iterable[dns.message.Message]) -> DnsFailed:
        by = ""
        if theirs is not None:
            ahead = round(theirs - time.time())
            by = f": its clock is {abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
        return DnsFailed(
            self.where,
            f"the clocks differ too much for TSIG (BADTIME){by}, {_asked(questions)}",
            "Set both clocks, for example by NTP",
        )

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _asked(questions: Iterable[dns.message.Message]) -> str:
    """What a failure is about: `asked for alpha.test SOA and 3 more`, `told to update zone alpha.test`."""
    first, *more = questions
    (about,) = first.question
    name = about.name.to_text(omit_final_dot=True)
    if first.opcode() == dns.opcode.UPDATE:
        return f"told to update zone {name}"
    others = f" and {len(more)} more" if more else ""
    return f"asked for {name} {dns.rdatatype.to_text(about.rdtype)}{others}"


def _only_refused(question: dns.message.Message) -> dns.message.Message:
    """REFUSED and nothing beside it: what an answer without a signature holds is not read."""
    answer = dns.message.make_response(question)
    answer.tsig = None
    answer.set_rcode(dns.rcode.REFUSED)
    return answer


def _unsigned_advice(answer: dns.message.Message) -> str:
    code = answer.rcode()
    if code == dns.rcode.NOTIMP and answer.opcode() == dns.opcode.UPDATE:
        return NO_UPDATES
    if code == dns.rcode.SERVFAIL:
        return "Look at the server's log; a secondary that cannot reach its primary answers so to an update"
    if code in (dns.rcode.NOTAUTH, dns.rcode.REFUSED):
        return (
            "Correct dns.tsig.name, dns.tsig.algorithm and dns.tsig.secret, and set both clocks: PowerDNS answers so "
            "when any of them is wrong, and its log says which"
        )
    return "Use a name server that supports TSIG (RFC 8945)"
