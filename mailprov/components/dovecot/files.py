"""Dovecot: its whole configuration in one file, and the service. Who has an account is in `passwd`.

    files(build) -> tuple[File, ...]
    service(host, material) -> Service

Pure. One template for each release line, since 2.4 reads none of the settings that 2.3 needs.
"""

from __future__ import annotations

from mailprov.components import states
from mailprov.components.base import Build
from mailprov.components.dovecot import settings, sieve
from mailprov.components.dovecot.passwd import MAIL_ROOT, NAMES, OWN, USERS, names
from mailprov.components.postfix.addresses import MAPS
from mailprov.components.templates import render
from mailprov.components.tls import material as tls
from mailprov.components.tls.material import TLS12_CIPHERS, Material
from mailprov.model.host_state import Directory, File, Filters, Service, User
from mailprov.model.inventory import Filter, Host
from mailprov.model.ports import ALL, Protocol, TlsStart

CONFIGURATION = "/etc/dovecot/dovecot.conf"
PENALTY = "/etc/dovecot/mailprov-penalty.conf"
WARNING = "/etc/dovecot/mailprov-quota-warning"
OWNER = "vmail"
SOCKETS = "/var/spool/postfix/private"
MAIL_USER = User(OWNER, MAIL_ROOT, comment="virtual mailboxes")
DIRECTORIES = (Directory(MAIL_ROOT, OWNER, OWNER, "0750"),)
FILTERS = Filters(CONFIGURATION, MAIL_ROOT, "sieve", ".dovecot.sieve", ("enotify",))
_FOLDERS = (
    ("Archive", "Archive"),
    ("Drafts", "Drafts"),
    ("Junk", "Junk"),
    ("Sent", "Sent"),
    ("Trash", "Trash"),
)
# Each with its name in `protocols` and that of its login service.
_PROTOCOLS = (
    (Protocol.IMAP, "imap", "imap"),
    (Protocol.POP3, "pop3", "pop3"),
    (Protocol.SIEVE, "sieve", "managesieve"),
)
# The signs that the inventory allows in an account's name, and Dovecot's default letters and digits.
_USERNAME_CHARS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567890.-_@='"


def files(build: Build) -> tuple[File, ...]:
    """dovecot.conf for the release line at hand, and what it names."""
    host, mail, releases, material = build.host, build.mail, build.releases, build.made(tls.of)
    offered = {port.protocol for port in host.ports}
    logins = [
        (
            service,
            [
                {
                    "number": port.number if host.offers(port) else 0,
                    "service": port.service,
                    "purpose": port.purpose,
                    "implicit": port.tls is TlsStart.IMPLICIT,
                }
                for port in ALL
                if port.protocol is protocol
            ],
        )
        for protocol, __, service in _PROTOCOLS
        if protocol in offered
    ]
    spam = host.filter is Filter.RSPAMD
    text = render(
        f"{releases.dovecot_templates}/dovecot.conf.j2",
        fqdn=host.fqdn,
        ipv6=build.ipv6,
        pairs=material.pairs,
        served_names=material.names,
        ciphers=TLS12_CIPHERS,
        penalty=PENALTY,
        users=USERS,
        own=OWN if any(each.own for each in mail.entries) else "",
        names=NAMES,
        states=build.made(states.of),
        denied=f"{states.FOLDER}/denied",
        app_passwords=f"{states.FOLDER}/app-passwords",
        warning_script=WARNING,
        owner=OWNER,
        mail_root=MAIL_ROOT,
        sockets=SOCKETS,
        folders=_FOLDERS,
        protocols=[(name, protocol in offered) for protocol, name, __ in _PROTOCOLS],
        off=[port.service for port in host.ports_off if port.protocol is not Protocol.SMTP],
        logins=logins,
        username_chars=_USERNAME_CHARS,
        delimiter=host.recipient_delimiter,
        quotas=mail.quotas,
        spam_script=sieve.SPAM_SCRIPT if spam else "",
        sendmail=sieve.SENDMAIL,
        local=settings.dovecot_conf(settings.SETTING.of(host)),
        local_file=settings.FILE,
    )
    new = releases.dovecot.at_least(2, 4)
    warning = render(
        "dovecot/quota-warning.j2",
        fqdn=host.fqdn,
        unlimited="quota_enforce=no" if new else "plugin/quota=count:user:noenforcing",
    )
    return (
        *sieve.files(spam, MAPS, host.recipient_delimiter),
        File(CONFIGURATION, text, local=settings.FILE, guarded=settings.GUARDED),
        File(PENALTY, render("dovecot/penalty.conf.j2")),
        File(WARNING, warning, mode="0755"),
        File(NAMES, names(mail.other_names, releases.dovecot), group="dovecot", mode="0640"),
    )


def service(host: Host, material: Material) -> Service:
    """Dovecot sees by itself when the accounts' file changes, so that file is not among `files`."""
    return Service(
        unit="dovecot.service",
        files=(CONFIGURATION, settings.FILE, *material.watched),
        restart_on=(PENALTY,),
        # Dovecot made them before PENALTY and its configuration said no. The first lies there until the next boot, and
        # each start of `auth` tries it for five seconds.
        stale_sockets=("/run/dovecot/anvil-auth-penalty", "/run/dovecot/lmtp"),
        checks=(("doveconf", "-n", "-c", CONFIGURATION),),
        ports=tuple(port.number for port in host.ports if port.protocol is not Protocol.SMTP),
    )
