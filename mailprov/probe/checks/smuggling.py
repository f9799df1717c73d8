"""Probes of what a stranger gets away with on port 25: commands sent too early, a second message hidden in the first
(SMTP smuggling).

Public: the probes `smuggle.pipelining` and `smuggle.in`. Mail is sent only to an account of the inventory,
and removed again. Errors of `clients` pass through; the runner makes them errors.
"""

from __future__ import annotations

import dataclasses
import itertools
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from mailprov.i18n import N_, _
from mailprov.model.accounts import Account
from mailprov.model.findings import Finding, Verdict
from mailprov.probe.accounts import lacking, usable
from mailprov.probe.checks.relay import known_address, outside_sender
from mailprov.probe.clients.errors import ProbeError, ReadTimeout
from mailprov.probe.clients.folders import folders_at
from mailprov.probe.clients.imap import Imap
from mailprov.probe.clients.smtp import Reply, Smtp
from mailprov.probe.context import PortContext
from mailprov.probe.mailauth import message
from mailprov.probe.registry import Scope, ports_where, probe
from mailprov.probe.targets import imap_port
from mailprov.probe.vantage import Vantage

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
_AT_ONCE = 4  # connections, to servers of others
Seen = dict[str, set[tuple[str, int]]]  # token → folder and UID of each message that has it
_NOT_TAKEN = N_("cannot tell, because mail for a user of this server is not accepted: {reply}")


@probe(
    "smuggle.pipelining",
    Scope.PORT,
    N_("A client that sends before the server answers, as spam programs do, is rejected"),
    expected=N_("554 5.5.0 for what follows DATA before its 354"),
    steps=(
        N_("MAIL FROM, and RCPT TO a user of this server: must be accepted."),
        N_("DATA and QUIT in one go, before the 354; close without a message."),
    ),
    verdicts={
        "pass": N_("refused permanently"),
        "warn": N_("354 from a server with `managed: false`: Postfix before 3.9 accepts it by default"),
        "fail": N_("354: the server accepts what was sent before its answer"),
        "error": N_("the user is refused as well, 4xx, silence, or a connection dropped without a word"),
        "skip": N_("no address of this server is known"),
    },
    refs=(
        "RFC 2920 section 3.1",
        "postconf(5) smtpd_forbid_unauth_pipelining",
        "postconf(5) reject_unauth_pipelining",
    ),
    ports=_FROM_STRANGERS,
    vantage=Vantage.OUTSIDE,
)
def pipelining(context: PortContext) -> Iterator[Finding]:
    known = known_address(context)
    if not known:
        yield context.skip(_("no address of this server is known"))
        return
    client = context.smtp()
    with client.connection:
        taken = _begun(client, outside_sender(context), known)
        if taken.kind != 2:
            yield context.error(_(_NOT_TAKEN).format(reply=taken))
            return
        client.connection.send(b"DATA\r\nQUIT\r\n", "DATA QUIT")
        reply = client.reply()
    if reply.code == 354:
        yield context.finding(
            Verdict.FAIL if context.host.managed else Verdict.WARN,
            _("what was sent before the answer is accepted: {reply}").format(reply=reply),
            _("{command}, or on a Postfix without it {other_command}").format(
                command="postconf -e 'smtpd_forbid_unauth_pipelining = yes'",
                other_command="'smtpd_data_restrictions = reject_unauth_pipelining'",
            ),
        )
    elif reply.kind == 4:
        yield context.error(_("refused temporarily: {reply}").format(reply=reply))
    else:
        yield context.passed(f"{reply}")


@probe(
    "smuggle.in",
    Scope.PORT,
    N_("A message cannot hide a second one (SMTP smuggling)"),
    expected=N_(
        "only CR LF . CR LF ends a message; whatever else looks like an end is refused, or stays part of it"
    ),
    steps=(
        N_(
            "From outside, with the null sender, a plain message to an account of this server: must be accepted, and "
            "arrive."
        ),
        N_(
            "At the same time the same seven times more, each with another false end of the message in the middle, "
            "followed by the commands and the text of a second message. A server that takes the false end for the end "
            "obeys those commands and answers them."
        ),
        N_(
            "Ask the host over SSH, until no message for the account is in its queue any more: what was hidden has "
            "then arrived, too, or never will. Where it cannot be asked: when all that were accepted are in the "
            "mailbox, send another plain one and wait for it. That proves less, and the result says so."
        ),
        N_("See what is in the mailbox (INBOX, Junk, and all other folders); remove it."),
    ),
    verdicts={
        "pass": N_("refused, or one message for each that was accepted"),
        "fail": N_("the second message was accepted, or is in the mailbox"),
        "error": N_("the plain message is refused, or not all that were accepted arrive, 4xx, silence"),
        "skip": N_("no account with a known password whose mail stays on this host, or no IMAP there"),
    },
    refs=("CVE-2023-51764", "RFC 5321 section 4.1.1.4", "postconf(5) smtpd_forbid_bare_newline"),
    ports=_FROM_STRANGERS,
    long=True,
    vantage=Vantage.OUTSIDE,
)
def smuggling(context: PortContext) -> Iterator[Finding]:
    mine = [item for item in context.run.inventory.domains if item.hosts[:1] == (context.host.name,)]
    account = next(filter(None, (usable(item, reads=True) for item in mine)), None)
    if account is None or account.password is None:
        reasons = [lacking(item, reads=True) for item in mine]
        yield context.skip(
            "; ".join(reasons) or _("no domain has {host} as its first host").format(host=context.host.name)
        )
        return
    if imap_port(context.host) is None:
        form = _("{host} offers no IMAP, by which mail that arrives is looked for")
        yield context.skip(form.format(host=context.host.name))
        return
    if not context.host.managed:
        _mailbox(context, account).quit()  # else the messages would stay where nobody can remove them
    context.run.filling.wait([account.address], context.run.stop)
    cover, hidden = secrets.token_hex(12), secrets.token_hex(12)
    control, tries = _send_all(context, account, cover, hidden)
    if control.code != 250:
        yield context.error(_(_NOT_TAKEN).format(reply=control))
        return
    plain = taken = 1
    obeyed: list[str] = []
    words: list[str] = []
    for name, replies in tries:
        taken += replies[0].code == 250
        words.append(f"{name}: {replies[0]}")
        if any(reply.code == 250 for reply in replies[4:]):
            obeyed.append(name)
    context.deadline = context.new_deadline(context.run.timing.delivery + context.seconds)
    seen: Seen = {cover: set(), hidden: set()}
    queue = context.run.queues.gone(context.host, [account.address])
    left = _look_and_remove(context, account, seen, cover, 0 if queue.sure or queue.waiting else taken)
    if len(seen[cover]) == taken and not (obeyed or seen[hidden] or queue.sure):
        again = _send(context, account, cover)
        if again.code != 250:
            yield context.error(
                _(
                    "cannot tell, because mail for a user of this server is no longer accepted: {reply}"
                ).format(reply=again)
            )
            return
        taken, plain = taken + 1, 2
        left = _look_and_remove(context, account, seen, cover, taken)
    covers, smuggled = len(seen[cover]), len(seen[hidden])
    if covers >= taken and not left:
        context.run.leftovers.gone(account, _search(cover))
    if obeyed or smuggled:
        yield context.failed(
            (
                _("a second message is accepted after {ends}; {count} arrived")
                if obeyed
                else _("a second message is accepted after a false end; {count} arrived")
            ).format(ends=", ".join(obeyed), count=smuggled),
            _("{command}, or update Postfix to a version that knows it").format(
                command="postconf -e 'smtpd_forbid_bare_newline = normalize'"
            ),
        )
    elif covers < taken or queue.waiting:
        form = _("cannot tell, because only {count} of {all} accepted messages arrived in time")
        if queue.sure:
            form = _(
                "cannot tell: only {count} of {all} accepted messages arrived, and none is in the queue any more"
            )
        elif queue.waiting:
            form = _("cannot tell: {count} of {all} accepted messages arrived; {reason}")
        yield context.error(
            form.format(count=covers, all=taken, reason=queue.why),
            _("see the mail log of {host}").format(host=context.host.name),
        )
    else:
        said = [
            _("{count} of {all} accepted as one message, none as two; {reply}").format(
                count=taken - plain, all=len(_ENDINGS), reply=words[0]
            )
        ]
        if not queue.sure:
            said.append(
                _("one that is slow to arrive would not have been seen, as {reason}").format(reason=queue.why)
            )
        if left:
            said.append(_("messages of this probe could not be removed: {reason}").format(reason=left))
        yield context.passed("; ".join(said))


def _begun(client: Smtp, sender: str, recipient: str) -> Reply:
    reply = client.mail(sender)
    return client.rcpt(recipient) if reply.code == 250 else reply


def _message(context: PortContext, account: Account, token: str) -> bytes:
    return message.build(token, context.run.nonce, _AUTHOR, account.address, eight_bit=False)


def _search(token: str) -> str:
    return f"HEADER {message.MARK} {token}"


def _send(context: PortContext, account: Account, token: str) -> Reply:
    client = context.smtp()
    with client.connection:
        reply = _begun(client, _SENDER, account.address)
        if reply.kind == 2:
            context.run.leftovers.note(context.host, account, _search(token))
            reply = client.data(_message(context, account, token))
            if reply.code != 250:
                context.run.leftovers.refused(account, _search(token))
        if reply.code == 250:
            client.quit()
    return reply


def _send_all(
    context: PortContext, account: Account, cover: str, hidden: str
) -> tuple[Reply, list[tuple[str, list[Reply]]]]:
    """The answer to the plain message, and for each false end what `_smuggle` gives, at once: a filter that asks DNS
    takes a second a message.
    """
    # Each with a transcript of its own, and a third of our time: Courier forgets a QUIT sent with the end of a message.
    false_ends = [dataclasses.replace(context, seconds=context.seconds / 3) for __ in _ENDINGS]
    contexts = [dataclasses.replace(context), *false_ends]
    at_once = len(contexts) if context.host.managed else _AT_ONCE
    with ThreadPoolExecutor(at_once, thread_name_prefix="smuggle") as pool:
        plain = pool.submit(_send, contexts[0], account, cover)
        futures = [
            pool.submit(_smuggle, each, account, cover, hidden, ending)
            for each, ending in zip(contexts[1:], _ENDINGS.values(), strict=True)
        ]
    for each in contexts:
        context.transcript.lines += each.transcript.lines
        context.late = context.late or each.timed_out
    control = plain.result()
    if control.code != 250:
        return control, []
    return control, [(name, future.result()) for name, future in zip(_ENDINGS, futures, strict=True)]


def _smuggle(context: PortContext, account: Account, cover: str, hidden: str, ending: bytes) -> list[Reply]:
    """All replies after the first message's text: one, or more from a server that obeys what stands in it."""
    client, replies = context.smtp(), list[Reply]()
    with client.connection:
        begun = _begun(client, _SENDER, account.address)
        if begun.kind == 2:
            begun = client.command("DATA")
        if begun.code != 354:
            return [begun]
        first, second = (message.header_of(_message(context, account, token)) for token in (cover, hidden))
        commands = f"MAIL FROM:<{_SENDER}>\r\nRCPT TO:<{account.address}>\r\nDATA\r\n".encode()
        text = first + b"A line" + ending + commands + second + b"smuggled\r\n.\r\nQUIT\r\n"
        context.run.leftovers.note(context.host, account, _search(cover))
        client.connection.send(text, _("(a false end)"))
        try:
            while not replies or replies[-1].code != 221:
                replies.append(client.reply())
        except ProbeError as error:
            if not replies:
                raise type(error)(_("after {end}: {error}").format(end=repr(ending), error=error)) from None
    if replies[0].code != 250:
        context.run.leftovers.refused(account, _search(cover))
    return replies


def _mailbox(context: PortContext, account: Account) -> Imap:
    """Logged in. Raises ProbeError when that is refused."""
    assert account.password is not None
    context.transcript.hide(account.password.reveal())
    port = imap_port(context.host)
    assert port is not None
    client = context.open(context.host, context.address, port, secret=True)
    assert isinstance(client, Imap)
    try:
        login = client.login(account.login_name, account.password.reveal())
        if not login.accepted:
            raise ProbeError(_("the login to the mailbox is refused: {reply}").format(reply=login.words))
    except BaseException:
        client.connection.close()
        raise
    return client


def _look_and_remove(context: PortContext, account: Account, seen: Seen, cover: str, expected: int) -> str:
    """Fills `seen`; waits until all that were taken are there. Removes them, and says why where one stays."""
    left = ""
    with context.run.user_slot(context.host.name, account.address):
        client = _mailbox(context, account)
        with client.connection:
            waiting = context.new_deadline(context.run.timing.delivery)
            for turn in itertools.count(1):
                for folder in folders_at(client, turn):
                    left = _see_and_remove(client, folder, seen) or left
                if len(seen[cover]) >= expected:
                    break
                try:
                    waiting.pause(context.run.timing.poll)
                except ReadTimeout:
                    break
            for folder in client.folders():
                left = _see_and_remove(client, folder, seen) or left  # a hidden one may be elsewhere
            client.quit()
    return left


def _see_and_remove(client: Imap, folder: str, seen: Seen) -> str:
    client.select(folder)
    left = ""
    for token, places in seen.items():
        found = client.search(_search(token))
        places.update((folder, uid) for uid in found)
        left = (client.remove(found) if found else "") or left
    return left
