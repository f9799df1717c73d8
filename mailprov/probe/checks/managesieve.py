"""The probe of ManageSieve (RFC 5804), by which users look after their filters.

Public: the probe `sieve.capability`, and `unanswered` for what it and the others are spared where nobody offers it.
Reachability, certificate and logins of port 4190 are looked at by the probes of all ports (net, tls, auth). Errors of
`connection` pass through; the runner makes them errors.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from mailprov.model.findings import Finding
from mailprov.model.ports import SIEVE_PORT
from mailprov.probe.clients import tls
from mailprov.probe.clients.connection import (
    Connection,
    Deadline,
    ProbeError,
    ProtocolError,
    Refused,
    Transcript,
    Unreachable,
)
from mailprov.probe.clients.managesieve import Sieve
from mailprov.probe.context import PortContext
from mailprov.probe.registry import Scope, ports_where, probe

# Mechanisms that send the password, or what is as good as it, to whoever listens on the way.
_CLEAR = {"PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"}


def unanswered(address: str, number: int, seconds: float) -> str:
    """Why nobody offers ManageSieve there, or "". A server of mail need not, so this is no fault; a server that
    answers, in whatever way, is looked at.
    """
    with contextlib.suppress(ProbeError):
        try:
            Connection.connect(address, number, Deadline(seconds), Transcript(), seconds).close()
        except (Refused, Unreachable) as error:
            return str(error)
    return ""


@probe(
    "sieve.capability",
    Scope.PORT,
    "The ManageSieve server greets, and takes a password only under TLS",
    expected="SIEVE and STARTTLS before TLS and no SASL PLAIN; SASL PLAIN and no STARTTLS after it",
    steps=(
        "Where port 4190 answers: read the greeting, which is the list of capabilities.",
        "STARTTLS, and read the list that follows unasked.",
    ),
    verdicts={
        "pass": "all as expected",
        "fail": "no ManageSieve, a mechanism that shows the password is offered without TLS, none with it, STARTTLS "
        "is missing or still there under TLS",
        "error": "silence, or a dropped connection",
    },
    refs=("RFC 5804 section 1.7", "RFC 5804 section 2.2", "RFC 8314 section 3"),
    ports=ports_where(lambda port: port is SIEVE_PORT),
)
def sieve_capability(context: PortContext) -> Iterator[Finding]:
    no_cleartext = "set auth_allow_cleartext = no (Dovecot 2.4) or disable_plaintext_auth = yes (2.3)"
    wrong: list[tuple[str, str]] = []
    secure = False
    with context.connect() as connection:
        client = Sieve(connection)
        try:
            greeting = client.greeting()
        except ProtocolError as error:
            yield context.failed(str(error), "see what listens on port 4190: it is not a ManageSieve server")
            return
        if not greeting.ok:
            yield context.failed(f"turned away: {greeting}", "see the server's log for the reason")
            return
        if "SIEVE" not in client.capabilities:
            wrong.append(("no Sieve extensions are told (SIEVE)", "see what listens on port 4190"))
        if shown := client.mechanisms & _CLEAR:
            wrong.append((f"SASL {' '.join(sorted(shown))} is offered without TLS", no_cleartext))
        if "STARTTLS" in client.capabilities:
            try:
                client.starttls(tls.looking_context(), context.host.fqdn)
                secure = True
            except ProbeError as error:
                if not wrong:
                    raise
                wrong.append((f"then: {error}", "see tls.starttls"))
        else:
            wrong.append(("STARTTLS is not offered", "set ssl = required and a certificate in dovecot.conf"))
    if secure:
        if "STARTTLS" in client.capabilities:
            wrong.append(("STARTTLS is still offered under TLS", "see what stands in front of the server"))
        if not client.mechanisms:
            wrong.append(
                ("no login is offered under TLS", "see auth_mechanisms and the passdb (doveconf -n)")
            )
    if wrong:
        yield context.failed(
            "; ".join(what for what, _ in wrong), "; ".join(dict.fromkeys(advice for _, advice in wrong))
        )
    else:
        what = client.capabilities.get("IMPLEMENTATION", "a server without a name")
        yield context.passed(f"{what}; login by {' '.join(sorted(client.mechanisms))} under TLS")
