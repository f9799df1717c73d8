"""Probes of what becomes of mail that a server should treat in a way of its own: a stranger's, spam, mail in the
recipient's own name, mail in another user's name, and what is handed in unfinished.

Public: the probes `stranger.mail`, `stranger.results`, `stranger.spam`, `stranger.own-domain`, `spoof.header` and
`delivery.header`, which share the messages of one domain (probe/letters.py). Errors of `clients` pass through; the
runner makes them errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Filter
from mailprov.probe.clients.folders import is_junk
from mailprov.probe.deliveries import SUBMISSION
from mailprov.probe.letters import LetterContext, Outcome
from mailprov.probe.mailauth import letters, message
from mailprov.probe.registry import Scope, probe
from mailprov.probe.vantage import Vantage

_UNLESS = N_("no domain has an account with a known password whose mail can be read")
_LOOK = N_(
    "Ask the host over SSH until its queue has let go of it; look in all folders over IMAP; remove what was sent."
)


def _refused(outcome: Outcome) -> str:
    return _("{command} gets {reply}").format(command=outcome.at, reply=outcome.reply)


def _kind(outcome: Outcome) -> int:
    return outcome.reply.kind if outcome.reply else 0


def _lost(context: LetterContext) -> Finding:
    return context.failed(
        _("accepted, and in no folder of {address}").format(address=context.recipient.address),
        _("see the mail log of {host}").format(host=context.host.name),
    )


def _unchecked(context: LetterContext) -> Finding | None:
    """Where the inventory wants no filter, none is missed."""
    host = context.host
    if host.managed and host.filter is Filter.NONE:
        return context.skip(_("`filter: none` on {host}: nothing is checked there").format(host=host.name))
    return None


def _control(context: LetterContext, outcome: Outcome) -> Finding | None:
    """Where the plain message was refused, or put into Junk as well, what became of another proves nothing."""
    plain = context.outcome(letters.PLAIN)
    put_aside = bool(plain.folders) and all(map(is_junk, plain.folders))
    if plain.taken and (not outcome.taken or (plain.folders and not put_aside)):
        return None
    seen = _refused(plain) if not plain.taken else ", ".join(plain.folders) or _("it did not arrive")
    return context.error(
        _("cannot tell, because a plain message from a stranger fares no better: {reason}").format(
            reason=seen
        ),
        _("see stranger.mail"),
    )


@probe(
    "stranger.mail",
    Scope.LETTERS,
    N_("Mail from a stranger arrives"),
    expected=N_("accepted on port 25 without a login, and in the mailbox, once"),
    steps=(
        N_("From outside, with the null sender and an author nobody knows: send a plain message on port 25."),
        _LOOK,
    ),
    verdicts={
        "pass": N_("in INBOX; or in Junk, as a filter may think little of this machine"),
        "warn": N_("in another folder, or it could not be removed"),
        "fail": N_("accepted and lost, more than once, or refused as if there were no such user"),
        "error": N_(
            "refused for now (greylisting: try again later), or for the sake of who we are (5.7.x: a blocklist, a "
            "filter); silence"
        ),
    },
    refs=("RFC 5321 section 3.3",),
    ports=(25,),
    unless=_UNLESS,
    seconds=lambda timing: timing.delivery + timing.probe,
    vantage=Vantage.OUTSIDE,
)
def stranger_mail(context: LetterContext) -> Iterator[Finding]:
    outcome = context.outcome(letters.PLAIN)
    reply = outcome.reply
    log = _("see the mail log of {host}").format(host=context.host.name)
    if not outcome.taken:
        ours = reply is not None and (
            reply.kind == 4 or reply.enhanced.startswith("5.7.") or reply.code == 554
        )
        if ours:
            yield context.error(_refused(outcome), _("{log}, then run it again").format(log=log))
        else:
            yield context.failed(_refused(outcome), log)
    elif not outcome.folders:
        yield _lost(context)
    elif len(outcome.folders) > 1:
        yield context.failed(_("arrived {count} times").format(count=len(outcome.folders)), log)
    elif outcome.folders != ["INBOX"] and not is_junk(outcome.folders[0]):
        yield context.warn(
            _("arrived in {folder}, not in INBOX").format(folder=outcome.folders[0]),
            _("see the recipient's filters (Sieve, spam)"),
        )
    elif context.left:
        yield context.warn(
            _("in {folder}, and stays there: {reason}").format(
                folder=outcome.folders[0], reason=context.left
            ),
            _("remove the messages with the header {header} by hand").format(header=message.MARK),
        )
    else:
        yield context.passed(_("in {folder}: {reply}").format(folder=outcome.folders[0], reply=reply))


@probe(
    "stranger.results",
    Scope.LETTERS,
    N_("No stranger can forge Authentication-Results in the name of the host"),
    expected=N_("the forged field does not arrive"),
    steps=(
        N_("The message of stranger.mail has an Authentication-Results field in the name of the host."),
        N_("Look whether it is still there on arrival."),
    ),
    verdicts={
        "pass": N_("it was removed"),
        "warn": N_(
            "it arrived on a server with `managed: false` and no filter: nothing there writes such results, so nobody "
            "should believe any"
        ),
        "fail": N_("it arrived: mail programs and filters would believe it"),
        "error": N_("no message arrived (see stranger.mail)"),
    },
    refs=("RFC 8601 section 5",),
    ports=(25,),
    unless=_UNLESS,
    seconds=lambda timing: timing.delivery + timing.probe,
    vantage=Vantage.OUTSIDE,
)
def stranger_results(context: LetterContext) -> Iterator[Finding]:
    outcome = context.outcome(letters.PLAIN)
    if not outcome.folders:
        yield context.error(_("no message to look at (see stranger.mail)"))
    elif any(message.FORGED in value for value in letters.results(outcome.text, context.host.fqdn)):
        unread = not context.host.managed and context.host.filter is Filter.NONE
        yield context.finding(
            Verdict.WARN if unread else Verdict.FAIL,
            _("the forged field in the name of {host} arrived").format(host=context.host.fqdn),
            _(
                "{command} with a line there that removes it (IGNORE), or let the filter remove such fields"
            ).format(command="postconf -e 'header_checks = regexp:/etc/postfix/header_checks'"),
        )
    else:
        yield context.passed(_("it was removed"))


@probe(
    "stranger.spam",
    Scope.LETTERS,
    N_("Spam is kept out of INBOX"),
    expected=N_("the test message for spam filters (GTUBE) is refused, or put into Junk"),
    steps=(
        N_(
            "Send it on port 25 as stranger.mail does. As a control, that one must be accepted where this is refused, "
            "and get into INBOX where this gets into Junk."
        ),
        _LOOK,
    ),
    verdicts={
        "pass": N_("refused with 5xx, or in Junk"),
        "warn": N_(
            "in INBOX of a server with `managed: false`: it has no filter, or one that does not know GTUBE"
        ),
        "fail": N_("in INBOX, or accepted and lost"),
        "error": N_("a plain message fares no better, or 4xx, silence"),
        "skip": N_("`filter: none` on the host"),
    },
    refs=("https://spamassassin.apache.org/gtube/",),
    ports=(25,),
    unless=_UNLESS,
    seconds=lambda timing: timing.delivery + timing.probe,
    vantage=Vantage.OUTSIDE,
)
def stranger_spam(context: LetterContext) -> Iterator[Finding]:
    host = context.host
    if (nobody := _unchecked(context)) is not None:
        yield nobody
        return
    outcome = context.outcome(letters.SPAM)
    if (early := _control(context, outcome)) is not None:
        yield early
    elif not outcome.taken:
        say = context.passed if _kind(outcome) == 5 else context.error
        yield say(_refused(outcome))
    elif not outcome.folders:
        yield _lost(context)
    elif all(map(is_junk, outcome.folders)):
        yield context.passed(_("accepted, and in {folder}").format(folder=", ".join(outcome.folders)))
    else:
        yield context.finding(
            Verdict.FAIL if host.managed else Verdict.WARN,
            _("GTUBE is in {folder}").format(folder=", ".join(outcome.folders)),
            _("on {host}: see that rspamd runs (systemctl status rspamd), else mailprov apply").format(
                host=host.name
            )
            if host.managed
            else _(
                "let a filter (Rspamd, SpamAssassin) look at what comes in, and refuse spam or put it into Junk"
            ),
        )


@probe(
    "stranger.own-domain",
    Scope.LETTERS,
    N_("No stranger gets mail in the domain's own name into INBOX unmarked"),
    expected=N_("refused, in Junk, or with dmarc=fail in Authentication-Results"),
    steps=(
        N_("On port 25 without a login: MAIL FROM and From are the recipient's own address."),
        N_(
            "The control is the message of stranger.mail, as for stranger.spam, where nothing marks this one."
        ),
        _LOOK,
    ),
    verdicts={
        "pass": N_(
            "refused with 5xx, in Junk, or in INBOX and marked, where the domain asks for no more (p=none)"
        ),
        "warn": N_("in INBOX and not marked, or marked though the domain asks to refuse it or put it aside"),
        "fail": N_(
            "the same on a host of mailprov with a filter, where the domain has p=reject; or accepted and lost"
        ),
        "error": N_("a plain message fares no better, or 4xx, silence"),
        "skip": N_("`filter: none` on the host"),
    },
    refs=("RFC 9989 section 5", "RFC 7208 section 8"),
    ports=(25,),
    unless=_UNLESS,
    seconds=lambda timing: timing.delivery + timing.probe,
    vantage=Vantage.OUTSIDE,
)
def stranger_own(context: LetterContext) -> Iterator[Finding]:
    if (nobody := _unchecked(context)) is not None:
        yield nobody
        return
    outcome = context.outcome(letters.OWN)
    early = _control(context, outcome)
    if not outcome.taken:
        say = context.passed if _kind(outcome) == 5 else context.error
        yield early or say(_refused(outcome))
        return
    if not outcome.folders:
        yield _lost(context)
        return
    folders = ", ".join(outcome.folders)
    aside = all(map(is_junk, outcome.folders))
    values = [re.sub(r"\([^)]*\)", "", each) for each in letters.results(outcome.text, context.host.fqdn)]
    marked = any(re.search(r"\bdmarc=fail\b", each) for each in values)
    policy = context.domain.dmarc.policy if context.domain.dmarc else "none"
    if marked and (aside or policy == "none"):
        yield context.passed(_("in {folder}, with dmarc=fail").format(folder=folders))
        return
    if aside:
        yield early or context.passed(_("accepted, and in {folder}").format(folder=folders))
        return
    filtered = context.host.managed and context.host.filter is Filter.RSPAMD
    form = _("in {folder}, with dmarc=fail, though the domain says p={policy}")
    yield context.finding(
        Verdict.FAIL if filtered and policy == "reject" else Verdict.WARN,
        form.format(folder=folders, policy=policy)
        if marked
        else _("in {folder}, and nothing marks it as forged").format(folder=folders),
        _("on {host}: see that rspamd runs and reaches its name server, and dns.dmarc of {domain}").format(
            host=context.host.name, domain=context.domain.name
        )
        if context.host.managed
        else _("publish a DMARC policy for {domain}, and let a filter (Rspamd, OpenDMARC) heed it").format(
            domain=context.domain.name
        ),
    )


@probe(
    "spoof.header",
    Scope.LETTERS,
    N_("A user who is logged in cannot write another user's address into From"),
    expected=N_("refused, while a message in the user's own name is accepted"),
    steps=(
        N_("Log in as A; MAIL FROM A, and From: B of the same domain, to an account of the domain."),
        N_("As a control, the message of delivery.header, in A's own name, must be accepted."),
        _LOOK,
    ),
    verdicts={
        "pass": N_("refused with 5xx"),
        "warn": N_("accepted: recipients see B as the author, and the domain's DKIM signature holds for it"),
        "error": N_("A's own message is refused as well, or 4xx, silence"),
    },
    refs=("RFC 6409 section 8.1",),
    ports=SUBMISSION,
    applies=lambda context: bool(context.partner.ports),
    unless=_UNLESS,
    seconds=lambda timing: timing.delivery + timing.probe,
)
def spoof_header(context: LetterContext) -> Iterator[Finding]:
    own, outcome = context.outcome(letters.BARE), context.outcome(letters.AS_OTHER)
    if not own.taken:
        yield context.error(
            _("cannot tell, because a message in the user's own name is refused as well: {reason}").format(
                reason=_refused(own)
            )
        )
    elif outcome.taken:
        yield context.warn(
            _("{address} may write {other} into From").format(
                address=context.sender.address, other=context.other
            ),
            _(
                "Postfix alone cannot compare From with the login: let a milter do it, or see that its users may be "
                "trusted with that"
            ),
        )
    elif _kind(outcome) == 5:
        yield context.passed(_refused(outcome))
    else:
        yield context.error(_refused(outcome))


@probe(
    "delivery.header",
    Scope.LETTERS,
    N_("What a user hands in is completed, and does not tell where the user is"),
    expected=N_("one Date and one Message-ID on arrival, and nowhere the address of the user's device"),
    steps=(
        N_("Log in, and submit a message without Date and Message-ID to an account of the domain."),
        _LOOK,
        N_("Count the two fields, and look for this machine's address in the header."),
    ),
    verdicts={
        "pass": N_("both were added, or the message was refused for want of them"),
        "warn": N_("one of them is missing: other servers take such mail for spam"),
        "fail": N_("accepted and lost; or it has this machine's address, which mailprov's Postfix takes out"),
        "error": N_("a temporary refusal, no login, silence, or a dropped connection"),
    },
    refs=("RFC 6409 section 8.2", "RFC 6409 section 8.3", "postconf(5) local_header_rewrite_clients"),
    ports=SUBMISSION,
    applies=lambda context: bool(context.partner.ports),
    unless=_UNLESS,
    seconds=lambda timing: timing.delivery + timing.probe,
)
def delivery_header(context: LetterContext) -> Iterator[Finding]:
    outcome = context.outcome(letters.BARE)
    if not outcome.taken:
        say = context.passed if _kind(outcome) == 5 else context.error
        yield say(_refused(outcome))
        return
    if not outcome.folders:
        yield _lost(context)
        return
    header = message.header_of(outcome.text).decode("utf-8", "replace")
    counts = {name: len(re.findall(rf"(?im)^{name}:", header)) for name in ("Date", "Message-ID")}
    shown = ", ".join(f"{name}: {count}" for name, count in counts.items())
    shows = bool(re.search(rf"(?<![\w.:]){re.escape(outcome.from_address)}(?![\w:]|\.\d)", header))
    if shows and context.host.managed:
        yield context.failed(
            _("the address of the user's device, {address}, is in the header").format(
                address=outcome.from_address
            ),
            _("see submission_header_checks on {host}, else mailprov apply").format(host=context.host.name),
        )
    elif set(counts.values()) == {1}:
        hidden = _("both were added; the address of the user's device is in the header")
        yield context.passed(
            hidden if shows else _("both were added; the address of the user's device is not in the header")
        )
    else:
        command = (
            f"postconf -P '{context.service}/inet/local_header_rewrite_clients=permit_sasl_authenticated'"
        )
        yield context.warn(_("fields that arrived: {counts}").format(counts=shown), command)
