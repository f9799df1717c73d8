"""Probes of what a sender is told: that a message arrived, where that was asked for, and that it could not.

Public: the probes `dsn.success` and `dsn.bounce`, which share the messages of one domain (probe/addresses.py). Errors
of `clients` pass through; the runner makes them errors.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.i18n import N_, _, all_of
from mailprov.model.findings import Finding, Verdict
from mailprov.probe.addresses import AddressContext
from mailprov.probe.deliveries import SUBMISSION
from mailprov.probe.expected_mail import REPORTED, RETURNED, Case, Outcome
from mailprov.probe.mailauth import delivery_report
from mailprov.probe.registry import Scope, probe

_TOLD = ("delivered", "relayed", "expanded")
_FORM = N_(
    "the null sender, multipart/report with message/delivery-status, and the recipient's address and status in it"
)


@probe(
    "dsn.success",
    Scope.ADDRESSES,
    N_("Who asks for it is told that a message arrived"),
    expected=_FORM,
    steps=(
        N_(
            "Submit a message to another account of the domain with NOTIFY=SUCCESS,FAILURE, RET=HDRS and an ENVID."
        ),
        N_(
            "Wait until it and what is sent about it have left the queue; fetch the report from the sender's mailbox."
        ),
        N_("Read it as RFC 3464 has it, and remove it."),
    ),
    verdicts={
        "pass": N_(
            "one report: delivered or relayed, with the ENVID, from the null sender; it says who signed it"
        ),
        "warn": N_("a report in another form, or with another ENVID"),
        "fail": N_(
            "no report although DSN is offered, several, one that says something else, or with a sender"
        ),
        "error": N_("a temporary refusal, silence, or a mailbox that cannot be opened"),
        "skip": N_("DSN is not offered, or fewer than two accounts with known passwords keep their mail"),
    },
    refs=("RFC 3461 section 4", "RFC 3464", "postconf(5) smtpd_discard_ehlo_keywords"),
    ports=SUBMISSION,
    unless=N_("no domain has two accounts with known passwords that keep their mail"),
    seconds=lambda timing: timing.delivery + timing.probe,
)
def success(context: AddressContext) -> Iterator[Finding]:
    for case in context.cases(REPORTED):
        outcome = context.outcome(case)
        if not context.offers_reports:
            yield context.finding(Verdict.SKIP, _("DSN is not offered"), target=context.of(case))
        else:
            yield _judged(context, case, outcome, _TOLD)


@probe(
    "dsn.bounce",
    Scope.ADDRESSES,
    N_("Who writes to nobody elsewhere is told, in a form that programs read"),
    expected=_FORM,
    steps=(
        N_("Submit a message to a name that nobody has, in a domain on another host of this inventory."),
        N_("Wait until both hosts' queues have let go of it; fetch the bounce from the sender's mailbox."),
        N_("Read it as RFC 3464 has it, and remove it."),
    ),
    verdicts={
        "pass": N_("one bounce: failed, with a status 5.x.x, from the null sender; it says who signed it"),
        "warn": N_("a bounce in another form"),
        "fail": N_(
            "none, several, one that says something else, or with a sender, so that bounces can go in circles"
        ),
        "error": N_("a temporary refusal, silence, or a mailbox that cannot be opened"),
        "skip": N_(
            "no domain is on another host that refuses names that nobody has; or the name was refused at once"
        ),
    },
    refs=("RFC 5321 section 6.1", "RFC 3464", "RFC 3834 section 2"),
    ports=SUBMISSION,
    unless=N_("no domain is on another host that refuses names that nobody has"),
    seconds=lambda timing: timing.delivery + timing.probe,
)
def bounce(context: AddressContext) -> Iterator[Finding]:
    for case in context.cases(RETURNED):
        outcome = context.outcome(case)
        if outcome.refused and not outcome.later:
            what = _("refused in the session, so there is nothing to send back: {reply}")
            yield context.finding(Verdict.SKIP, what.format(reply=outcome.refused), target=context.of(case))
        else:
            yield _judged(context, case, outcome, ("failed",))


def _judged(context: AddressContext, case: Case, outcome: Outcome, told: tuple[str, ...]) -> Finding:
    target, look = context.of(case), _("see the mail log of {host}").format(host=context.host.name)
    if outcome.refused:
        verdict = Verdict.ERROR if outcome.later else Verdict.FAIL
        return context.finding(verdict, outcome.refused, look, target=target)
    if not outcome.reports:
        if context.waiting and case.address in context.waiting:
            return context.finding(Verdict.ERROR, context.waiting, look, target=target)
        return context.finding(Verdict.FAIL, _no_report(context), look, target=target)
    if (count := len(outcome.reports)) > 1:
        several = _("{count} reports about one message").format(count=count)
        return context.finding(Verdict.FAIL, several, look, target=target)
    try:
        report = delivery_report.read(outcome.reports[0])
    except delivery_report.NoReport as error:
        what = _("a report came that programs cannot read: {reason}").format(reason=error)
        advice = _("see what sends it: Postfix's own bounce(8) has the form of RFC 3464")
        return context.finding(Verdict.WARN, what, advice, target=target)
    about = next((each for each in report.about if each.address == case.address), None)
    if about is None:
        names = all_of(each.address for each in report.about)
        what = _("the report is about {names}").format(names=names)
        return context.finding(Verdict.FAIL, what, look, target=target)
    if about.action not in told or about.status[:1] != ("5" if told == ("failed",) else "2"):
        what = _("the report says {action} with status {status}")
        return context.finding(
            Verdict.FAIL, what.format(action=about.action, status=about.status), look, target=target
        )
    if report.sender:
        what = _("the report has the sender {sender}, so that one about it could go back and forth")
        advice = _(
            "reports are sent from the null sender: see null_sender and what rewrites senders on {host}"
        )
        return context.finding(
            Verdict.FAIL,
            what.format(sender=report.sender),
            advice.format(host=context.host.name),
            target=target,
        )
    if case.kind == REPORTED and report.envelope != outcome.token:
        what = _("the report does not name the message as its sender did (Original-Envelope-Id)")
        return context.finding(Verdict.WARN, what, look, target=target)
    signed = (
        _("signed by {domains}").format(domains=all_of(report.signers)) if report.signers else _("not signed")
    )
    seen = _("{action}, {status}, from the null sender, {signed}").format(
        action=about.action, status=about.status, signed=signed
    )
    return context.finding(Verdict.PASS, seen, target=target)


def _no_report(context: AddressContext) -> str:
    if context.weaker:
        return _("no report came; {reason}").format(reason=context.weaker)
    return _("no report came, and none is in the queue any more")
