"""The mail loop: submit at A, let A find B's MX, read at B in four ways, and prove the way from the Received
chain.

Public: LoopCase, and the probes `loop.submit`, `loop.path`, `loop.fetch`, `loop.cleanup`, which run in this
order on one LoopCase each, sharing one message. Troubles of `stream` pass through; the runner makes them
errors.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailprov.model.findings import Finding, Target, Verdict
from mailprov.model.inventory import Account, Host
from mailprov.model.ports import Protocol
from mailprov.probe import message, received
from mailprov.probe.case import Case, port_numbered
from mailprov.probe.imap import Imap
from mailprov.probe.login import login_as
from mailprov.probe.pairs import SUBMISSION, LoopPlan
from mailprov.probe.pop3 import NoSuchMessage, Pop3
from mailprov.probe.published import mail_servers
from mailprov.probe.sieve import Sieve
from mailprov.probe.smtp import Reply, Smtp
from mailprov.probe.stream import Garbage, Silence, Trouble
from mailprov.probe.table import Scope, probe

READING = (993, 143, 995, 110)
# A POP session lists the newest messages first; a probe message is never further down than this.
_NEWEST = 100
_POLLS_PER_LOOK_AROUND = 10


@dataclass
class LoopCase(Case):
    """One message on its way. The probes leave here what the next one needs."""

    plan: LoopPlan = field(kw_only=True)
    token: str = field(default_factory=lambda: secrets.token_hex(12))
    sent: bytes = b""
    not_sent: str = "not submitted (see loop.submit)"
    fetched: bytes = b""
    folder: str = "INBOX"
    removed: bool = False

    @property
    def sender_host(self) -> Host:
        return self.run.inventory.host(self.plan.sender_domain.hosts[0])

    @property
    def recipient_host(self) -> Host:
        return self.run.inventory.host(self.plan.recipient_domain.hosts[0])

    @property
    def target(self) -> Target:
        return self.at(self.sender_host, self.plan.port.number, self.plan.sender)

    def at(self, host: Host, port: int, account: Account | None) -> Target:
        address = self.run.addresses[host.name][0] if self.run.addresses.get(host.name) else ""
        pair = f"{self.plan.sender_domain.name}->{self.plan.recipient_domain.name}"
        return Target(host.name, address, port, pair, account.address if account else "")

    def address(self, host: Host) -> str:
        addresses = self.run.addresses.get(host.name)
        if not addresses:
            raise Trouble(f"no address of {host.fqdn} is known")
        return addresses[0]

    def session(self, host: Host, number: int, account: Account) -> Smtp | Imap | Pop3:
        """A session on `host`, logged in over trusted TLS."""
        assert account.password is not None
        self.transcript.hide(account.password.reveal())
        client = self.open(host, self.address(host), port_numbered(number), secret=True)
        try:
            let_in, words = login_as(client, account.address, account.password.reveal())
            if not let_in:
                raise Trouble(f"login as {account.address} on {host.fqdn} port {number} is refused: {words}")
        except BaseException:
            client.stream.close()
            raise
        assert not isinstance(client, Sieve)
        return client

    def mailbox(self) -> Imap:
        """The recipient's mail over IMAP on 993."""
        assert self.plan.recipient is not None
        client = self.session(self.recipient_host, 993, self.plan.recipient)
        assert isinstance(client, Imap)
        return client

    def search(self, client: Imap, folder: str) -> list[int]:
        response = client.select(folder)
        if response.status != "OK":
            raise Garbage(f"SELECT {folder} was refused: {response}")
        return client.search(f"HEADER {message.MARK} {self.token}")


@probe(
    "loop.submit",
    Scope.LOOP,
    "A user can hand in mail for another domain",
    expected="250 after the message",
    steps=(
        "Log in at the sender's host, on 587 with STARTTLS and on 465.",
        "Send a marked message to an account of another domain: leading dots, 8 bits, a line of 998 "
        "octets, blanks at the end.",
    ),
    verdicts={
        "pass": "accepted and queued",
        "fail": "refused for good",
        "error": "no login, temporary refusal, silence, or a dropped connection",
        "skip": "no account with a known password",
    },
    refs=("RFC 6409", "RFC 5321 section 3.3"),
    ports=SUBMISSION,
)
def submit(case: LoopCase) -> Iterator[Finding]:
    plan = case.plan
    if plan.sender is None or plan.recipient is None:
        yield case.skip(plan.skip)
        return
    client = case.session(case.sender_host, plan.port.number, plan.sender)
    assert isinstance(client, Smtp)
    with client.stream:
        eight_bit = "8BITMIME" in client.extensions
        text = message.build(
            case.token,
            case.run.nonce,
            plan.sender.address,
            plan.recipient.address,
            eight_bit=eight_bit,
            forged_by=case.recipient_host.fqdn,
        )
        reply, at = _hand_in(client, plan.sender.address, plan.recipient.address, text, eight_bit)
        if reply.code == 250:
            client.quit()
    case.not_sent = f"not submitted: {at} gets {reply}"
    if reply.code == 250:
        case.sent = text
        yield case.passed(f"{reply}")
    elif reply.kind == 4:
        yield case.error(f"temporary refusal: {at} gets {reply}", "see the log of the sender's host")
    else:
        yield case.failed(f"{at} gets {reply}", "see the log of the sender's host for the reason")


def _hand_in(client: Smtp, sender: str, recipient: str, text: bytes, eight_bit: bool) -> tuple[Reply, str]:
    reply = client.mail(sender, eight_bit)
    if reply.code != 250:
        return reply, f"MAIL FROM:<{sender}>"
    reply = client.rcpt(recipient)
    if reply.kind != 2:
        return reply, f"RCPT TO:<{recipient}>"
    return client.data(text), "the message"


def _look_around(case: LoopCase, client: Imap) -> str:
    """Search the other folders (a filter may have moved it). '' when it is in none of them."""
    for folder in client.folders():
        if folder.upper() != "INBOX" and (found := case.search(client, folder)):
            case.folder = folder
            case.fetched = client.fetch(found[0])
            return f"arrived in {folder}, not in INBOX"
    return ""


def _wait(case: LoopCase) -> str:
    """Fetch the message when it arrives. '' when it is there, else what was seen; Stopped passes through."""
    assert case.plan.recipient is not None
    with case.run.user_slot(case.recipient_host.name, case.plan.recipient.address):
        # The clocks start when it is our turn.
        arrival = case.new_deadline(case.run.timing.delivery)
        case.deadline = case.new_deadline(case.seconds)
        client = case.mailbox()
        with client.stream:
            for turn in itertools.count(1):
                mark = len(case.transcript.lines)
                found = case.search(client, "INBOX")
                if found:
                    case.fetched = client.fetch(found[0])
                    return "" if len(found) == 1 else f"arrived {len(found)} times"
                if turn % _POLLS_PER_LOOK_AROUND == 0 and (where := _look_around(case, client)):
                    return where
                try:
                    arrival.pause(case.run.timing.poll)
                except Silence:
                    break
                del case.transcript.lines[mark:]  # only the last of many polls is worth reading
            if where := _look_around(case, client):
                return where
    return f"accepted, but not in the mailbox within {case.run.timing.delivery:g} s"


@probe(
    "loop.path",
    Scope.LOOP,
    "The message went from A to B's MX, over TLS all the way",
    expected="Received: by A with ESMTPSA, then from A by an MX of B with ESMTPS",
    steps=(
        "Look up the recipient domain's MX ourselves.",
        "Poll the recipient's INBOX over IMAP for the mark, until a deadline.",
        "Read the Received fields of what arrived.",
    ),
    verdicts={
        "pass": "the chain proves submission with login over TLS, and the transfer to an MX over TLS",
        "warn": "arrived, but both domains are on one host (local only: no MX, no port 25 was used), in "
        "another folder, "
        "or the sender's host showed another name or address",
        "fail": "not arrived, more than once, a hop is missing, or a hop was in clear",
        "error": "not submitted, or the mailbox cannot be read",
        "skip": "no account with a known password",
    },
    refs=("RFC 5321 section 4.4", "RFC 5321 section 5.1", "RFC 3848"),
    ports=SUBMISSION,
)
def path(case: LoopCase) -> Iterator[Finding]:
    plan = case.plan
    if plan.skip:
        yield case.skip(plan.skip)
        return
    if not case.sent:
        yield case.error(case.not_sent)
        return
    route = None
    if not plan.local:
        targets = mail_servers(case.run.authority, plan.recipient_domain.name)
        case.transcript.add("-", f"MX of {plan.recipient_domain.name}: {', '.join(targets) or 'none'}")
        host = case.sender_host
        addresses = tuple(dict.fromkeys((*host.ipv4, *host.ipv6, *case.run.addresses.get(host.name, ()))))
        route = received.Route(host.fqdn, addresses, tuple(targets))
    wrong = _wait(case)
    chain = received.hops(case.fetched)
    for hop in reversed(chain):
        case.transcript.add("-", f"Received: {hop}")
    if not case.fetched or wrong.endswith("times"):
        yield case.failed(
            wrong,
            f"on {case.sender_host.name}: postqueue -p; on {case.recipient_host.name}: see the mail log",
        )
        return
    if route is None:
        yield case.warn(
            "local only: both domains are on one host, so neither MX nor port 25 was used",
            "put a domain on a second host into the inventory to prove the way between hosts",
        )
        return
    verdict, observed, advice = received.judge(chain, route)
    if wrong and verdict is Verdict.PASS:
        verdict, observed, advice = Verdict.WARN, wrong, "see the recipient's filters (Sieve, spam)"
    yield case.finding(verdict, observed, advice)


def _read(case: LoopCase, number: int) -> bytes:
    """The message as this port gives it. Raises Garbage when it is not there."""
    assert case.plan.recipient is not None
    refused = ""
    client = case.session(case.recipient_host, number, case.plan.recipient)
    with client.stream:
        if isinstance(client, Imap):
            found = case.search(client, case.folder)
            if found:
                return client.fetch(found[0])
        elif isinstance(client, Pop3):
            mark = f"{message.MARK}: {case.token}".encode()
            for position, _ in reversed(client.identifiers()[-_NEWEST:]):
                try:
                    if mark not in client.headers(position):
                        continue
                except NoSuchMessage as trouble:
                    refused = f" ({trouble})"  # removed meanwhile, by another loop or by the user: not ours
                    continue
                text = client.retrieve(position)
                client.quit()
                return text
    raise Garbage(f"the message is not there{refused}")


@probe(
    "loop.fetch",
    Scope.LOOP,
    "The recipient reads the same bytes by IMAP and POP",
    expected="the body as it was sent, and the same message byte for byte on 993, 143, 995 and 110",
    steps=(
        "Fetch the message over 993 and over 143 with STARTTLS (BODY.PEEK[], which leaves it unread).",
        "Fetch it over 995 and over 110 with STLS (UIDL, TOP, RETR; never DELE).",
        "Compare with each other, and the body with what was sent.",
    ),
    verdicts={
        "pass": "the same bytes",
        "fail": "other bytes, or the message is not there",
        "error": "not submitted or not arrived, no login, silence, or a dropped connection",
        "skip": "no account with a known password, or the folder is not INBOX (POP shows no other)",
    },
    refs=("RFC 9051 section 6.4.5", "RFC 1939 section 5", "RFC 5321 section 4.5.2"),
    ports=READING,
)
def fetch(case: LoopCase) -> Iterator[Finding]:
    plan = case.plan
    for number in READING:
        target = case.at(case.recipient_host, number, plan.recipient)
        if plan.skip:
            yield case.finding(Verdict.SKIP, plan.skip, target=target)
        elif not case.fetched:
            yield case.finding(
                Verdict.ERROR, "nothing to fetch (see loop.submit and loop.path)", target=target
            )
        elif port_numbered(number).protocol is Protocol.POP3 and case.folder != "INBOX":
            yield case.finding(
                Verdict.SKIP, f"the message is in {case.folder}, which POP does not show", target=target
            )
        else:
            yield _compare(case, number, target)


def _compare(case: LoopCase, number: int, target: Target) -> Finding:
    assert case.plan.recipient is not None
    try:
        with case.run.user_slot(case.recipient_host.name, case.plan.recipient.address):
            case.deadline = case.new_deadline(case.seconds)
            text = _read(case, number)
    except Garbage as trouble:
        return case.finding(Verdict.FAIL, str(trouble), "see the server's log", target=target)
    except Trouble as trouble:
        return case.finding(Verdict.ERROR, str(trouble), target=target)
    if wrong := message.first_difference(case.fetched, text):
        advice = "see that IMAP and POP read the same mailbox (mail_location, mail_path)"
        return case.finding(Verdict.FAIL, f"not as over IMAP before: {wrong}", advice, target=target)
    if wrong := message.first_difference(message.body_of(case.sent), message.body_of(text)):
        advice = "see what on the way alters mail: a content filter, a disclaimer, or a host without 8BITMIME"
        return case.finding(Verdict.FAIL, f"the body {wrong}", advice, target=target)
    return case.finding(Verdict.PASS, f"{len(text)} bytes, the same", target=target)


@probe(
    "loop.cleanup",
    Scope.LOOP,
    "The probe message is removed again",
    expected="exactly the marked message is gone",
    steps=("Over IMAP: search for the mark, mark it as deleted, UID EXPUNGE just that.",),
    verdicts={
        "pass": "removed",
        "warn": "left in the mailbox, because the server cannot remove just one message, or refuses",
        "error": "the mailbox cannot be reached",
        "skip": "nothing was sent",
    },
    refs=("RFC 4315 section 2.1",),
    ports=(993,),
)
def cleanup(case: LoopCase) -> Iterator[Finding]:
    plan = case.plan
    target = case.at(case.recipient_host, 993, plan.recipient)
    if not case.sent or plan.recipient is None:
        yield case.finding(Verdict.SKIP, "nothing was sent", target=target)
        return
    with case.run.user_slot(case.recipient_host.name, plan.recipient.address):
        case.deadline = case.new_deadline(case.seconds)
        client = case.mailbox()
        with client.stream:
            verdict, observed = _remove(case, client)
            client.quit()
    advice = f"remove the messages with the header {message.MARK} by hand"
    yield case.finding(verdict, observed, advice, target=target)


def _remove(case: LoopCase, client: Imap) -> tuple[Verdict, str]:
    found = case.search(client, case.folder)
    if not found:
        return Verdict.WARN, "the message is not there (if it arrives later, it stays)"
    uids = ",".join(map(str, found))
    # Without UIDPLUS only EXPUNGE is left, which would also remove what the user has marked: then ours stays.
    if "UIDPLUS" not in client.capabilities():
        if client.search("DELETED"):
            return (
                Verdict.WARN,
                "the server has no UIDPLUS, and the user has marked messages of his own as deleted",
            )
        expunge = "EXPUNGE"
    else:
        expunge = f"UID EXPUNGE {uids}"
    for command in (f"UID STORE {uids} +FLAGS.SILENT (\\Deleted)", expunge):
        response = client.command(command)
        if response.status != "OK":
            return Verdict.WARN, f"{command} gets {response}"
    return Verdict.PASS, f"removed {len(found)} from {case.folder}"
