"""Probes of where mail for each kind of address ends: exactly once where the inventory says, and nowhere else.

Public: the probes `address.*` and `delivery.within`, which share the messages of one domain (probe/addresses.py). Those
of one address each differ by their texts alone: `_KINDS` is their table. Errors of `clients` pass through; the runner
makes them errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mailprov.i18n import N_, _, all_of, ngettext
from mailprov.model.findings import Finding, Verdict
from mailprov.probe.addresses import AddressContext
from mailprov.probe.deliveries import SUBMISSION
from mailprov.probe.expected_mail import COPIES, KINDS, WITHIN, Case, Outcome
from mailprov.probe.mailauth import copies, message, received
from mailprov.probe.registry import Function, Scope, probe

_STEPS = (
    N_("Work out by the inventory alone in which mailboxes mail for the address ends."),
    N_("Log in at the domain's host and submit a marked message to it."),
    N_("Ask the hosts, over SSH, until it has left their queues: then nothing more comes."),
    N_("Look for the mark in each of these mailboxes over IMAP, in INBOX and Junk; remove what was sent."),
)
_VERDICTS = {
    "pass": N_("one copy in each mailbox, and none elsewhere"),
    "warn": N_("one copy each, but not in INBOX; or what went outside did not leave, or came back"),
    "fail": N_("refused, not arrived, more than once, or in a mailbox that should not get it"),
    "error": N_("a temporary refusal, silence, or a mailbox that cannot be opened"),
    "skip": N_(
        "it leads outside of this inventory's hosts (--intrusive sends it all the same), or to a mailbox that cannot "
        "be opened, where the message would stay"
    ),
}


class _Kind(NamedTuple):
    """`unless`: why there is nothing to look at."""

    name: str
    title: str
    expected: str
    unless: str
    refs: tuple[str, ...]


_KINDS = (
    _Kind(
        "address.alias",
        N_("Mail for an alias reaches whom it stands for, once"),
        N_("one copy in the mailbox that the alias leads to"),
        N_("no domain has aliases"),
        ("RFC 5321 section 3.9", "RFC 5321 section 4.5.1"),
    ),
    _Kind(
        "address.list",
        N_("Mail for a list reaches each member, once"),
        N_("one copy in the mailbox of each member"),
        N_("no domain has lists"),
        ("RFC 5321 section 3.9.2",),
    ),
    _Kind(
        "address.forward",
        N_("Mail for a forwarding account goes on, and a copy stays only where it should"),
        N_("one copy in each mailbox that it goes on to; one in its own with `keep: true`, else none"),
        N_("no account forwards its mail"),
        ("RFC 5321 section 3.9.1",),
    ),
    _Kind(
        "address.domain-alias",
        N_("Mail for a name in a domain alias reaches the account of that name, once"),
        N_("one copy in the mailbox of the account of that name"),
        N_("no domain has domain aliases"),
        ("RFC 5321 section 3.9", "RFC 5321 section 4.5.1"),
    ),
    _Kind(
        "address.catch-all",
        N_("Mail for a name that nobody has reaches the catch-all, once"),
        N_("one copy in the mailbox that `catch_all` names"),
        N_("no domain has a catch-all (see unknown.user)"),
        ("RFC 5321 section 3.9", "RFC 5321 section 4.5.1"),
    ),
    _Kind(
        "address.detail",
        N_("Mail for a name with a detail reaches the account, once"),
        N_("one copy in the mailbox of the account, for its name with `recipient_delimiter` and a detail"),
        N_("no host has a `recipient_delimiter`, or no account with a known password keeps its mail"),
        ("RFC 5233", "postconf(5) recipient_delimiter"),
    ),
)


def _of(kind: str) -> Function:
    def each(context: AddressContext) -> Iterator[Finding]:
        yield from _each(context, kind)

    return each


for _kind in _KINDS:
    probe(
        _kind.name,
        Scope.ADDRESSES,
        _kind.title,
        expected=_kind.expected,
        steps=_STEPS,
        verdicts=_VERDICTS,
        refs=_kind.refs,
        ports=SUBMISSION,
        unless=_kind.unless,
        seconds=lambda timing: timing.delivery + timing.probe,
    )(_of(KINDS[_kind.name]))


@probe(
    "delivery.within",
    Scope.ADDRESSES,
    N_("Mail from one account of a domain to another reaches it, and does not leave the domain's hosts"),
    expected=N_("one copy; Received shows a submission with login over TLS, and no other host"),
    steps=(
        N_("Log in at the domain's host as one of its accounts and submit a marked message to another."),
        *_STEPS[2:],
        N_("Read the Received fields of the copy. No DNS record of the domain is needed for it."),
    ),
    verdicts={
        "pass": N_("one copy, and no other host on its way"),
        "warn": N_(
            "one copy, but not in INBOX; on a server with `managed: false` also, that it took a way by other hosts"
        ),
        "fail": N_("refused, not arrived, more than once, submitted without TLS, or by way of other hosts"),
        "error": N_("a temporary refusal, silence, or a mailbox that cannot be opened"),
        "skip": N_("fewer than two accounts with known passwords keep their mail"),
    },
    refs=("RFC 5321 section 4.4", "RFC 3848"),
    ports=SUBMISSION,
    unless=N_("no domain has two accounts with known passwords that keep their mail"),
    seconds=lambda timing: timing.delivery + timing.probe,
)
def within(context: AddressContext) -> Iterator[Finding]:
    for case in context.cases(WITHIN):
        outcome = context.outcome(case)
        finding = _judged(context, case, outcome)
        if finding.verdict in (Verdict.PASS, Verdict.WARN):
            chain = received.hops(outcome.texts[case.address])
            hosts = [context.run.inventory.host(name).fqdn for name in context.domain.hosts]
            verdict, observed, advice = received.judge_within(chain, context.host.fqdn, hosts)
            if verdict is Verdict.FAIL and not context.host.managed:
                verdict = Verdict.WARN
            if verdict is not Verdict.PASS:
                finding = context.finding(verdict, observed, advice, target=context.of(case))
            elif finding.verdict is Verdict.PASS:
                seen = _("{first}: {second}").format(first=finding.observed, second=observed)
                finding = context.finding(Verdict.PASS, seen, target=context.of(case))
        yield finding


@probe(
    "address.bcc",
    Scope.ADDRESSES,
    N_("Nobody sees who is in Bcc"),
    expected=N_("one copy for each, and the address in Bcc nowhere in the copies of To and Cc"),
    steps=(
        N_("Submit one message to two or three accounts of the domain, the last of them in Bcc alone."),
        N_("Wait until it has left the queue; fetch all copies over IMAP, and remove them."),
        N_("Look for the address in Bcc in the header of the others' copies, Received and all."),
    ),
    verdicts={
        "pass": N_("it is not there"),
        "warn": N_(
            "one copy each, but not in INBOX; or it is there on a server with `managed: false`: a mail program "
            "that writes the field should have removed it (RFC 5322), as Exim leaves it in"
        ),
        "fail": N_("it is there; or a copy did not arrive, or more than once"),
        "error": N_("a temporary refusal, silence, or a mailbox that cannot be opened"),
    },
    refs=("RFC 5322 section 3.6.3", "RFC 5321 section 7.2", "postconf(5) message_drop_headers"),
    ports=SUBMISSION,
    unless=N_("no domain has two accounts with known passwords that keep their mail"),
    seconds=lambda timing: timing.delivery + timing.probe,
)
def bcc(context: AddressContext) -> Iterator[Finding]:
    for case in context.cases(COPIES):
        outcome = context.outcome(case)
        finding = _judged(context, case, outcome)
        hidden = case.rcpts[-1]
        shown = [
            address
            for address in case.rcpts[:-1]
            if hidden.encode() in message.header_of(outcome.texts.get(address, b"")).lower()
        ]
        if shown and finding.verdict in (Verdict.PASS, Verdict.WARN):
            finding = context.finding(
                Verdict.FAIL if context.host.managed else Verdict.WARN,
                _("{hidden}, in Bcc alone, is in the header that {names} got").format(
                    hidden=hidden, names=all_of(shown)
                ),
                _("{command}, and no filter that writes all recipients into a message").format(
                    command="postconf -e 'message_drop_headers = bcc, content-length, resent-bcc, return-path'"
                ),
                target=context.of(case),
            )
        yield finding


@probe(
    "address.attachment",
    Scope.ADDRESSES,
    N_("An attachment arrives byte for byte"),
    expected=N_("the same bytes, under the same name"),
    steps=(
        N_(
            "Attach four files to the message of address.bcc: every octet and line ends of all kinds; a line of 998 "
            "octets, dots, `From ` and a name beyond ASCII (RFC 2231); an empty one; blanks at the ends of lines in "
            "quoted-printable."
        ),
        N_("Decode it from each copy that arrived, and compare."),
    ),
    verdicts={
        "pass": N_("the same in each copy"),
        "fail": N_("other bytes, another name, or gone"),
        "error": N_("no copy arrived (see address.bcc)"),
    },
    refs=("RFC 2045 section 6.8", "RFC 2183"),
    ports=SUBMISSION,
    unless=N_("no domain has two accounts with known passwords that keep their mail"),
    seconds=lambda timing: timing.delivery + timing.probe,
)
def attachment(context: AddressContext) -> Iterator[Finding]:
    for case in context.cases(COPIES):
        outcome = context.outcome(case)
        if not outcome.texts:
            yield context.finding(
                Verdict.ERROR, _("no copy arrived (see address.bcc)"), target=context.of(case)
            )
            continue
        # What mbox does to lines that begin with From is told by delivery.fetch.
        texts = {
            address: message.without_mbox_quotes(text, outcome.sent)
            for address, text in outcome.texts.items()
        }
        altered = [address for address, text in texts.items() if copies.attached(text) != copies.ATTACHED]
        if altered:
            got = copies.attached(texts[altered[0]])
            yield context.finding(
                Verdict.FAIL,
                _("the attachment that {names} got is not the one that was sent: {difference}").format(
                    names=all_of(altered),
                    difference=_("it is gone")
                    if got is None
                    else message.first_difference(copies.ATTACHED, got),
                ),
                _("see what on the way alters mail: a content filter, or a disclaimer"),
                target=context.of(case),
            )
        else:
            size = len(copies.ATTACHED)
            yield context.finding(
                Verdict.PASS,
                ngettext("{count} byte, the same", "{count} bytes, the same", size).format(count=size),
                target=context.of(case),
            )


def _each(context: AddressContext, kind: str) -> Iterator[Finding]:
    for case in context.cases(kind):
        if case.why:
            yield context.finding(Verdict.SKIP, case.why, target=context.of(case))
        else:
            yield _judged(context, case, context.outcome(case))
    if more := context.left_out(kind):
        yield context.skip(
            ngettext(
                "{count} more was not written to in this run; --accounts all writes to all",
                "{count} more were not written to in this run; --accounts all writes to all",
                more,
            ).format(count=more)
        )


def _judged(context: AddressContext, case: Case, outcome: Outcome) -> Finding:
    target = context.of(case)
    if outcome.refused:
        verdict = Verdict.ERROR if outcome.later else Verdict.FAIL
        return context.finding(verdict, outcome.refused, _advice(context, case), target=target)
    wrong = _wrong(case, outcome)
    if wrong:
        if context.bounced:
            wrong.append(
                ngettext(
                    "{count} message came back to the sender",
                    "{count} messages came back to the sender",
                    context.bounced,
                ).format(count=context.bounced)
            )
        return context.finding(Verdict.FAIL, "; ".join(wrong), _advice(context, case), target=target)
    names = all_of(sorted(case.accounts))
    if case.outside and (away := _outside(context, case, outcome)):
        return context.finding(Verdict.WARN, away, _advice(context, case), target=target)
    elsewhere = sorted({folder for folders in outcome.found.values() for folder in folders} - {"INBOX"})
    if elsewhere:
        return context.finding(
            Verdict.WARN,
            _("once for {names}, but in {folders}").format(names=names, folders=", ".join(elsewhere)),
            _("see the recipient's filters (Sieve, spam)"),
            target=target,
        )
    seen = _("once for {names}").format(names=names)
    if context.weaker:
        seen = _("once for {names} so far; {reason}, so a second copy that is late would not be seen").format(
            names=names, reason=context.weaker
        )
    if case.outside:
        outside = all_of(sorted(case.outside))
        seen = _("{seen}; and it left for {names}, where nobody looks").format(
            seen=seen if case.accounts else _("accepted"), names=outside
        )
    return context.finding(Verdict.PASS, seen, target=target)


def _outside(context: AddressContext, case: Case, outcome: Outcome) -> str:
    """What is seen here of trouble with what went to addresses that are not this inventory's."""
    names = all_of(sorted(case.outside))
    if outcome.reports:
        return _("what went to {names} came back to the sender").format(names=names)
    if context.waiting and any(each in context.waiting for each in case.outside):
        return _("what went to {names} has not left: {reason}").format(names=names, reason=context.waiting)
    return ""


def _wrong(case: Case, outcome: Outcome) -> list[str]:
    found = outcome.found
    wrong = []
    if lost := sorted(case.accounts - set(found)):
        wrong.append(_("accepted, and not in the mailbox of {names}").format(names=all_of(lost)))
    if several := sorted(each for each in case.accounts & set(found) if len(found[each]) > 1):
        wrong.append(
            _("{count} copies in the mailbox of {names}").format(
                count=max(len(found[each]) for each in several), names=all_of(several)
            )
        )
    if others := sorted(set(found) - case.accounts):
        wrong.append(_("also in the mailbox of {names}, who should have none").format(names=all_of(others)))
    return wrong


def _advice(context: AddressContext, case: Case) -> str:
    asked = _("ask Postfix on {host} where it leads ({command}), and see the mail log")
    text = asked.format(host=context.host.name, command=f"sendmail -bv {case.address}")
    return _("{first}; else mailprov apply").format(first=text) if context.host.managed else text
