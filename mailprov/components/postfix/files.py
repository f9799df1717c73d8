"""Postfix: every file under /etc/postfix that is ours, and the service.

    files(build) -> tuple[File, ...]
    service(host, files, material) -> Service

Pure. Raises InputError for addresses that its tables cannot hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailprov.components import relayhost, srs, states, submission
from mailprov.components.base import Build
from mailprov.components.dovecot import passwd, sieve
from mailprov.components.postfix import local_users, settings, spoofing
from mailprov.components.postfix.addresses import MAPS, moved_checks, texthash
from mailprov.components.templates import MANAGED, render
from mailprov.components.tls import material as tls
from mailprov.components.tls.material import Material
from mailprov.components.versions import bare_newline, compatibility_level, forbids_pipelining
from mailprov.model.host_state import Directory, File, Service
from mailprov.model.inventory import Host
from mailprov.model.ports import Protocol, TlsStart
from mailprov.model.shell_users import users

FOLDER = "/etc/postfix"
SPOOL = "/var/spool/postfix"
DIRECTORIES = (Directory(MAPS),)
_BOUNCES = "bounces"  # the transport of mail without a sender, where the host sends such mail under a name of its own
# Debian's own set-up writes a main.cf for a host that it guesses; this answer makes it write none.
DEBCONF = (("postfix", "postfix/main_mailer_type", "select", "No configuration"),)


def files(build: Build) -> tuple[File, ...]:
    """main.cf, master.cf, the lookup tables and /etc/mailname."""
    host, domains, mail, sender_domain = build.host, build.domains, build.mail, build.sender_domain
    material, rewriting, postfix = build.made(tls.of), build.made(srs.of), build.releases.postfix
    local = settings.SETTING.of(host)
    # While a provider sends for a domain as well, mail in its name from outside is honest, and sent on like anybody's.
    sent_here_alone = [domain for domain in domains if not domain.provider_sends]
    names = {name for domain in sent_here_alone for name in (domain.name, *domain.domain_aliases)}
    own = [*names, sender_domain]
    moved = [domain for domain in domains if not domain.taken_here]
    shells = local_users.settings(users(host), mail.tables["logins"], sender_domain, postfix)
    # Another name than the host's, where that is a mail domain.
    apart = sender_domain if sender_domain != host.fqdn else ""
    smtp = [
        {
            "number": port.number,
            "service": port.service,
            "purpose": port.purpose,
            "login": port.login,
            "implicit": port.tls is TlsStart.IMPLICIT,
        }
        for port in host.ports
        if port.protocol is Protocol.SMTP
    ]
    main = render(
        "postfix/main.cf.j2",
        fqdn=host.fqdn,
        sender_domain=apart,
        ipv6=build.ipv6,
        maps=MAPS,
        chain_files=", ".join(pair.chain_files for pair in material.pairs),
        sni=bool(material.names),
        relay=relayhost.SETTING.of(host),
        roots=relayhost.roots(host),
        local_file=settings.FILE,
        delimiter=host.recipient_delimiter,
        size_limit=host.message_size_limit,
        srs=rewriting,
        srs_port=srs.PORT,
        strangers=spoofing.CLASS,
        compatibility_level=compatibility_level(postfix),
        bare_newline=bare_newline(postfix),
        unauth_pipelining=forbids_pipelining(postfix),
        milter=build.milter,
        submission_unit=submission.UNIT,
        submission_milter=submission.MILTER,
        quotas=mail.quotas,
        moved=bool(moved),
        states=states.FOLDER if build.made(states.of) else "",
        local=shells,
        local_milter=submission.LOCAL,
    )
    master = render(
        "postfix/master.cf.j2",
        maps=MAPS,
        ports=smtp,
        off=[port.service for port in host.ports_off if port.protocol is Protocol.SMTP],
        srs=rewriting,
        srs_port=srs.PORT,
        sieve_port=sieve.PORT,
        sendmail=sieve.SENDMAIL,
        strangers=spoofing.CLASS,
        bounces=_BOUNCES,
        sender_domain=apart,
        local=shells,
    )
    replies = render("postfix/lmtp_reply_checks.j2")
    labels, sender_labels = (
        [re.escape(label).replace("\\-", "-") for label in name.split(".")]
        for name in (host.fqdn, sender_domain)
    )
    between = r"([[:space:]]|\(([^()]|\([^()]*\))*\))*"  # CFWS of RFC 5322 section 3.2.2, two comments deep
    named = {
        "fqdn": host.fqdn,
        "fqdn_regexp": "\\.".join(labels),
        "sender_labels": sender_labels,
        "sender_spaced": between + f"{between}\\.{between}".join(sender_labels) + rf"{between}\.?{between}",
    }
    checks = {
        name: render(f"postfix/{name}.j2", **named)
        for name in ("command_checks", "header_checks", "incoming_header_checks", "submission_header_checks")
    }
    return (
        File("/etc/mailname", host.fqdn + "\n"),
        File(
            f"{FOLDER}/main.cf",
            settings.main_cf(main, local),
            local=settings.FILE,
            merges=True,
            guarded=settings.GUARDED,
        ),
        File(f"{FOLDER}/master.cf", settings.master_cf(master, local)),
        *(File(f"{MAPS}/{name}", text) for name, text in checks.items()),
        File(f"{MAPS}/own_senders", srs.own_senders(own, _BOUNCES if apart else "smtp")),
        File(f"{MAPS}/srs_checks", srs.rewritten(rewriting.short_until)),
        *((File(f"{MAPS}/moved_checks", moved_checks(moved)),) if moved else ()),
        File(f"{MAPS}/own_domains_checks", spoofing.own_domains_checks(own)),
        File(f"{MAPS}/lmtp_reply_checks", replies),
        *(File(f"{MAPS}/{name}", text) for name, text in mail.tables.items()),
        *_local(shells),
        *_sni(material),
    )


def _local(shells: local_users.Local | None) -> tuple[File, ...]:
    """What users with a shell send as."""
    if shells is None:
        return ()
    about = "What sendmail(1) takes for the sender of users with a shell → the address of their account: canonical(5)."
    checks = () if shells.refused else (File(f"{MAPS}/local_logins_checks", shells.checks),)
    return (*checks, File(f"{MAPS}/local_senders", texthash(shells.senders, [about])))


def _sni(material: Material) -> tuple[File, ...]:
    """The table of names and their keys and certificates: Postfix reads the files that stand there."""
    if not material.names:
        return ()
    rows = [f"{name} {', '.join(pair.chain_files for pair in pairs)}" for name, pairs in material.names]
    return (File(f"{MAPS}/sni", "\n".join([f"# {MANAGED}", *sorted(rows)]) + "\n"),)


def service(host: Host, ours: Iterable[File], material: Material) -> Service:
    """postfix.service is the unit to act on everywhere.

    Where Debian runs each instance as postfix@-.service (Debian 12), reload, restart and stop reach it from
    there; where it does not (Debian 13), postfix@-.service conflicts with it.
    """
    paths = tuple(file.path for file in ours if file.path.startswith(FOLDER + "/"))
    maps = [path for path in paths if path.startswith(MAPS) and not path.endswith(("_checks", ".pem"))]
    return Service(
        unit="postfix.service",
        files=(*paths, *material.watched),
        # In main.cf stand inet_interfaces and inet_protocols, which take effect at a start only (postconf(5)). For a
        # service that leaves master.cf a reload waits until the last of its processes has ended, and answers nobody
        # meanwhile; Debian 13's unit has no CAP_KILL, so there they are not told to, and it waits for minutes.
        restart_on=(f"{FOLDER}/main.cf", f"{FOLDER}/master.cf"),
        # The same signal that the unit sends, without the way through systemd's jobs, which takes twice as long.
        reload=("postfix", "reload"),
        checks=(
            # Makes the queue's directories too, where Dovecot puts its sockets. Its warnings are about files
            # of the system (copies in the chroot that differ), so they go where they do not count as a
            # refusal.
            ("sh", "-c", "postfix check 2>&1"),
            # Unknown and unused names in main.cf and master.cf are warnings on stderr, with exit code 0.
            ("sh", "-c", "postconf -n >/dev/null && postconf -M >/dev/null && postconf -P >/dev/null"),
        ),
        quiet_checks=True,
        # `postfix check` looks through the whole spool and its libraries, which takes longer than all the rest.
        tables=tuple((path, ("sh", "-c", f"postmap -s texthash:{path} >/dev/null")) for path in maps),
        ports=tuple(port.number for port in host.ports if port.protocol is Protocol.SMTP),
        main_process=(f"{SPOOL}/pid/master.pid", "master"),
        queue=SPOOL,
        delivers_by=(passwd.USERS,),
    )
