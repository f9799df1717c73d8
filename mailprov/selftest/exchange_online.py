"""Scripted servers that answer as Exchange Online does, by its published description.

    Smtp, Imap, Pop     sessions, in place of the usual ones where the fault `exchange-online` holds
    PORTS               what it has; nobody answers on the others
    ACCESS              what it says of recipients that it does not know

Port 25 is a tenant's MX (TENANT.mail.protection.outlook.com), 587 is smtp.office365.com; 993, 995, 143 and 110 are
outlook.office365.com. One host has them all here. Words that change it:

    password-still      IMAP and POP offer PLAIN beside XOAUTH2, and refuse every password all the same
    throttled           port 25 puts off who sends too much (451 4.7.500)

Sources: learn.microsoft.com, "Fix NDR error codes in Exchange Online", "Deprecation of Basic authentication in Exchange
Online", "Authenticate an IMAP, POP or SMTP connection using OAuth", "Exchange Online limits"; RFC 7628 for XOAUTH2's
place. Tried against none: whoever has a tenant is asked to.
"""

from __future__ import annotations

import re

from mailprov.selftest import mailbox_servers, smtp_server
from mailprov.selftest.state import DOMAINS

PORTS = (25, 587, 110, 995, 143, 993)
ACCESS = "Recipient address rejected: Access denied."
_WHERE = "[DB3PEPF0000885D.eurprd02.prod.outlook.com 2026-11-30T08:00:00.000Z 08DE2F000000000A]"
_OFF = "Authentication unsuccessful, basic authentication is disabled."
_SIZE = 157286400


class Smtp(smtp_server.Smtp):
    def greet(self) -> None:
        name = self.fqdn
        self.send(
            f"220 {name} Microsoft ESMTP MAIL Service ready at Mon, 30 Nov 2026 08:00:00 +0000 {_WHERE}"
        )

    def _hello(self) -> list[str]:
        words = [
            f"{self.fqdn} Hello [127.0.0.9]",
            f"SIZE {_SIZE}",
            "PIPELINING",
            "DSN",
            "ENHANCEDSTATUSCODES",
        ]
        if not self.tls:
            words.append("STARTTLS")
        elif self.port.login:
            words.append("AUTH LOGIN XOAUTH2")
        words += ["8BITMIME", "BINARYMIME", "CHUNKING", "SMTPUTF8"]
        return [f"250-{word}" for word in words[:-1]] + [f"250 {words[-1]}"]

    @property
    def _largest(self) -> int:
        return _SIZE

    def _vrfy(self, verb: str, name: str) -> str:
        return "252 2.1.5 Cannot VRFY user" if verb == "VRFY" else "502 5.3.3 Command not implemented"

    def _auth(self, rest: str) -> None:
        if not self.port.login:
            self.send("503 5.5.2 Send hello first")
            return
        if not self.tls:
            self.send("504 5.7.4 Unrecognized authentication type")
            return
        if rest.upper().startswith("LOGIN"):
            for ask in ("VXNlcm5hbWU6", "UGFzc3dvcmQ6"):
                self.send(f"334 {ask}")
                self.line()
        self.send(f"535 5.7.139 {_OFF} {_WHERE}")

    def _mail(self, rest: str) -> None:
        self.sender = (re.search(r"<(.*?)>", rest) or ["", ""])[1]
        size = int(found[1]) if (found := re.search(r" SIZE=(\d+)", rest)) else 0
        if not self.hello:
            self.send("503 5.5.2 Send hello first")
        elif self.port.login:
            self.send(f"530 5.7.57 Client not authenticated to send mail. {_WHERE}")
        elif "throttled" in self.faults:
            self.send("451 4.7.500 Server busy. Please try again later from [127.0.0.9]. (S77714)")
        elif size > _SIZE:
            self.send("552 5.3.4 Message size exceeds fixed maximum message size")
        else:
            self.send("250 2.1.0 Sender OK")

    def _rcpt(self, rest: str) -> None:
        address = rest.partition(":")[2].strip("<>").lower()
        domain = address.rpartition("@")[2]
        if self.port.login:
            self.send(f"530 5.7.57 Client not authenticated to send mail. {_WHERE}")
        elif address.partition("@")[0] in {"postmaster", "abuse"} and domain in {"postmaster", *DOMAINS}:
            self.send("250 2.1.5 Recipient OK")  # its administrators have given them to somebody
        elif DOMAINS.get(domain) != self.address:
            self.send(f"550 5.7.64 TenantAttribution; Relay Access Denied {_WHERE}")
        elif self.world.ends(address, self.faults):
            self._take(address)
        else:
            self.send(f"550 5.4.1 {ACCESS} For more information see https://aka.ms/EXOSmtpErrors {_WHERE}")


class Imap(mailbox_servers.Imap):
    def greet(self) -> None:
        self.send("* OK The Microsoft Exchange IMAP4 service is ready. [TABPADIAUAAxADIAMwBDAEEA]")

    def _capability(self, tag: str, rest: str) -> None:
        words = ["IMAP4", "IMAP4rev1"]
        if self.tls:
            words += ["AUTH=PLAIN"] if "password-still" in self.faults else []
            words.append("AUTH=XOAUTH2")
        else:
            words += ["LOGINDISABLED", "STARTTLS"]
        words += ["SASL-IR", "UIDPLUS", "ID", "UNSELECT", "CHILDREN", "IDLE", "NAMESPACE", "LITERAL+"]
        self.send("* CAPABILITY " + " ".join(words), f"{tag} OK CAPABILITY completed.")

    def _login(self, tag: str, rest: str) -> None:
        self.send(f"{tag} NO LOGIN failed." if self.tls else f"{tag} BAD Command received in Invalid state.")


class Pop(mailbox_servers.Pop):
    def greet(self) -> None:
        self.send("+OK The Microsoft Exchange POP3 service is ready. [TABPADIAUAAxADIAMwBDAEEA]")

    def _capa(self, rest: str) -> None:
        words = ["TOP", "UIDL"]
        if self.tls:
            words += ["SASL PLAIN XOAUTH2", "USER"] if "password-still" in self.faults else ["SASL XOAUTH2"]
        else:
            words.append("STLS")
        self.send("+OK", *words, ".")

    def _user(self, rest: str) -> None:
        self.send("+OK" if self.tls else "-ERR Command is not valid in this state.")

    def _pass(self, rest: str) -> None:
        self.send("-ERR Logon failure: unknown user name or bad password.")
