"""The probe of what a stranger can learn of who has a mailbox, by asking for names on port 25.

Public: the probe `smtp.vrfy`. Errors of `clients` pass through; the runner makes them errors.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding
from mailprov.probe.checks.relay import known_address, outside_sender
from mailprov.probe.clients.smtp import Smtp
from mailprov.probe.context import PortContext
from mailprov.probe.registry import Scope, ports_where, probe

_FROM_STRANGERS = ports_where(lambda port: port.number == 25)


@probe(
    "smtp.vrfy",
    Scope.PORT,
    N_("The server does not reveal which users exist"),
    expected=N_("the same refusal, or the same 252 (cannot verify), for a user and for a made-up name"),
    steps=(
        N_("VRFY a user of this server, then a made-up name in the same domain."),
        N_("EXPN the same two."),
    ),
    verdicts={
        "pass": N_("the same answer to both, and no 250"),
        "warn": N_(
            "VRFY tells the two apart on a server with `managed: false`, and so does RCPT, as it must (unknown.user)"
        ),
        "fail": N_("250 for the user, or answers that tell the two apart"),
        "error": N_("4xx, silence, or a dropped connection"),
        "skip": N_("no address of this server is known"),
    },
    refs=("RFC 5321 section 7.3", "RFC 5321 section 3.5.3", "postconf(5) disable_vrfy_command"),
    ports=_FROM_STRANGERS,
)
def vrfy(context: PortContext) -> Iterator[Finding]:
    known = known_address(context)
    if not known:
        yield context.skip(_("no address of this server is known"))
        return
    unknown = f"nobody-{context.run.nonce}@{known.rpartition('@')[2]}"
    client = context.smtp()
    with client.connection:
        pairs = [[client.command(f"{verb} {name}") for name in (known, unknown)] for verb in ("VRFY", "EXPN")]
        named = _named_by_rcpt(client, outside_sender(context), known, unknown)
        client.quit()
    replies = [reply for pair in pairs for reply in pair]
    later = [reply for reply in replies if reply.kind == 4]
    vrfy_both, expn_both = pairs
    shown = _(
        "VRFY {address} gets {reply}, a made-up name {other_reply}; EXPN gets {expn} and {other_expn}"
    ).format(
        address=known,
        reply=vrfy_both[0],
        other_reply=vrfy_both[1],
        expn=expn_both[0],
        other_expn=expn_both[1],
    )
    advice = "postconf -e 'disable_vrfy_command = yes'"
    says_more = any(reply.code == 250 for reply in replies) or pairs[1][0].code != pairs[1][1].code
    if later:
        yield context.error(_("refused temporarily: {reply}").format(reply=later[0]))
    elif pairs[0][0].code != pairs[0][1].code and named and not says_more and not context.host.managed:
        # What Postfix does if nobody says otherwise: a guesser learns by VRFY what RCPT must tell anyway.
        yield context.warn(_("{replies}; RCPT tells the two apart as well").format(replies=shown), advice)
    elif says_more or pairs[0][0].code != pairs[0][1].code:
        yield context.failed(shown, advice)
    else:
        yield context.passed(f"VRFY: {pairs[0][0]}; EXPN: {pairs[1][0]}")


def _named_by_rcpt(client: Smtp, sender: str, known: str, unknown: str) -> bool:
    """Whether RCPT takes the one and refuses the other for good."""
    reply = client.mail(sender)
    taken = client.rcpt(known) if reply.code == 250 else reply
    refused = client.rcpt(unknown) if taken.kind == 2 else taken
    client.command("RSET")
    return taken.kind == 2 and refused.kind == 5
