"""The servers of hosted mail: Google Workspace and Exchange Online. Facts.

    SERVERS    provider (model/hosted.py) → (protocol, name, port, how TLS begins), as settings.py orders them

Both log in by their own page (OAuth 2.0) and take no password of the account from a mail program.

Sources: support.google.com/a/answer/9003945 ("POP and IMAP settings", OAuth since May 2025);
learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/pop3-and-imap4 and
…/deprecation-of-basic-authentication-exchange-online.
"""

from __future__ import annotations

from mailprov.model.hosted import EXCHANGE, GOOGLE
from mailprov.model.ports import Protocol, TlsStart

SERVERS: dict[str, tuple[tuple[Protocol, str, int, TlsStart], ...]] = {
    GOOGLE.name: (
        (Protocol.IMAP, "imap.gmail.com", 993, TlsStart.IMPLICIT),
        (Protocol.POP3, "pop.gmail.com", 995, TlsStart.IMPLICIT),
        (Protocol.SMTP, "smtp.gmail.com", 465, TlsStart.IMPLICIT),
        (Protocol.SMTP, "smtp.gmail.com", 587, TlsStart.UPGRADE),
    ),
    EXCHANGE.name: (
        (Protocol.IMAP, "outlook.office365.com", 993, TlsStart.IMPLICIT),
        (Protocol.POP3, "outlook.office365.com", 995, TlsStart.IMPLICIT),
        (Protocol.SMTP, "smtp.office365.com", 587, TlsStart.UPGRADE),
    ),
}
