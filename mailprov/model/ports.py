"""The seven mail ports: the one table that configuration, firewall, DNS SRV records and probes are made from.

`SIEVE_PORT` stands beside them: users reach their filters there, and no mail goes over it. `SERVICES` are the ports
that users' programs connect to, by the names of /etc/services: what a host offers of them its inventory says
(`Host.offers`). Port 25 is none of them: mail from other hosts arrives there.
"""

from __future__ import annotations

from enum import Enum

from mailprov.i18n import N_
from mailprov.model.values import dataclass


class Protocol(str, Enum):
    SMTP = "smtp"
    IMAP = "imap"
    POP3 = "pop3"
    SIEVE = "sieve"


class TlsStart(str, Enum):
    IMPLICIT = "implicit"  # TLS from the first byte (RFC 8314 section 3)
    UPGRADE = "upgrade"  # STARTTLS (RFC 3207, RFC 9051 section 6.2.1) or STLS (RFC 2595 section 4)


@dataclass(frozen=True)
class Port:
    """One port that a mail host listens on."""

    number: int
    protocol: Protocol
    tls: TlsStart
    login: bool  # users authenticate here
    service: str  # name in /etc/services and in Postfix's master.cf
    purpose: str  # in the course's words


PORTS: tuple[Port, ...] = (
    Port(
        25,
        Protocol.SMTP,
        TlsStart.UPGRADE,
        False,
        "smtp",
        N_("MTA to MTA: mail arrives from other hosts (RFC 5321)"),
    ),
    Port(
        465,
        Protocol.SMTP,
        TlsStart.IMPLICIT,
        True,
        "submissions",
        N_("MUA to MTA: submission, TLS at once (RFC 8314 3.3)"),
    ),
    Port(
        587,
        Protocol.SMTP,
        TlsStart.UPGRADE,
        True,
        "submission",
        N_("MUA to MTA: submission with STARTTLS (RFC 6409)"),
    ),
    Port(
        110,
        Protocol.POP3,
        TlsStart.UPGRADE,
        True,
        "pop3",
        N_("MUA fetches mail: POP with STLS (RFC 1939, 2595)"),
    ),
    Port(
        995,
        Protocol.POP3,
        TlsStart.IMPLICIT,
        True,
        "pop3s",
        N_("MUA fetches mail: POP, TLS at once (RFC 8314 3.3)"),
    ),
    Port(
        143,
        Protocol.IMAP,
        TlsStart.UPGRADE,
        True,
        "imap",
        N_("MUA reads mail: IMAP with STARTTLS (RFC 9051)"),
    ),
    Port(
        993,
        Protocol.IMAP,
        TlsStart.IMPLICIT,
        True,
        "imaps",
        N_("MUA reads mail: IMAP, TLS at once (RFC 8314 3.2)"),
    ),
)

SIEVE_PORT = Port(
    4190,
    Protocol.SIEVE,
    TlsStart.UPGRADE,
    True,
    "sieve",
    N_("MUA looks after the user's filters: ManageSieve with STARTTLS (RFC 5804)"),
)

ALL: tuple[Port, ...] = (*PORTS, SIEVE_PORT)
SERVICES: dict[str, Port] = {port.service: port for port in ALL if port.login}
