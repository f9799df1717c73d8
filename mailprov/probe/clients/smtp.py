"""A minimal SMTP client that shows every reply as it came (RFC 5321, 3207, 4954).

Public: Smtp, Reply. Raises the errors of `clients`; a reply that is no SMTP reply is ProtocolError. Nothing here
judges.
"""

from __future__ import annotations

import base64
import re
import ssl

from mailprov.i18n import _, ngettext
from mailprov.model.values import dataclass
from mailprov.probe.clients.client import Client, Login, Outcome, refuse_passwords
from mailprov.probe.clients.connection import Connection, printable
from mailprov.probe.clients.errors import NoPasswords, ProtocolError, TemporaryFailure, TurnedAway

_REPLY = re.compile(r"([2-5]\d\d)(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")
# Exchange Online, where passwords (basic authentication) are switched off for whoever sends, or for this user.
_SWITCHED_OFF = "5.7.139"


@dataclass(frozen=True)
class Reply:
    code: int
    lines: tuple[str, ...]  # the text behind the code, line by line

    @property
    def enhanced(self) -> str:
        """The enhanced status code of the last line (RFC 3463), such as `5.7.1`, or ''."""
        match = _ENHANCED.match(self.lines[-1])
        return match[1] if match else ""

    @property
    def kind(self) -> int:
        """2 done, 3 go on, 4 not now, 5 no."""
        return self.code // 100

    def __str__(self) -> str:
        return printable(f"{self.code} {self.lines[-1]}".rstrip())


class Smtp(Client):
    """One SMTP session on a connection; `extensions` are those of the last EHLO: {"SIZE": "10240000", "AUTH":
    "PLAIN LOGIN"}.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.extensions: dict[str, str] = {}
        self.greeting = ""

    def reply(self) -> Reply:
        """One whole reply, of one or more lines."""
        lines: list[str] = []
        first = ""
        while True:
            text = self.connection.line()
            match = _REPLY.fullmatch(text)
            if match is None or (first and match[1] != first):
                raise ProtocolError(_("not an SMTP reply: {text}").format(text=printable(repr(text))))
            first = match[1]
            lines.append(match[3] or "")
            if match[2] != "-":
                return Reply(int(first), tuple(lines))

    def command(self, line: str, shown: str | None = None) -> Reply:
        """Send one command and read its reply. `shown` stands for it in the transcript when it holds a
        secret.
        """
        self.connection.send(line.encode("utf-8") + b"\r\n", shown)
        return self.reply()

    def greet(self) -> None:
        greeting = self.reply()
        self.greeting = str(greeting)
        if greeting.kind == 4:
            raise TurnedAway(_("the greeting is {greeting}").format(greeting=greeting))
        if greeting.code != 220:
            raise ProtocolError(_("the greeting is {greeting}").format(greeting=greeting))
        hello = self.ehlo()
        if hello.code != 250:
            raise ProtocolError(_("EHLO was refused: {reply}").format(reply=hello))

    def offers(self) -> dict[str, str]:
        return self.extensions

    def ehlo(self) -> Reply:
        """EHLO with our address literal (RFC 5321 section 4.1.4: what a client without a name of its own
        says).
        """
        address = self.connection.local_address
        reply = self.command(f"EHLO [IPv6:{address}]" if ":" in address else f"EHLO [{address}]")
        self.take_extensions(reply)
        return reply

    def take_extensions(self, reply: Reply) -> None:
        """Those that this reply to EHLO names."""
        self.extensions = {}
        if reply.code == 250:
            for line in reply.lines[1:]:
                keyword, __, value = line.partition(" ")
                if keyword.upper().startswith(
                    "AUTH="
                ):  # an old spelling that some servers add for old clients
                    keyword, value = "AUTH", f"{keyword[5:]} {value}".strip()
                self.extensions[keyword.upper()] = value

    def ask_for_tls(self) -> None:
        reply = self.command("STARTTLS")
        if reply.code != 220:
            raise ProtocolError(_("STARTTLS was refused: {reply}").format(reply=reply))

    def start_tls(self, tls_context: ssl.SSLContext, name: str | None) -> None:
        """And EHLO again (RFC 3207 section 4.2)."""
        super().start_tls(tls_context, name)
        self.ehlo()

    def login(self, user: str, password: str) -> Login:
        reply = self.auth(user, password)
        if reply.kind == 4:
            raise TemporaryFailure(_("temporary refusal: {reply}").format(reply=reply))
        if reply.kind == 5 and self.connection.encrypted:
            if reply.enhanced == _SWITCHED_OFF:
                raise NoPasswords(str(reply))
            refuse_passwords(self._mechanisms, reply)
        if reply.kind == 5:  # 535 is about the password; 530 and 538 want TLS first (RFC 4954 section 6)
            return Login(Outcome.REFUSED if reply.code == 535 else Outcome.UNSEEN, str(reply))
        return Login(Outcome.ACCEPTED if reply.code == 235 else Outcome.CONTINUES, str(reply))

    def refuses_alike(self, login: Login) -> bool:
        """As Courier does in clear."""
        return not self._mechanisms and str(self.command("AUTH X-NO-SUCH-MECHANISM")) == login.words

    def prove_login(self, address: str) -> tuple[bool, str]:
        """MAIL FROM."""
        reply = self.mail(address)
        if reply.kind == 4:
            raise TemporaryFailure(_("temporary refusal of MAIL FROM: {reply}").format(reply=reply))
        if reply.code == 250:
            self.command("RSET")
        return reply.code == 250, str(reply)

    @property
    def _mechanisms(self) -> list[str]:
        return self.extensions.get("AUTH", "").upper().split()

    def auth(self, user: str, password: str) -> Reply:
        """AUTH PLAIN with an initial response (RFC 4954, 4616), or AUTH LOGIN where only that is offered."""
        self.connection.transcript.hide(password)
        offered = self._mechanisms
        if "LOGIN" in offered and "PLAIN" not in offered:
            reply = self.command("AUTH LOGIN")
            for part in (user, password):
                if reply.code != 334:
                    return reply
                reply = self.command(base64.b64encode(part.encode()).decode(), "****")
            return reply
        token = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        self.connection.transcript.hide(token)  # some servers repeat what they did not like
        return self.command(f"AUTH PLAIN {token}", "AUTH PLAIN ****")

    def mail(self, sender: str, eight_bit: bool = False, *, size: int = 0, envelope: str = "") -> Reply:
        """MAIL FROM; `sender` without brackets, '' for the null sender. `size` in octets (RFC 1870). `envelope`: the
        name that reports about it have, which are to have no more than its header (RFC 3461 sections 4.3 and 4.4).
        """
        words = " BODY=8BITMIME" if eight_bit else ""
        words += f" SIZE={size}" if size else ""
        words += f" RET=HDRS ENVID={envelope}" if envelope else ""
        return self.command(f"MAIL FROM:<{sender}>{words}")

    def rcpt(self, recipient: str, *, notify: str = "") -> Reply:
        """`notify`: of what the sender wants to be told (RFC 3461 section 4.1)."""
        asked = f" NOTIFY={notify}" if notify else ""
        return self.command(f"RCPT TO:<{recipient}>{asked}")

    def data(self, message: bytes) -> Reply:
        """DATA and the message (CRLF line ends, ending with CRLF); leading dots are doubled (RFC 5321 section
        4.5.2).
        """
        reply = self.command("DATA")
        if reply.code != 354:
            return reply
        stuffed = re.sub(rb"(?m)^\.", b"..", message)
        shown = ngettext("({count} byte of message)", "({count} bytes of message)", len(message))
        self.connection.send(stuffed + b".\r\n", shown.format(count=len(message)))
        return self.reply()

    def quit(self) -> None:
        """QUIT without waiting for the answer, and close."""
        try:
            self.connection.send(b"QUIT\r\n")
        finally:
            self.connection.close()
