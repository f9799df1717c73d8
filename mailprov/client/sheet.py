"""A page for each account, to print or to send: what a user types into a mail program, and a QR code for phones.

    sheet(accounts, folders) -> str    HTML in one file, which fetches nothing; a page of paper for each account
    Sheet                              what is on one page

Pure. Everything is escaped, also what an inventory may hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mailprov.client import qr
from mailprov.client.settings import Server, Settings
from mailprov.i18n import N_, _
from mailprov.model.ports import Protocol, TlsStart

if TYPE_CHECKING:
    from jinja2 import Environment

PURPOSES = {
    Protocol.IMAP: N_("incoming, IMAP"),
    Protocol.POP3: N_("incoming, POP"),
    Protocol.SMTP: N_("outgoing, SMTP"),
}
SECURITY = {TlsStart.IMPLICIT: "SSL/TLS", TlsStart.UPGRADE: "STARTTLS"}
OUTLOOK = N_(
    "Outlook (the new one for Windows, for Mac and for phones) asks Microsoft for the servers and not your domain, and "
    "copies the password and the mail to Microsoft's servers. Choose IMAP and type the servers in yourself; the "
    "classic Outlook for Windows connects directly."
)
OUTLOOK_BY_POP = N_(
    "Outlook (the new one for Windows, for Mac and for phones) asks Microsoft for the servers and not your domain, and "
    "copies the password and the mail to Microsoft's servers. Choose POP and type the servers in yourself; the "
    "classic Outlook for Windows connects directly."
)
BY_PAGE = N_(
    "No password is typed into the program: the provider's own page opens and asks for it (OAuth 2.0)."
)
FETCHED = N_(
    "Thunderbird, K-9 and the classic Outlook need the address and the password only: they ask the domain for the rest."
)
SELF_SIGNED = N_(
    "The server's certificate is not from a known authority, so each program asks once whether to trust it."
)


class Sheet(NamedTuple):
    """`password`: printed where it is given; else there is room to write it. `own`: its user owns it, so that what is
    given is the one to begin with. `said`: what the account may do less than others, a sentence each.
    """

    settings: Settings
    password: str = ""
    own: bool = False
    said: tuple[str, ...] = ()


def notes(settings: Settings) -> list[str]:
    """What a user should know besides the servers."""
    by_page = any(not server.password for server in settings.servers)
    found = [(BY_PAGE, by_page), (FETCHED, settings.fetched), (SELF_SIGNED, settings.self_signed)]
    told = [note for note, applies in found if applies]
    outlook = OUTLOOK if settings.best(Protocol.IMAP) else OUTLOOK_BY_POP
    return [_(each) for each in (*told, *([] if settings.provider else [outlook]))]


def sheet(accounts: Sequence[Sheet], folders: Sequence[Path], language: str = "en") -> str:
    """`folders`: where templates lie (components/templates.py)."""
    pages = [
        {
            "address": each.settings.address,
            "password": each.password,
            "begins": each.own and bool(each.password),
            "asked": all(server.password for server in each.settings.servers),
            "rows": [_row(server) for server in each.settings.servers],
            "said": each.said,
            "notes": notes(each.settings),
            "code": qr.as_svg(qr.payload(each.settings, password=each.password)),
        }
        for each in accounts
    ]
    title = accounts[0].settings.address if len(accounts) == 1 else _("Mail accounts")
    return (
        _environment(tuple(folders))
        .get_template("client/sheet.html.j2")
        .render(pages=pages, title=title, lang=language)
    )


def _row(server: Server) -> dict[str, str]:
    return {
        "purpose": _(PURPOSES[server.protocol]),
        "host": server.host,
        "port": str(server.port),
        "security": SECURITY[server.tls],
        "user": server.user,
        "preferred": "yes" if server.tls is TlsStart.IMPLICIT else "",
    }


@lru_cache(maxsize=1)
def _environment(folders: tuple[Path, ...]) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(folders),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["_"] = _
    return made
