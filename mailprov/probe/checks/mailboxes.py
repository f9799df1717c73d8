"""Probes of a mailbox that several programs use, in an account for tests: what one does, the others see, and nothing
goes that nobody removed.

Public: the probes `imap.shared`, `imap.keep` and `pop.delete`, on a MailboxContext. Errors of `clients` pass through;
the runner makes them errors. What they put into the mailbox is taken out again (also `leftovers`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding
from mailprov.probe.clients.errors import ProbeError, ReadTimeout
from mailprov.probe.clients.imap import Imap
from mailprov.probe.clients.pop3 import Pop3
from mailprov.probe.mailboxes import BOX, MailboxContext
from mailprov.probe.registry import Scope, probe

_SMALL = 1500  # octets
_POP = (995, 110)


@probe(
    "imap.shared",
    Scope.MAILBOX,
    N_("Two mail programs see the same mailbox"),
    expected=N_("a new message, a flag and a removal by one session are seen by the other"),
    steps=(
        N_("Open INBOX of the account for tests in two sessions."),
        N_("In the first: APPEND a message, set \\Flagged, then remove it by UID EXPUNGE."),
        N_(
            "In the second, which stays open: NOOP after each, and see the message, its flag, and that it has gone."
        ),
    ),
    verdicts={
        "pass": N_("all three are seen"),
        "fail": N_("one of them is not seen within 10 seconds"),
        "error": N_("no login, a refused command, silence"),
        "skip": N_("no account with `probe: true`"),
    },
    refs=("RFC 9051 section 5.2", "RFC 2180"),
    ports=(993,),
)
def shared(context: MailboxContext) -> Iterator[Finding]:
    with _emptied(context) as first:
        second = context.imap()
        with second.connection:
            second.select(BOX)
            put = context.put(first, _SMALL, 1)
            if put.refused is not None:
                yield context.error(_("APPEND is refused: {reply}").format(reply=put.refused))
                return
            uid = (context.marked(first) or [0])[-1]
            seen = {
                _("a new message"): lambda: uid in _fresh(second, context),
                _("its flag"): lambda: "\\flagged" in _flags(second, uid),
                _("its removal"): lambda: uid not in _fresh(second, context),
            }
            acts: tuple[Callable[[], object], ...] = (
                lambda: None,
                lambda: first.command(f"UID STORE {uid} +FLAGS.SILENT (\\Flagged)"),
                lambda: first.remove([uid]),
            )
            for act, (what, look) in zip(acts, seen.items(), strict=True):
                act()
                if not _until(context, look):
                    yield context.failed(
                        _("the second session does not see {what}").format(what=what),
                        _(
                            "see that all of Dovecot reads one mailbox and its index (mail_location, mail_path, NFS)"
                        ),
                    )
                    return
            second.quit()
        yield context.passed(_("a new message, its flag and its removal"))


def _fresh(client: Imap, context: MailboxContext) -> list[int]:
    client.command("NOOP")
    return client.search(f"HEADER X-Mailprov-Probe {context.batch}")


def _flags(client: Imap, uid: int) -> frozenset[str]:
    client.command("NOOP")
    return client.flags(uid)


def _until(context: MailboxContext, seen: Callable[[], bool]) -> bool:
    clock = context.new_deadline(context.run.timing.visible)
    while not seen():
        try:
            clock.pause(context.run.timing.poll)
        except ReadTimeout:
            return False
    return True


@probe(
    "imap.keep",
    Scope.MAILBOX,
    N_("Looking at a message leaves it as it is"),
    expected=N_("after two fetches by two sessions: there, unread, under the same UID and UIDVALIDITY"),
    steps=(
        N_("APPEND a message to INBOX of the account for tests, without flags."),
        N_(
            "FETCH BODY.PEEK[] in this session and in a new one; compare UID, UIDVALIDITY and flags. Remove it."
        ),
    ),
    verdicts={
        "pass": N_("all of that is the same, and \\Seen is not set"),
        "fail": N_("it has gone, is marked as read, or has another UID"),
        "error": N_("no login, a refused command, silence"),
        "skip": N_("no account with `probe: true`"),
    },
    refs=("RFC 9051 section 6.4.5", "RFC 9051 section 2.3.1.1"),
    ports=(993,),
)
def keep(context: MailboxContext) -> Iterator[Finding]:
    with _emptied(context) as client:
        put = context.put(client, _SMALL, 2)
        if put.refused is not None:
            yield context.error(_("APPEND is refused: {reply}").format(reply=put.refused))
            return
        valid, __ = client.validity(BOX)
        found = context.marked(client)
        looks = [(valid, found, _peeked(client, found))]
        again = context.imap()
        with again.connection:
            valid_again, __ = again.validity(BOX)
            uids = context.marked(again)
            looks.append((valid_again, uids, _peeked(again, uids)))
            again.quit()
        advice = _("see the log of dovecot on {host}").format(host=context.host.name)
        if not looks[0][1] or not looks[1][1]:
            yield context.failed(_("it has gone after it was fetched"), advice)
        elif any("\\seen" in look[2] for look in looks):
            yield context.failed(_("it is marked as read, though it was fetched with PEEK"), advice)
        elif looks[0][0] != looks[1][0]:
            yield context.failed(
                _("UIDVALIDITY was {one} and is {other}: programs fetch all mail anew").format(
                    one=looks[0][0] or "-", other=looks[1][0] or "-"
                ),
                advice,
            )
        elif looks[0][1] != looks[1][1]:
            yield context.failed(
                _("its UID was {one} and is {other}").format(one=looks[0][1][0], other=looks[1][1][0]), advice
            )
        else:
            yield context.passed(_("UID {uid}, unread, in both sessions").format(uid=found[0]))


def _peeked(client: Imap, uids: list[int]) -> frozenset[str]:
    if not uids:
        return frozenset()
    client.fetch(uids[0])
    return client.flags(uids[0])


@probe(
    "pop.delete",
    Scope.MAILBOX,
    N_("POP deletes what it is told to, and only when the session ends in order"),
    expected=N_(
        "after DELE and a dropped connection nothing has gone; after DELE and QUIT just that message"
    ),
    steps=(
        N_("APPEND two messages to INBOX of the account for tests."),
        N_(
            "POP: UIDL, RETR and DELE one of them, and drop the connection without QUIT: both must still be there."
        ),
        N_(
            "POP again: UIDL must be the same for both; DELE the same one, QUIT: the other must be there alone."
        ),
        N_("See by IMAP what is there each time; remove what is left."),
    ),
    verdicts={
        "pass": N_(
            "both stay without QUIT, and just one goes with it; unique ids are the same in both sessions"
        ),
        "fail": N_(
            "a message has gone without QUIT, stays with it, another one went, or unique ids have changed"
        ),
        "error": N_("no login, a refused command, silence"),
        "skip": N_("no account with `probe: true`, or no POP on the host"),
    },
    refs=("RFC 1939 section 6", "RFC 1939 section 7"),
    ports=_POP,
)
def delete(context: MailboxContext) -> Iterator[Finding]:
    context.port = context.pop_port
    if not context.port:
        yield context.skip(_("{host} offers no POP").format(host=context.host.name))
        return
    advice = _("see the pop3 service and its plugins in the log of dovecot on {host}").format(
        host=context.host.name
    )
    with _emptied(context) as client:
        for part in (3, 4):
            if (put := context.put(client, _SMALL, part)).refused is not None:
                yield context.error(_("APPEND is refused: {reply}").format(reply=put.refused))
                return
        first = _marked_for_deletion(context, ends=False)
        if len(context.marked(client)) != 2:
            yield context.failed(_("a message has gone, though the session ended without QUIT"), advice)
            return
        second = _marked_for_deletion(context, ends=True)
        if first != second:
            yield context.failed(
                _("unique ids have changed between two sessions: {one}, then {other}").format(
                    one=", ".join(first), other=", ".join(second)
                ),
                advice,
            )
            return
        left = [context.token(part) for part in (3, 4) if client.search_in(BOX, _mark(context, part))]
        if left == [context.token(4)]:
            yield context.passed(_("both stayed without QUIT; with it, one went"))
        elif len(left) == 2:
            yield context.failed(_("a message that was deleted is still there after QUIT"), advice)
        else:
            yield context.failed(_("another message than the deleted one has gone"), advice)


def _mark(context: MailboxContext, part: int) -> str:
    return f"HEADER X-Mailprov-Probe {context.token(part)}"


def _marked_for_deletion(context: MailboxContext, *, ends: bool) -> list[str]:
    """Unique ids of the two messages; the first is marked for deletion. Raises ProbeError where they are not there."""
    client = context.pop()
    assert isinstance(client, Pop3)
    with client.connection:
        ids: dict[int, tuple[int, str]] = {}
        for number, name in reversed(client.identifiers()):
            header = client.headers(number)
            for part in (3, 4):
                if context.token(part).encode() in header:
                    ids[part] = number, name
            if len(ids) == 2:
                break
        if len(ids) < 2:
            raise ProbeError(_("POP shows {count} of two messages that IMAP has").format(count=len(ids)))
        client.retrieve(ids[3][0])
        reply = client.delete(ids[3][0])
        if not reply.ok:
            raise ProbeError(_("DELE was refused: {reply}").format(reply=reply))
        if ends and not (reply := client.end()).ok:
            raise ProbeError(_("QUIT was refused: {reply}").format(reply=reply))
    return [ids[3][1], ids[4][1]]


@contextlib.contextmanager
def _emptied(context: MailboxContext) -> Iterator[Imap]:
    """A session, at whose end nothing of this run is in the mailbox."""
    client = context.imap()
    with client.connection:
        try:
            yield client
        finally:
            with contextlib.suppress(ProbeError):
                context.empty(client)
        client.quit()
