"""The probe of how large a message may be: `smtp.size`, on each port that takes mail.

What the inventory wants is `message_size_limit`, or that setting of Postfix where `postfix.main_cf` has it. Errors of
`clients` pass through; the runner makes them errors.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.i18n import N_, _
from mailprov.model.findings import Finding
from mailprov.model.inventory import Host
from mailprov.probe.clients.smtp import Reply, Smtp
from mailprov.probe.context import PortContext
from mailprov.probe.registry import SMTP_PORTS, Scope, probe

_NO_LIMIT = 0
_DIGITS = 20  # RFC 1870 section 4


def _wanted(host: Host) -> int | None:
    """Bytes; 0: no limit; None: it is not known, as others built the server."""
    if not host.managed:
        return None
    from mailprov.components.postfix.settings import SETTING  # brings the schema's library

    own = dict(SETTING.of(host).main_cf).get("message_size_limit", "").strip()
    return int(own) if own.isdecimal() else host.message_size_limit


@probe(
    "smtp.size",
    Scope.PORT,
    N_("Messages may be as large as the inventory says, and no larger"),
    expected=N_(
        "SIZE in the answer to EHLO with the inventory's message_size_limit; more is refused with 552"
    ),
    steps=(
        N_("Say EHLO (after STARTTLS where the port has it) and read the number behind SIZE."),
        N_(
            "MAIL FROM with SIZE= of exactly that, and RSET: it must be accepted, else nothing would be proved."
        ),
        N_("MAIL FROM with SIZE= of one byte more, and RSET. No message is sent."),
    ),
    verdicts={
        "pass": N_("the number is the inventory's, and one byte more is refused"),
        "warn": N_("larger messages are taken than the inventory says"),
        "fail": N_(
            "only smaller messages are taken than the inventory says, or what is above the server's own limit is not "
            "refused"
        ),
        "error": N_(
            "a message of the size that is offered is refused, or one byte more temporarily; silence"
        ),
        "skip": N_("the server says no size (see smtp.ehlo), or wants a login first"),
    },
    refs=("RFC 1870 section 6", "RFC 1870 section 4", "postconf(5) message_size_limit"),
    ports=SMTP_PORTS,
)
def smtp_size(context: PortContext) -> Iterator[Finding]:
    wanted = _wanted(context.host)
    client = context.smtp()
    with client.connection:
        if "SIZE" not in client.extensions:
            yield context.skip(_("the server does not say how large a message may be (see smtp.ehlo)"))
            return
        said = client.extensions["SIZE"].strip()
        largest = int(said) if said.isascii() and said.isdigit() and len(said) <= _DIGITS else _NO_LIMIT
        exact = above = None
        if largest != _NO_LIMIT:
            exact = _mail(client, largest)
            above = _mail(client, largest + 1) if exact.code == 250 else None
        client.quit()
    shown = _("SIZE {bytes}").format(bytes=said) if said else _("SIZE without a number, so without a limit")
    if wanted is not None and wanted != largest and (wanted == _NO_LIMIT or _NO_LIMIT < largest < wanted):
        yield context.failed(
            _("{seen}: smaller than the inventory says ({wanted})").format(
                seen=shown, wanted=_("no limit") if wanted == _NO_LIMIT else wanted
            ),
            _limit(wanted),
        )
    elif exact is not None and exact.code != 250:
        yield _not_even_that(context, shown, exact)
    elif above is not None and above.kind == 4:
        yield context.error(_("{seen}; one byte more gets {reply}").format(seen=shown, reply=above))
    elif above is not None and above.kind == 2:
        yield context.failed(
            _("{seen}; one byte more is accepted: {reply}").format(seen=shown, reply=above),
            _("see what stands in front of the server: Postfix refuses that with 552"),
        )
    elif wanted is not None and wanted != largest:
        yield context.warn(
            _("{seen}: larger than the inventory says ({wanted})").format(seen=shown, wanted=wanted),
            _limit(wanted),
        )
    elif largest == _NO_LIMIT:
        yield context.skip(shown)
    else:
        yield context.passed(_("{seen}; one byte more gets {reply}").format(seen=shown, reply=above))


def _mail(client: Smtp, size: int) -> Reply:
    reply = client.command(f"MAIL FROM:<> SIZE={size}")
    if reply.code == 250:
        client.command("RSET")
    return reply


def _not_even_that(context: PortContext, shown: str, reply: Reply) -> Finding:
    """What the server offers it refuses."""
    if reply.code == 552:
        return context.failed(
            _("{seen}, and a message of that size gets {reply}").format(seen=shown, reply=reply),
            _("see the log of the server for the reason"),
        )
    if reply.kind == 5 and context.port.login:
        return context.skip(_("{seen}; MAIL without a login gets {reply}").format(seen=shown, reply=reply))
    return context.error(
        _("{seen}; a message of that size gets {reply}").format(seen=shown, reply=reply),
        _("see the log of the server, and the room on its disk (queue_minfree)"),
    )


def _limit(wanted: int) -> str:
    return _("{command}, or mailprov apply").format(command=f"postconf -e 'message_size_limit = {wanted}'")
