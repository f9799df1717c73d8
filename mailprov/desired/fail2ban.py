"""fail2ban: shuts out for a while who tries many wrong passwords on the ports of mail.

    files(host) -> tuple[File, ...]
    service(files), unit() -> Service
    PACKAGES

Pure. The filters are our own: those of the packages do not know the words of Dovecot 2.4, and read the log of
postfix.service where Debian 12 has it under postfix@-.service. Both daemons are read from the journal.
"""

from __future__ import annotations

from mailprov.desired.state import File, Service
from mailprov.desired.templates import render
from mailprov.model.inventory import Host
from mailprov.model.ports import PORTS, SIEVE_PORT, Protocol

PACKAGES = ("fail2ban", "nftables", "python3-systemd")
_FOLDER = "/etc/fail2ban"
_JAIL = f"{_FOLDER}/jail.d/mailprov.local"

_POSTFIX = r"warning: [^\s\[\]]*\[<HOST>\]: SASL [-\w]+ authentication failed"
# `user=<…>` comes before the address, so what somebody types as a name cannot pass for one: the last one counts.
_DOVECOT = (
    r"(?:imap|pop3|managesieve)-login: .*\(auth failed, \d+ attempts?(?: in \d+ secs)?\).*, rip=<HOST>(?:,|$)"
)


def files(host: Host) -> tuple[File, ...]:
    """The jails and their filters."""
    assert host.fail2ban is not None
    smtp = [port.number for port in PORTS if port.protocol is Protocol.SMTP]
    mailbox = [port.number for port in PORTS if port.protocol is not Protocol.SMTP]
    units = "_SYSTEMD_UNIT=postfix@-.service + _SYSTEMD_UNIT=postfix.service"
    jail = render(
        "fail2ban/jail.j2",
        ignore=("127.0.0.0/8", "::1", *host.fail2ban.ignore),
        jails=(
            ("postfix", sorted(smtp), units),
            ("dovecot", sorted({*mailbox, SIEVE_PORT.number}), "_SYSTEMD_UNIT=dovecot.service"),
        ),
    )
    return (
        File(_JAIL, jail),
        _filter("postfix", "Wrong passwords on 465 and 587.", r"postfix/(?:\w+/)?smtpd", _POSTFIX),
        _filter(
            "dovecot",
            "Wrong passwords of IMAP, POP and ManageSieve, Dovecot 2.3 and 2.4.",
            "dovecot",
            _DOVECOT,
        ),
    )


def _filter(name: str, comment: str, daemon: str, regexp: str) -> File:
    text = render("fail2ban/filter.j2", comment=comment, daemon=daemon, regexp=regexp)
    return File(f"{_FOLDER}/filter.d/mailprov-{name}.conf", text)


def service(ours: tuple[File, ...]) -> Service:
    """Bans that are in force outlive a reload."""
    return Service(
        unit="fail2ban.service",
        files=tuple(file.path for file in ours),
        checks=(("fail2ban-client", "--test"),),
    )


def unit() -> Service:
    """For a host that may have had it. It may have jails of others, such as Debian's own for SSH."""
    return Service(unit="fail2ban.service", shared=True)
