"""fail2ban: shuts out for a while who tries many wrong passwords on the ports of mail.

    files(host) -> tuple[File, ...]
    service(host, files), unit() -> Service
    PACKAGES

Pure. The filters are our own: those of the packages do not know the words of Dovecot 2.4, and read the log of
postfix.service where Debian 12 has it under postfix@-.service. Both daemons are read from the journal.
"""

from __future__ import annotations

from mailprov.components.templates import render
from mailprov.model.host_state import File, Service
from mailprov.model.inventory import Host
from mailprov.model.ports import PORTS, SIEVE_PORT, Protocol

PACKAGES = ("fail2ban", "nftables", "python3-systemd")
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
            "Wrong passwords, whichever port they came to: Dovecot 2.3 and 2.4.",
            "dovecot",
            *_DOVECOT,
        ),
    )


def _filter(name: str, comment: str, daemon: str, *regexps: str) -> File:
    text = render("fail2ban/filter.j2", comment=comment, daemon=daemon, regexps=regexps)
    return File(f"{_FOLDER}/filter.d/mailprov-{name}.conf", text)


def service(host: Host, ours: tuple[File, ...]) -> Service:
    """Bans that are in force outlive a reload; those of who is spared now are lifted."""
    assert host.fail2ban is not None
    return Service(
        unit="fail2ban.service",
        files=tuple(file.path for file in ours),
        checks=(("fail2ban-client", "--test"),),
        # Debian's own jail, too: it starts with ours, and would count what SSH refused before.
        jails=("mailprov-postfix", "mailprov-dovecot", "sshd"),
        spares=host.fail2ban.ignore,
    )


def unit() -> Service:
    """For a host that may have had it. It may have jails of others, such as Debian's own for SSH."""
    return Service(unit="fail2ban.service", shared=True)
