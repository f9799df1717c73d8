"""Probes of what a stranger gets away with on port 25: names asked for, commands sent too early, a second message
hidden in the first (SMTP smuggling).

Public: the probes `smtp.vrfy`, `smuggle.pipelining`, `smuggle.in`. Mail is sent only to an account of the inventory,
and removed again. Troubles of `stream` pass through; the runner makes them errors.
"""

from __future__ import annotations

import dataclasses
import itertools
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Account
from mailprov.probe.accounts import lacking, usable
from mailprov.probe.checks.login import login_as
from mailprov.probe.checks.relay import known_address, outside_sender
from mailprov.probe.clients.connection import Silence, Trouble
from mailprov.probe.clients.folders import folders_at
from mailprov.probe.clients.imap import Imap
from mailprov.probe.clients.smtp import Reply, Smtp
from mailprov.probe.context import PortCase, port_numbered
from mailprov.probe.mailauth import message
from mailprov.probe.registry import Scope, ports_where, probe

_FROM_STRANGERS = ports_where(lambda port: port.number == 25)
# What some servers take for the end of a message. Only CR LF . CR LF is one (RFC 5321 section 4.1.1.4).
_ENDINGS = {
    "LF . LF": b"\n.\n",
    "LF . CRLF": b"\n.\r\n",
    "CRLF . LF": b"\r\n.\n",
    "CR . CR": b"\r.\r",
    "CR . CRLF": b"\r.\r\n",
    "CRLF . CR": b"\r\n.\r",
    "CRLF NUL . CRLF": b"\r\n\0.\r\n",
}
# With the null sender and a name that nobody has (RFC 2606), neither SPF nor DMARC of a domain that is served here
# speaks against the messages: a filter that took them for forgeries would refuse them before their ends are tried.
_SENDER, _AUTHOR = "", "nobody@mailprov-stranger.invalid"
_AT_ONCE = 4
_NOT_TAKEN = "cannot tell, because mail for a user of this server is not taken"


@probe(
    "smtp.vrfy",
    Scope.PORT,
    "Nobody learns from the server which users there are",
    expected="the same refusal, or the same noncommittal 252, for a user and for a made-up name",
    steps=("VRFY a user of this server, then a made-up name in the same domain.", "EXPN the same two."),
    verdicts={
        "pass": "the same answer to both, and no 250",
        "warn": "VRFY tells the two apart on a server with `managed: false`, and so does RCPT, as it must "
        "(unknown.user)",
        "fail": "250 for the user, or answers that tell the two apart",
        "error": "4xx, silence, or a dropped connection",
        "skip": "no address of this server is known",
    },
    refs=("RFC 5321 section 7.3", "RFC 5321 section 3.5.3", "postconf(5) disable_vrfy_command"),
    ports=_FROM_STRANGERS,
)
def vrfy(case: PortCase) -> Iterator[Finding]:
    known = known_address(case)
    if not known:
        yield case.skip("no address of this server is known")
        return
    unknown = f"nobody-{case.run.nonce}@{known.rpartition('@')[2]}"
    client = case.smtp()
    with client.stream:
        pairs = [[client.command(f"{verb} {name}") for name in (known, unknown)] for verb in ("VRFY", "EXPN")]
        named = _named_by_rcpt(client, outside_sender(case), known, unknown)
        client.quit()
    replies = [reply for pair in pairs for reply in pair]
    later = [reply for reply in replies if reply.kind == 4]
    shown = f"VRFY {known} gets {pairs[0][0]}, a made-up name {pairs[0][1]}; EXPN gets {pairs[1][0]} and {pairs[1][1]}"
    advice = "postconf -e 'disable_vrfy_command = yes'"
    says_more = any(reply.code == 250 for reply in replies) or pairs[1][0].code != pairs[1][1].code
    if later:
        yield case.error(f"refused only for now: {later[0]}")
    elif pairs[0][0].code != pairs[0][1].code and named and not says_more and not case.host.managed:
        # What Postfix does if nobody says otherwise: a guesser learns by VRFY what RCPT must tell anyway.
        yield case.warn(f"{shown}; RCPT tells the two apart as well", advice)
    elif says_more or pairs[0][0].code != pairs[0][1].code:
        yield case.failed(shown, advice)
    else:
        yield case.passed(f"VRFY: {pairs[0][0]}; EXPN: {pairs[1][0]}")


def _named_by_rcpt(client: Smtp, sender: str, known: str, unknown: str) -> bool:
    """Whether RCPT takes the one and refuses the other for good."""
    taken = _begun(client, sender, known)
    refused = client.rcpt(unknown) if taken.kind == 2 else taken
    client.command("RSET")
    return taken.kind == 2 and refused.kind == 5


@probe(
    "smuggle.pipelining",
    Scope.PORT,
    "Who sends ahead of the server's answer, as spam programs do, is refused",
    expected="554 5.5.0 for what follows DATA before its 354",
    steps=(
        "MAIL FROM, and RCPT TO a user of this server: must be taken.",
        "DATA and QUIT in one go, before the 354; close without a message.",
    ),
    verdicts={
        "pass": "refused for good",
        "warn": "354 from a server with `managed: false`: Postfix before 3.9 takes it if nobody says otherwise",
        "fail": "354: the server takes what was sent ahead as if it had been asked for",
        "error": "the user is refused as well, 4xx, silence, or a connection dropped without a word",
        "skip": "no address of this server is known",
    },
    refs=(
        "RFC 2920 section 3.1",
        "postconf(5) smtpd_forbid_unauth_pipelining",
        "postconf(5) reject_unauth_pipelining",
    ),
    ports=_FROM_STRANGERS,
)
def pipelining(case: PortCase) -> Iterator[Finding]:
    known = known_address(case)
    if not known:
        yield case.skip("no address of this server is known")
        return
    client = case.smtp()
    with client.stream:
        taken = _begun(client, outside_sender(case), known)
        if taken.kind != 2:
            yield case.error(f"{_NOT_TAKEN}: {taken}")
            return
        client.stream.send(b"DATA\r\nQUIT\r\n", "DATA QUIT")
        reply = client.reply()
    if reply.code == 354:
        yield case.finding(
            Verdict.FAIL if case.host.managed else Verdict.WARN,
            f"what was sent ahead of the answer is taken: {reply}",
            "postconf -e 'smtpd_forbid_unauth_pipelining = yes', or on a Postfix without it "
            "'smtpd_data_restrictions = reject_unauth_pipelining'",
        )
    elif reply.kind == 4:
        yield case.error(f"refused only for now: {reply}")
    else:
        yield case.passed(f"{reply}")


@probe(
    "smuggle.in",
    Scope.PORT,
    "A message cannot hide a second one (SMTP smuggling)",
    expected="only CR LF . CR LF ends a message; whatever else looks like an end is refused, or stays inside",
    steps=(
        "From outside, with the null sender, a plain message to an account of this server: must be taken, and arrive.",
        "The same seven times more, each with another false end in the middle and behind it the commands and the "
        "text of a second message. A server that takes the false end for one obeys those commands and answers them.",
        "When all that were taken are in the mailbox (INBOX, Junk, or another folder), send another plain one and wait "
        "for it: what was hidden has then had its time to arrive, too.",
        "See what arrived; remove it.",
    ),
    verdicts={
        "pass": "refused, or one message for each that was taken",
        "fail": "the second message was taken, or is in the mailbox",
        "error": "the plain message is refused, or not all that were taken arrive, 4xx, silence",
        "skip": "no account with a known password whose mail stays on this host",
    },
    refs=("CVE-2023-51764", "RFC 5321 section 4.1.1.4", "postconf(5) smtpd_forbid_bare_newline"),
    ports=_FROM_STRANGERS,
    long=True,
)
def smuggling(case: PortCase) -> Iterator[Finding]:
    mine = [item for item in case.run.inventory.domains if item.hosts[:1] == (case.host.name,)]
    account = next(filter(None, (usable(item, reads=True) for item in mine)), None)
    if account is None or account.password is None:
        reasons = [lacking(item, reads=True) for item in mine]
        yield case.skip("; ".join(reasons) or f"no domain has {case.host.name} as its first host")
        return
    cover, hidden = secrets.token_hex(12), secrets.token_hex(12)
    control = _send(case, account, _message(case, account, cover))
    if control.code != 250:
        yield case.error(f"{_NOT_TAKEN}: {control}")
        return
    taken = 1
    obeyed: list[str] = []
    words: list[str] = []
    for name, replies in _smuggle_all(case, account, cover, hidden):
        taken += replies[0].code == 250
        words.append(f"{name}: {replies[0]}")
        if any(reply.code == 250 for reply in replies[4:]):
            obeyed.append(name)
    case.deadline = case.new_deadline(case.run.timing.delivery + case.seconds)
    covers, smuggled = _look_and_remove(case, account, cover, hidden, taken)
    if covers == taken and not (obeyed or smuggled):
        again = _send(case, account, _message(case, account, cover))
        if again.code != 250:
            yield case.error(f"{_NOT_TAKEN} any more: {again}")
            return
        more, smuggled = _look_and_remove(case, account, cover, hidden, 1)
        covers, taken = covers + more, taken + 1
    if obeyed or smuggled:
        yield case.failed(
            f"a second message is taken after {', '.join(obeyed) or 'a false end'}, and {smuggled} arrived",
            "postconf -e 'smtpd_forbid_bare_newline = normalize', or update Postfix to a version that knows it",
        )
    elif covers < taken:
        yield case.error(
            f"cannot tell, because of {taken} messages that were taken {covers} arrived in time",
            f"see the mail log of {case.host.name}",
        )
    else:
        yield case.passed(f"{taken - 2} of {len(_ENDINGS)} taken as one message, none as two; {words[0]}")


def _begun(client: Smtp, sender: str, recipient: str) -> Reply:
    reply = client.mail(sender)
    return client.rcpt(recipient) if reply.code == 250 else reply


def _message(case: PortCase, account: Account, token: str) -> bytes:
    return message.build(token, case.run.nonce, _AUTHOR, account.address, eight_bit=False)


def _send(case: PortCase, account: Account, text: bytes) -> Reply:
    client = case.smtp()
    with client.stream:
        reply = _begun(client, _SENDER, account.address)
        if reply.kind == 2:
            reply = client.data(text)
        if reply.code == 250:
            client.quit()
    return reply


def _smuggle_all(case: PortCase, account: Account, cover: str, hidden: str) -> list[tuple[str, list[Reply]]]:
    """For each false end what `_smuggle` gives, some at once: a filter that asks DNS takes a second a message."""
    tries = [dataclasses.replace(case) for _ in _ENDINGS]  # each with a transcript of its own
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="smuggle") as pool:
        futures = [
            pool.submit(_smuggle, each, account, cover, hidden, ending)
            for each, ending in zip(tries, _ENDINGS.values(), strict=True)
        ]
    for each in tries:
        case.transcript.lines += each.transcript.lines
        case.late = case.late or each.timed_out
    return [(name, future.result()) for name, future in zip(_ENDINGS, futures, strict=True)]


def _smuggle(case: PortCase, account: Account, cover: str, hidden: str, ending: bytes) -> list[Reply]:
    """All replies after the first message's text: one, or more from a server that obeys what stands in it."""
    client = case.smtp()
    replies: list[Reply] = []
    with client.stream:
        begun = _begun(client, _SENDER, account.address)
        if begun.kind == 2:
            begun = client.command("DATA")
        if begun.code != 354:
            return [begun]
        first, second = (message.header_of(_message(case, account, token)) for token in (cover, hidden))
        commands = f"MAIL FROM:<{_SENDER}>\r\nRCPT TO:<{account.address}>\r\nDATA\r\n".encode()
        text = first + b"A line" + ending + commands + second + b"smuggled\r\n.\r\nQUIT\r\n"
        client.stream.send(text, "(a false end)")
        try:
            while not replies or replies[-1].code != 221:
                replies.append(client.reply())
        except Trouble:
            if not replies:
                raise
    return replies


def _look_and_remove(
    case: PortCase, account: Account, cover: str, hidden: str, expected: int
) -> tuple[int, int]:
    """How many messages of each kind came; waits until all that were taken are there. Removes them."""
    assert account.password is not None
    case.transcript.hide(account.password.reveal())
    counts = {cover: 0, hidden: 0}
    with case.run.user_slot(case.host.name, account.address):
        client = case.open(case.host, case.address, port_numbered(993), secret=True)
        assert isinstance(client, Imap)
        with client.stream:
            let_in, words = login_as(client, account.login_name, account.password.reveal())
            if not let_in:
                raise Trouble(f"the mailbox cannot be looked into: {words}")
            waiting = case.new_deadline(case.run.timing.delivery)
            for turn in itertools.count(1):
                for folder in folders_at(client, turn):
                    _count_and_remove(client, folder, counts)
                if counts[cover] >= expected:
                    break
                try:
                    waiting.pause(case.run.timing.poll)
                except Silence:
                    break
            for folder in client.folders():
                _count_and_remove(client, folder, counts)  # a hidden one may be elsewhere
            client.quit()
    return counts[cover], counts[hidden]


def _count_and_remove(client: Imap, folder: str, counts: dict[str, int]) -> None:
    client.select(folder)
    for token in counts:
        found = client.search(f"HEADER {message.MARK} {token}")
        counts[token] += len(found)
        if found:
            uids = ",".join(map(str, found))
            client.command(f"UID STORE {uids} +FLAGS.SILENT (\\Deleted)")
            client.command(f"UID EXPUNGE {uids}" if "UIDPLUS" in client.capabilities() else "EXPUNGE")
