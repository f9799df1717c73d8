"""fail2ban: bans for a while who tries many wrong passwords on the ports of mail.

    Fail2ban      what the inventory says of it; `SETTING.of(host)` is None where a host has none
    COMPONENT

Pure. The filters are our own: those of the packages do not know the words of Dovecot 2.4, and read the log of
postfix.service where Debian 12 has it under postfix@-.service. All are read from the journal, by the unit that says it,
which nobody else on the host can claim.

Guesses at the webmail come to Dovecot from this host itself, which is never shut out; so they are counted by what
Roundcube logs, and shut an address out of the web alone.
"""

from __future__ import annotations

import ipaddress

from pydantic import Field

from mailprov.components.base import Build, Component, Parts, Setting
from mailprov.components.templates import render
from mailprov.i18n import N_, _
from mailprov.model import web
from mailprov.model.host_state import File, Service
from mailprov.model.inventory import Host, Inventory
from mailprov.model.ports import Protocol
from mailprov.model.values import dataclass
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath
from mailprov.schema.entry import Entry
from mailprov.schema.names import BadName
from mailprov.schema.scalars import Text

_FOLDER = "/etc/fail2ban"
_JAIL = f"{_FOLDER}/jail.d/mailprov.local"

# No answer of Dovecot in time (454) says nothing about the password. A name that somebody typed comes behind this.
_POSTFIX = r"warning: [^\s\[\]]*\[<HOST>\]: SASL [-\w]+ authentication failed: (?!Connection lost)"
# One line for each wrong password and each unknown name (auth_verbose). Dovecot 2.3, then 2.4:
#   auth: passwd-file(ana@alpha.test,192.0.2.1,<session>): Password mismatch
#   auth(ana@alpha.test,192.0.2.1,sasl:plain)<session>: passwd-file: Password mismatch
# The name is what was typed, without any of the signs in `[^…]`: one with a sign that no account has is shown as `?`
# (auth_username_chars), and what was typed stands at the very end, where nothing is looked for.
_WHO = r"\([^\s(),<>]+,<HOST>"
_WORDS = (
    r"(?:(?:Password mismatch|unknown user)(?:$| \()|Username character disallowed by auth_username_chars: )"
)
_DOVECOT = (
    rf"auth: [-\w]+{_WHO}(?:,<[^<>]*>)?\): {_WORDS}",
    rf"auth{_WHO}(?:,sasl:[-\w]+)?\)(?:<[^<>]*>)?: [-\w]+: {_WORDS}",
)
# Roundcube, of a wrong password (error 0) and not of a login that nobody could check (others). What was typed stands in
# front, may be anything, and may go over several lines: so the address is the one before the end.
#   Failed login for ana@alpha.test from 192.0.2.1 in session 3bq1kd0tn7rl5a1c (error: 0)
_ROUNDCUBE = r"Failed login for [\s\S]* from <HOST>(?:\([^()]*\))? in session [-,\w]+ \(error: 0\)$"


class Fail2banEntry(Entry):
    """Shuts out for a while who tries many wrong passwords. `{}` is enough to have it."""

    ignore: list[Text] = Field(
        default=[],
        description=N_("addresses and networks that are never banned; include the host that runs `verify`"),
        examples=[["192.0.2.0/24"]],
    )


@dataclass(frozen=True)
class Fail2ban:
    """Addresses that try too many wrong passwords are banned for a while."""

    ignore: tuple[str, ...] = ()  # addresses and networks that never are

    def spares(self, address: str) -> bool:
        ip = ipaddress.ip_address(address)
        networks = [ipaddress.ip_network(each) for each in self.ignore]
        return any(ip.version == net.version and ip in net for net in networks)


def _resolve(entry: Fail2banEntry, path: KeyPath, base: Fail2ban | None, context: Context) -> Fail2ban:
    given = enumerate(entry.ignore)
    ignore = [context.checked((*path, "ignore", index), text, _network) for index, text in given]
    return Fail2ban(tuple(dict.fromkeys(each for each in ignore if each)))


def _network(text: str) -> str:
    try:
        return (
            str(ipaddress.ip_network(text, strict=False)) if "/" in text else str(ipaddress.ip_address(text))
        )
    except ValueError:
        raise BadName(_("is no IP address and no network such as 192.0.2.0/24")) from None


SETTING: Setting[Fail2ban | None] = Setting(
    "fail2ban",
    Fail2banEntry,
    N_("fail2ban for the logins of mail, by Dovecot and Postfix"),
    _resolve,
    default=None,
    if_missing=N_("none if not given"),
    wins=N_("wins as a whole"),
    rehearse=lambda value, lab: None if value is None else {"ignore": list(value.ignore)},
)


class _Fail2ban(Component):
    name = "fail2ban"
    about = N_("bans for a while who tries many wrong passwords")
    settings = (SETTING,)

    def wanted(self, host: Host) -> bool:
        return SETTING.of(host) is not None

    def packages(self, inventory: Inventory, host: Host) -> tuple[str, ...]:
        return "fail2ban", "nftables", "python3-systemd"

    def parts(self, build: Build) -> Parts:
        settings = SETTING.of(build.host)
        assert settings is not None
        jails = _jails(build)
        files = _files(settings, jails)
        # Bans that are in force outlive a reload; those of who is spared now are lifted.
        service = Service(
            unit="fail2ban.service",
            files=tuple(file.path for file in files),
            checks=(("fail2ban-client", "--test"),),
            # Debian's own jail, too: it starts with ours, and would count what SSH refused before.
            jails=(*(f"mailprov-{jail[0]}" for jail in jails), "sshd"),
            spares=settings.ignore,
        )
        return Parts(packages=self.packages(build.inventory, build.host), files=files, services=(service,))

    def retired(self) -> tuple[Service, ...]:
        """It may have jails of others, such as Debian's own for SSH."""
        return (Service(unit="fail2ban.service", shared=True),)


COMPONENT = _Fail2ban()
Jail = tuple[str, list[int], str]  # name, ports, whose journal


def _jails(build: Build) -> list[Jail]:
    """One without ports is none."""
    host = build.host
    smtp = [port.number for port in host.ports if port.protocol is Protocol.SMTP]
    mailbox = [port.number for port in host.ports if port.protocol is not Protocol.SMTP]
    every = [
        ("postfix", sorted(smtp), "_SYSTEMD_UNIT=postfix@-.service + _SYSTEMD_UNIT=postfix.service"),
        ("dovecot", sorted(mailbox), "_SYSTEMD_UNIT=dovecot.service"),
    ]
    return [*(jail for jail in every if jail[1]), *_webmail(build)]


def _webmail(build: Build) -> list[Jail]:
    if not web.webmail_on(build.host):
        return []
    from mailprov.components.web.place import PORTS
    from mailprov.components.webmail import place

    if not place.serves(build):
        return []
    return [("webmail", list(PORTS), f"_SYSTEMD_UNIT={place.UNIT} SYSLOG_IDENTIFIER={place.LOG}")]


def _files(settings: Fail2ban, jails: list[Jail]) -> tuple[File, ...]:
    """The jails and their filters."""
    jail = render("fail2ban/jail.j2", ignore=("127.0.0.0/8", "::1", *settings.ignore), jails=jails)
    return (
        File(_JAIL, jail),
        _filter("postfix", "Wrong passwords on 465 and 587.", r"postfix/(?:\w+/)?smtpd", _POSTFIX),
        _filter(
            "dovecot",
            "Wrong passwords, whichever port they came to: Dovecot 2.3 and 2.4.",
            "dovecot",
            *_DOVECOT,
        ),
        *(
            _filter("webmail", "Wrong passwords at the webmail.", "roundcube", _ROUNDCUBE)
            for name, *__ in jails
            if name == "webmail"
        ),
    )


def _filter(name: str, comment: str, daemon: str, *regexps: str) -> File:
    text = render("fail2ban/filter.j2", comment=comment, daemon=daemon, regexps=regexps)
    return File(f"{_FOLDER}/filter.d/mailprov-{name}.conf", text)
